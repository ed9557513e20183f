"""One Envoy as a child process.

Every lane has a process of its own, because filters keep state in process-wide shared data and because
CPU time is read per process. Ports are chosen by the kernel and asked from the admin interface, so that
any number of Envoys start side by side. The route answers by itself (`direct_response`) after the filters
have run; with `upstream` it is forwarded there instead.
"""

import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 60

ANSWER = json.dumps({"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "bench"}]})

WHOLE_REQUEST = {
    "name": "envoy.filters.http.buffer",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
        "max_request_bytes": 16 * 1024 * 1024,
    },
}


@dataclass(frozen=True)
class Chain:
    """HTTP filters, and the network filters in front of them."""

    filters: tuple[dict, ...] = ()
    guards: tuple[dict, ...] = ()


class StartFailed(Exception):
    pass


class Envoy:
    def __init__(self, binary: Path, name: str, chain: Chain, directory: Path, upstream: int | None = None):
        self.name = name
        self.log = directory / "envoy.log"
        self._admin = directory / "admin"
        directory.mkdir(parents=True)
        config = directory / "envoy.json"
        config.write_text(json.dumps(bootstrap(chain, upstream), indent=1))
        self._process = subprocess.Popen(
            [
                binary,
                "-c",
                config,
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "warning",
                "--log-path",
                self.log,
                "--admin-address-path",
                self._admin,
            ],
            stdout=subprocess.DEVNULL,
            stderr=open(directory / "stderr", "w"),
            start_new_session=True,
        )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._live():
            if self._process.poll() is not None:
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
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def last_words(self) -> str:
        texts = [file.read_text(errors="replace") for file in (self.log, self.log.with_name("stderr")) if file.exists()]
        ended = self._process.poll()
        state = "Envoy is running" if ended is None else f"Envoy ended with {ended}"
        return "\n".join([state + "; its last words:", *"".join(texts).splitlines()[-15:]])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

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


def bootstrap(chain: Chain, upstream: int | None) -> dict:
    any_port = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    answer = {
        "direct_response": {"status": 200, "body": {"inline_string": ANSWER}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": "application/json"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }
    forward = {"route": {"cluster": "upstream"}}
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [*chain.filters, router],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "bench",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, **(forward if upstream else answer)}],
                }
            ]
        },
    }
    listener = {
        "name": "bench",
        "address": any_port,
        "filter_chains": [
            {
                "filters": [
                    *chain.guards,
                    {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
                ]
            }
        ],
    }
    return {
        "admin": {"address": any_port},
        "static_resources": {
            "listeners": [listener],
            "clusters": [cluster(upstream)] if upstream else [],
        },
    }


def cluster(port: int) -> dict:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    return {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
    }
