"""A real Envoy with one listener in front of an answer of its own, ended at the end of the `with` block."""

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

TYPE = "type.googleapis.com/envoy.extensions.filters"
PATIENCE = 60


def bootstrap(http_filters, network_filters=()):
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [*http_filters, router],
    }
    filters = [*network_filters, {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"name": "front", "address": address, "filter_chains": [{"filters": filters}]}
    return {"admin": {"address": address}, "static_resources": {"listeners": [listener]}}


def complaint(configuration, *options):
    """What Envoy has against a configuration; empty if it takes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "envoy.json"
        file.write_text(json.dumps(configuration))
        command = [os.environ["ENVOY"], "--mode", "validate", "--config-path", str(file), "--log-level", "error"]
        command += options
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return "" if done.returncode == 0 else done.stderr + done.stdout


class Envoy:
    def __init__(self, configuration):
        self.configuration = configuration

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        (folder / "envoy.json").write_text(json.dumps(self.configuration))
        command = [os.environ["ENVOY"], "--config-path", "envoy.json", "--admin-address-path", "admin"]
        command += ["--concurrency", "2", "--disable-hot-restart", "--log-path", "log", "--log-level", "error"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.find(folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def find(self, folder):
        self.admin = poll("Envoy's admin address", lambda: self.alive() and read(folder / "admin"))
        poll("Envoy's readiness", lambda: self.ask("/ready").strip() == "LIVE")
        listeners = json.loads(self.ask("/listeners?format=json"))["listener_statuses"]
        place = listeners[0]["local_address"]["socket_address"]
        self.front = f"{place['address']}:{place['port_value']}"

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Envoy ended:\n{read(Path(self.folder.name) / 'log')}")
        return True

    def ask(self, path):
        return get(f"http://{self.admin}{path}")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def read(path):
    return path.read_text().strip() if path.exists() else ""


def poll(what, found):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if value := found():
                return value
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {PATIENCE} s")
