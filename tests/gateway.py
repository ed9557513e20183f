"""One Envoy with two workers in front of a model server, with or without a filter of ours, and the scripts around it."""

import json
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from admin import ROOT, Admin, Failure

START_TIMEOUT = 60
TYPES = "type.googleapis.com/envoy.extensions.filters"


class Gateway(Admin):
    def __init__(self, binary: Path, directory: Path, bootstrap: dict | str):
        """`bootstrap`: a document, or YAML as it is."""
        directory.mkdir()
        super().__init__(directory / "admin")
        self._log = directory / "envoy.log"
        text = bootstrap if isinstance(bootstrap, str) else json.dumps(bootstrap, indent=1)
        config = directory / "envoy.yaml"
        config.write_text(text)
        self._process = subprocess.Popen(
            [binary, "-c", config, "--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"]
            + ["--log-path", self._log, "--admin-address-path", directory / "admin"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_ready()
        self.port = self.listener_port()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self.is_live():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"Envoy did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


def script(stack: ExitStack, binary: str | Path, file: Path, *arguments) -> subprocess.Popen:
    """A Python script that is told things on stdin and says others on stdout."""
    process = subprocess.Popen(
        [binary, "-B", file, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def outcomes(*processes: subprocess.Popen) -> list:
    """The lists that clients print when they are done, as one."""
    calls = [call for process in processes for call in json.loads(process.communicate()[0] or "[]")]
    if any(process.returncode for process in processes):
        raise Failure("some clients ended with an error, which is above")
    return calls


def module(root_id: str) -> Path:
    file = ROOT / "dist" / f"{root_id}.wasm"
    if not file.exists():
        raise Failure(f"dist/{root_id}.wasm is missing: run `make build` first.")
    return file


def wasm(root_id: str, document: dict, hold: bool = False) -> dict:
    """A filter of ours; `hold` where it may hold headers."""
    return {
        "name": root_id,
        "typed_config": {
            "@type": f"{TYPES}.http.wasm.v3.Wasm",
            "config": {
                "name": root_id,
                "root_id": root_id,
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": hold,
                "vm_config": {
                    "vm_id": "tidegate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": str(module(root_id))}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": json.dumps(document),
                },
            },
        },
    }


def reference(file: str, upstream: int, changes: dict) -> str:
    """A reference configuration as it is but for addresses, ports, the access log, and what `changes` replaces."""
    text = (ROOT / "envoy" / file).read_text()
    text = text.replace("/etc/envoy/", f"{ROOT}/dist/").replace("port_value: 9901", "port_value: 0")
    text = text.replace("0.0.0.0, port_value: 8080", "127.0.0.1, port_value: 0")
    text = re.sub(
        r"address: model-server[\w.-]*, port_value: 8000", f"address: 127.0.0.1, port_value: {upstream}", text
    )
    for written, instead in changes.items():
        if written not in text:
            raise Failure(f"envoy/{file} does not say {written}")
        text = text.replace(written, instead)
    return text


def bootstrap(upstream: int, *filters: dict, timeout: str = "60s") -> dict:
    any_port = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    router = {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": timeout}}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,
        "http_filters": [*filters, router],
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
