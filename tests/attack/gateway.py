"""One Envoy with two workers, a child process on ports of its own choice, which its admin interface tells."""

import json
import time
from pathlib import Path

from admin import Admin
from processes import Processes

WORKERS = 2
START_TIMEOUT = 60


class Gateway(Admin):
    def __init__(self, processes: Processes, binary: Path, name: str, bootstrap: dict):
        self._processes = processes
        self._name = f"envoy-{name}".replace(" ", "-").replace("'", "")
        admin = processes.directory / f"{self._name}.admin"
        admin.unlink(missing_ok=True)
        super().__init__(admin)
        config = processes.directory / f"{self._name}.json"
        config.write_text(json.dumps(bootstrap, indent=1))
        self._process = processes.start(
            self._name,
            [binary, "--config-path", config, "--concurrency", WORKERS, "--disable-hot-restart"]
            + ["--log-level", "error", "--admin-address-path", admin],
        )
        self._wait_until_ready()
        self.port = self.listener_port()

    def connections(self) -> int:
        return self.stat("http.front.downstream_cx_active")

    def opened(self) -> int:
        return self.stat("http.front.downstream_cx_total")

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far: what clock_getcpuclockid(3) names."""
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def memory(self, line: str = "VmRSS") -> int:
        """Bytes in memory now, or at most so far (`VmHWM`)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * next(int(row.split()[1]) for row in status.splitlines() if row.startswith(line))

    def stop(self) -> None:
        ended = self._process.poll()
        self._processes.stop(self._process)
        if ended is not None:
            self._processes.complain(self._name)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self.is_live():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._processes.complain(self._name)
            time.sleep(0.05)
