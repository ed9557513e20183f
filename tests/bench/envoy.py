"""One Envoy as a child process, and the upstream that all of them share.

Every lane has a process of its own, because filters keep state in process-wide shared data and because
CPU time is read per process. Ports are chosen by the kernel and asked from the admin interface, so that
any number of Envoys start side by side. The route answers a request without a body by itself
(`direct_response`) after the filters have run; chat completions go to the upstream.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 60
BUFFER_LIMIT = 16 * 1024 * 1024

ANSWER = json.dumps({"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "bench"}]})


@dataclass(frozen=True)
class Chain:
    """HTTP filters, and the network filters in front of them."""

    filters: tuple[dict, ...] = ()
    guards: tuple[dict, ...] = ()


class StartFailed(Exception):
    pass


class Process:
    """A child process that can be moved to other CPUs."""

    def __init__(self, command: list, directory: Path, **options):
        directory.mkdir(parents=True)
        self.log = directory / "log"
        self.child = subprocess.Popen(command, stderr=open(self.log, "w"), start_new_session=True, **options)

    def move_to(self, cpus: set[int]) -> None:
        for thread in os.listdir(f"/proc/{self.child.pid}/task"):
            os.sched_setaffinity(int(thread), cpus)

    def stop(self) -> None:
        self.child.kill()
        self.child.wait()


class Upstream(Process):
    def __init__(self, directory: Path):
        script = Path(__file__).with_name("upstream.py")
        super().__init__([sys.executable, script], directory, stdout=subprocess.PIPE, text=True)
        self.port = int(self.child.stdout.readline())


class Envoy(Process):
    def __init__(
        self, binary: Path, name: str, chain: Chain, directory: Path, upstream: int, workers: int = 1, *options: str
    ):
        self.name = name
        self._admin = directory / "admin"
        command = [binary, "--config-yaml", json.dumps(bootstrap(chain, upstream))]
        command += ["--concurrency", str(workers), "--admin-address-path", self._admin]
        command += ["--disable-hot-restart", "--log-level", "warning", *options]
        super().__init__(command, directory, stdout=subprocess.DEVNULL)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._live():
            if self.child.poll() is not None:
                raise StartFailed(f"Envoy of lane '{self.name}' ended at start:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"Envoy of lane '{self.name}' was not ready after {START_TIMEOUT} s:\n{self.last_words()}"
                )
            time.sleep(0.05)
        self.port = json.loads(self._ask("/listeners?format=json")[1])["listener_statuses"][0]["local_address"][
            "socket_address"
        ]["port_value"]

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far, to the nanosecond: what clock_getcpuclockid(3) names."""
        return time.clock_gettime(~self.child.pid << 3 | 2)

    def resident(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stat(self, name: str) -> int:
        """The value of a statistic."""
        return int(self._ask(f"/stats?filter=^{name}$")[1].split(b": ")[1])

    def last_words(self) -> str:
        ended = self.child.poll()
        state = "Envoy is running" if ended is None else f"Envoy ended with {ended}"
        return "\n".join([state + "; its last words:", *self.log.read_text(errors="replace").splitlines()[-15:]])

    def _live(self) -> bool:
        try:
            return self._ask("/ready")[0] == 200
        except OSError:
            return False

    def _ask(self, path: str) -> tuple[int, bytes]:
        address = self._admin.read_text().strip()
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def bootstrap(chain: Chain, upstream: int) -> dict:
    any_port = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    itself = {
        "match": {"prefix": "/v1/models"},
        "direct_response": {"status": 200, "body": {"inline_string": ANSWER}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }
    forward = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "use_remote_address": True,
        "http_filters": [*chain.filters, router],
        "route_config": {"virtual_hosts": [{"name": "bench", "domains": ["*"], "routes": [itself, forward]}]},
    }
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    listener = {
        "name": "bench",
        "address": any_port,
        "per_connection_buffer_limit_bytes": BUFFER_LIMIT,
        "filter_chains": [{"filters": [*chain.guards, manager]}],
    }
    return {
        "admin": {"address": any_port},
        "static_resources": {"listeners": [listener], "clusters": [cluster(upstream)]},
    }


def cluster(port: int) -> dict:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    return {
        "name": "upstream",
        "type": "STATIC",
        "per_connection_buffer_limit_bytes": BUFFER_LIMIT,
        "circuit_breakers": {
            "thresholds": [{"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}]
        },
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
