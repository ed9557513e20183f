"""One Envoy with two workers, a child process on ports of its own choice, which its admin interface tells."""

import http.client
import json
import subprocess
import time
from pathlib import Path

from processes import ROOT, Failure, Processes

WORKERS = 2
START_TIMEOUT = 60


def find_envoy() -> Path:
    found = subprocess.run([ROOT / "envoy" / "find-envoy.sh"], capture_output=True, text=True)
    if found.returncode:
        raise Failure(f"no Envoy: {found.stderr.strip()}")
    return Path(found.stdout.strip())


class Gateway:
    def __init__(self, processes: Processes, binary: Path, name: str, bootstrap: dict):
        self._processes = processes
        self._name = f"envoy-{name}".replace(" ", "-").replace("'", "")
        self._admin = processes.directory / f"{self._name}.admin"
        self._admin.unlink(missing_ok=True)
        config = processes.directory / f"{self._name}.json"
        config.write_text(json.dumps(bootstrap, indent=1))
        self._process = processes.start(
            self._name,
            [binary, "--config-path", config, "--concurrency", WORKERS, "--disable-hot-restart"]
            + ["--log-level", "error", "--admin-address-path", self._admin],
        )
        self._wait_until_ready()
        self.port = json.loads(self._ask("/listeners?format=json")[1])["listener_statuses"][0]["local_address"][
            "socket_address"
        ]["port_value"]

    def connections(self) -> int:
        return self.stat("http.front.downstream_cx_active")

    def opened(self) -> int:
        return self.stat("http.front.downstream_cx_total")

    def stat(self, name: str) -> int:
        return int(self._ask(f"/stats?filter=^{name}$")[1].rpartition(b" ")[2] or 0)

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
        while not self._live():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._processes.complain(self._name)
            time.sleep(0.05)

    def _live(self) -> bool:
        try:
            return self._ask("/ready")[0] == 200
        except OSError:
            return False

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._admin.read_text().strip(), timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().strip()
        finally:
            connection.close()
