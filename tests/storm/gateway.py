"""One Envoy with two workers in front of the model server, with or without the retry budget."""

import http.client
import json
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "dist" / "retry-budget.wasm"
START_TIMEOUT = 60


class Failure(Exception):
    """What went wrong, in one sentence for the user."""


def find_envoy() -> Path:
    found = subprocess.run([ROOT / "envoy" / "find-envoy.sh"], capture_output=True, text=True)
    if found.returncode:
        raise Failure(f"no Envoy: {found.stderr.strip()}")
    return Path(found.stdout.strip())


class Gateway:
    def __init__(self, binary: Path, directory: Path, upstream: int, budget: dict | None):
        directory.mkdir()
        self._admin = directory / "admin"
        self._log = directory / "envoy.log"
        config = directory / "envoy.json"
        config.write_text(json.dumps(bootstrap(upstream, budget), indent=1))
        self._process = subprocess.Popen(
            [binary, "-c", config, "--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"]
            + ["--log-path", self._log, "--admin-address-path", self._admin],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_ready()
        listener = json.loads(self._ask("/listeners?format=json"))["listener_statuses"][0]
        self.port = listener["local_address"]["socket_address"]["port_value"]

    def stat(self, name: str) -> int:
        return int(self._ask(f"/stats?filter=^{name}$").rpartition(b" ")[2] or 0)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"Envoy did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self._ask("/ready") == b"LIVE"
        except OSError:
            return False

    def _ask(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(self._admin.read_text().strip(), timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().strip()
        finally:
            connection.close()


def bootstrap(upstream: int, budget: dict | None) -> dict:
    any_port = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    types = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "60s"}}
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,
        "http_filters": [*([] if budget is None else [wasm(types, budget)]), router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}}
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 10_000)
    return {
        "admin": {"address": any_port},
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": any_port,
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "upstream",
                    "circuit_breakers": {"thresholds": [limits]},
                    "load_assignment": {
                        "cluster_name": "upstream",
                        "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
                    },
                }
            ],
        },
    }


def wasm(types: str, budget: dict) -> dict:
    return {
        "name": "retry-budget",
        "typed_config": {
            "@type": f"{types}.http.wasm.v3.Wasm",
            "config": {
                "name": "retry-budget",
                "root_id": "retry-budget",
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": "tidegate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": str(MODULE)}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": json.dumps(budget),
                },
            },
        },
    }
