"""The processes the demo starts. None outlives the `with` block, and neither does the directory of their logs.

Each is a session of its own, so that Ctrl-C reaches only the demo, which then ends them by KILL: the model
server heeds nothing less, and neither process has anything to save.
"""

import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ENVOY_LOG_PREFIX = re.compile(r"^(\[[^]]*\] ?)+")


@dataclass(frozen=True)
class Child:
    process: subprocess.Popen
    log: Path

    def complaint(self):
        """The first error in its log, which is the cause of those after it; or else its last line."""
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["it wrote no log."]
        errors = [line for line in lines if "[error]" in line or "[critical]" in line]
        line = errors[0] if errors else lines[-1]
        return ENVOY_LOG_PREFIX.sub("", line).strip()


class Children:
    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="tidegate-demo-"))
        self.running = []
        return self

    def start(self, name, command, **options):
        log = self.directory / f"{name}.log"
        with log.open("w") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output} | options
            process = subprocess.Popen(command, start_new_session=True, **streams)
        self.running.append(process)
        return Child(process, log)

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
