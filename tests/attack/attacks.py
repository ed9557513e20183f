"""The attacks: what the tools are called with, and how they are kept at it.

A tool that has nothing left to do, because all of its connections were closed, is started again at once, until the
time is up. What it is aimed at is either Envoy itself, then it comes from one address, or the forwarder that lends
it fifty.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from tests.lab.process import Child, Children, printed

CONNECTIONS = 1000
PER_SECOND = 250
BEAT = 0.1


@dataclass(frozen=True)
class Attack:
    name: str
    command: Callable[[int], list]

    @contextmanager
    def kept_up(self, children: Children, port: int) -> Iterator[list[Child]]:
        """Gives the runs of the tool so far."""
        over, runs = Event(), [children.start("tool", self.command(port))]

        def keep_up():
            while not over.wait(BEAT):
                if runs[-1].has_ended:
                    runs.append(children.start("tool", self.command(port)))

        keeper = Thread(target=keep_up, daemon=True)
        keeper.start()
        try:
            yield runs
        finally:
            over.set()
            keeper.join()
            runs[-1].stop()


def slowhttptest(mode: str, *options, path: str = "v1/models") -> Callable[[int], list]:
    def command(port: int) -> list:
        size = ["-c", CONNECTIONS, "-r", PER_SECOND, "-l", 600, "-v", 0]
        return [find_slowhttptest(), mode, *size, *options, "-u", f"http://127.0.0.1:{port}/{path}"]

    return command


def slowloris(port: int) -> list:
    return [sys.executable, "-m", "slowloris", "127.0.0.1", "-p", port, "-s", CONNECTIONS, "--sleeptime", 1]


def slow_read(mebibytes: int) -> Callable[[int], list]:
    return slowhttptest("-X", "-w", 512, "-y", 1024, "-n", 1, "-z", 32, path=f"v1/files/long?{mebibytes}")


ATTACKS = (
    Attack("slow headers, slowhttptest -H", slowhttptest("-H", "-i", 1, "-x", 24)),
    Attack("slow headers, slowloris", slowloris),
    Attack("slow body, slowhttptest -B", slowhttptest("-B", "-i", 1, "-x", 10, "-s", 8192, path="v1/chat/completions")),
    Attack("ranges, slowhttptest -R", slowhttptest("-R", "-a", 5, "-b", 2000)),
    Attack("slow read of 1 MiB, slowhttptest -X", slow_read(1)),
    Attack("slow read of 4 MiB, slowhttptest -X", slow_read(4)),
)


@functools.cache
def find_slowhttptest() -> str:
    return printed("debian.sh", "slowhttptest", "slowhttptest")
