"""The attacks: what the tools are called with, and how they are kept at it.

A tool that has nothing left to do, because all of its connections were closed, is started again at once, until the
time is up. What it is aimed at is either Envoy itself, then it comes from one address, or the forwarder that lends
it fifty.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from admin import ROOT, Failure
from processes import Processes

CONNECTIONS = 1000
PER_SECOND = 250
BEAT = 0.1
DEBIAN = ROOT / ".venv" / "slowhttptest"


@dataclass(frozen=True)
class Attack:
    name: str
    command: Callable[[int], list]

    @contextmanager
    def kept_up(self, processes: Processes, port: int) -> Iterator[None]:
        over, tool = Event(), processes.start("tool", self.command(port))

        def keep_up():
            nonlocal tool
            while not over.wait(BEAT):
                if tool.poll() is not None:
                    tool = processes.start("tool", self.command(port))

        keeper = Thread(target=keep_up, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()
            processes.stop(tool)


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


def find_slowhttptest() -> Path:
    unpacked = DEBIAN / "usr" / "bin" / "slowhttptest"
    found = shutil.which("slowhttptest") or (unpacked if unpacked.exists() else None)
    if not found and shutil.which("apt-get") and shutil.which("dpkg"):
        unpack()
        found = unpacked if unpacked.exists() else None
    if not found or subprocess.run([found, "-h"], capture_output=True).returncode > 1:
        raise Failure("slowhttptest is missing and could not be installed: it is in Debian's package slowhttptest.")
    return Path(found)


def unpack() -> None:
    DEBIAN.mkdir(parents=True, exist_ok=True)
    command = "apt-get download -qq slowhttptest && dpkg -x slowhttptest_*.deb ."
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(command, shell=True, cwd=DEBIAN, **quiet).returncode and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(command, shell=True, cwd=DEBIAN, **quiet)
