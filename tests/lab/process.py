"""The processes of a run. None outlives the `with` block, and neither does the folder of their logs.

Each process is a session of its own, so that Ctrl-C reaches only the run, which then ends them by SIGKILL: the
llama.cpp server heeds nothing less, and none has anything to save. They compare times by the machine's monotonic
clock, which is the same in all of them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.lab import ROOT, Failure


class Child:
    """A process whose standard error, and output unless it is piped, goes to `log`."""

    must_live = False
    """True where a run fails when this process ends before the run does."""

    def __init__(self, name: str, command: list, folder: Path, **streams):
        self.name, self.folder, self.log = name, folder, folder / "log"
        with self.log.open("w") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | streams
            self.process = subprocess.Popen(
                list(map(str, command)), start_new_session=True, text=True, cwd=ROOT, **streams
            )

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def line(self) -> str:
        """The next line that it prints."""
        return self.process.stdout.readline() or self.complain()

    def tell(self, order: Any) -> None:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def logged(self, pattern: str) -> str:
        """The first group of the first match in its log, once that is there."""
        return poll(pattern, lambda: re.search(pattern, self.log.read_text()) or self.has_ended and self.complain())[1]

    def result(self, told: str = "") -> Any:
        """Closes its standard input and waits for the JSON that it prints at its end."""
        output, _ = self.process.communicate(told)
        if self.process.returncode or not output.strip():
            self.complain()
        return json.loads(output)

    def move_to(self, cpus: set[int]) -> None:
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(thread), cpus)

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def complain(self) -> NoReturn:
        ended = self.process.poll()
        state = "does not do its work" if ended is None else f"ended with {ended}"
        raise Failure(f"{self.name} {state}; its last words:\n{self.last_words()}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Children:
    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-"))
        self._all: list[Child] = []
        return self

    def start(self, name: str, command: list, **streams) -> Child:
        return self.keep(Child(name, command, self.new_folder(name), **streams))

    def script(self, module: str, python: str | Path = sys.executable, **arguments) -> Child:
        """A module of this package with its arguments as JSON; it may be told things on stdin."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return self.start(module, [python, "-B", "-m", module, json.dumps(arguments)], **pipes)

    def keep(self, child: Child) -> Child:
        self._all.append(child)
        return child

    def new_folder(self, name: str) -> Path:
        folder = self.folder / f"{len(self._all)}-{name.replace(' ', '-').replace('/', '-')}"
        folder.mkdir()
        return folder

    def __exit__(self, failed, *_):
        gone = [child for child in self._all if child.must_live and child.has_ended]
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for child in self._all:
                child.process.kill()
            for child in self._all:
                child.process.wait()
            if gone and not failed:
                gone[0].complain()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def printed(*command) -> str:
    """The path that a script of envoy/ prints."""
    done = subprocess.run([ROOT / "envoy" / command[0], *map(str, command[1:])], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failure(f"envoy/{command[0]} failed; the message above says why.")
    return done.stdout.strip()


def poll(what: str, found: Callable[[], Any], patience: float = 60) -> Any:
    """The first value of `found()` that is true."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if value := found():
                return value
        except OSError:
            pass
        time.sleep(0.05)
    raise Failure(f"no {what} within {patience} s")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()
