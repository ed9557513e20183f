"""Envoy as a child process. It chooses its ports itself and tells them through its administration, so that nothing
can take a port in between, and any number of Envoys run side by side."""

import functools
import http.client
import json
import subprocess
import tempfile
import time
from pathlib import Path

from tests.lab import Failure
from tests.lab.process import Child, Children, printed

START_TIMEOUT = 60


@functools.cache
def find_envoy() -> Path:
    return Path(printed("find-envoy.sh"))


class Envoy(Child):
    must_live = True

    def __init__(
        self,
        children: Children,
        bootstrap: dict | str,
        *options: str,
        name: str = "envoy",
        workers: int = 2,
        binary: Path | None = None,
    ):
        """Starts it with a document, or with YAML as it is written; `ready` waits for it."""
        folder = children.new_folder(name)
        config = folder / ("envoy.yaml" if isinstance(bootstrap, str) else "envoy.json")
        config.write_text(bootstrap if isinstance(bootstrap, str) else json.dumps(bootstrap, indent=1))
        self._admin = folder / "admin"
        command = [binary or find_envoy(), "--config-path", config, "--admin-address-path", self._admin]
        command += ["--concurrency", workers, "--disable-hot-restart", "--log-level", "warning", *options]
        super().__init__(name, command, folder)
        children.keep(self)

    def ready(self):
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_live():
            if self.has_ended or time.monotonic() > deadline:
                self.complain()
            time.sleep(0.05)
        return self

    @functools.cached_property
    def ports(self) -> dict[str, int]:
        """The port of each listener, by its name."""
        listeners = json.loads(self.ask("/listeners?format=json"))["listener_statuses"]
        return {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}

    @property
    def port(self) -> int:
        return next(iter(self.ports.values()))

    @property
    def admin(self) -> str:
        """The address of its administration, as host:port."""
        return self._admin.read_text().strip()

    def stat(self, name: str) -> int:
        """The value of a statistic, 0 where it has none yet."""
        return int(self.ask(f"/stats?filter=^{name}$").strip().rpartition(" ")[2] or 0)

    def counters(self, filter: str, *names: str) -> dict[str, int]:
        """Counters of a filter of ours."""
        return {name: self.stat(f"wasmcustom.tidegate.{filter}.{name}") for name in names}

    def ask(self, path: str) -> str:
        connection = http.client.HTTPConnection(self.admin, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            if response.status != 200:
                raise OSError(f"Envoy answers {path} with {response.status}: {body}")
            return body
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far, to the nanosecond: what clock_getcpuclockid(3) names."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory(self, line: str = "VmRSS") -> int:
        """Bytes in memory now, or at most so far (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(row.split()[1]) for row in status.splitlines() if row.startswith(line))

    def stop(self) -> None:
        self.must_live = False
        super().stop()

    def _is_live(self) -> bool:
        try:
            return self.ask("/ready").strip() == "LIVE"
        except (OSError, http.client.HTTPException):
            return False


def complaint(bootstrap: dict, *options: str) -> str:
    """Envoy's objection to a configuration; empty if it takes it."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "envoy.json"
        config.write_text(json.dumps(bootstrap))
        command = [find_envoy(), "--mode", "validate", "--config-path", config, "--log-level", "error", *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"Envoy did not judge a configuration within {START_TIMEOUT} s") from error
    return "" if done.returncode == 0 else done.stderr + done.stdout
