"""The processes of a run. None outlives the `with` block, and neither does the directory of their logs.

Each is a session of its own, so that Ctrl-C reaches only the run, which then ends them by KILL. What speaks of
them uses the machine's monotonic clock, which is one for all processes.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from admin import Failure

HERE = Path(__file__).resolve().parent


class Processes:
    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="tidegate-attack-"))
        self._running = []
        return self

    def start(self, name: str, command: list, **streams) -> subprocess.Popen:
        with self.log(name).open("a") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | streams
            process = subprocess.Popen(list(map(str, command)), start_new_session=True, text=True, **streams)
        self._running.append(process)
        return process

    def script(self, name: str, *arguments) -> subprocess.Popen:
        """One of the scripts beside this file; it says what it has to say on stdout, and may be told on stdin."""
        command = [sys.executable, "-B", HERE / f"{name}.py", *arguments]
        return self.start(name, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self, process: subprocess.Popen) -> None:
        process.kill()
        process.wait()
        self._running.remove(process)

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def complain(self, name: str) -> NoReturn:
        words = self.log(name).read_text(errors="replace").splitlines()[-15:]
        raise Failure("\n".join([f"{name} did not do its work; its last words:", *words]))

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
