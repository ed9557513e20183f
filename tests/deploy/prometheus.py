"""A real Prometheus with the configuration that is shipped, but for its target and a shorter interval."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
from pathlib import Path

from envoy import get, poll
from shipped import SHIPPED


class Prometheus:
    def __init__(self, target):
        text = (SHIPPED / "prometheus/prometheus.yml").read_text()
        self.text = text.replace("127.0.0.1:9901", target).replace("interval: 5s", "interval: 1s")

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        (folder / "prometheus.yml").write_text(self.text)
        shutil.copy(SHIPPED / "prometheus/rules.yml", folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command.append(f"--web.listen-address={self.address}")
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)
        poll("Prometheus", lambda: get(f"http://{self.address}/-/ready"))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def query(self, expression):
        return self.ask("query", query=expression)

    def over_time(self, expression, start, step=1):
        """Its series since then, every so many seconds."""
        return self.ask("query_range", query=expression, start=start, end=time.time(), step=step)

    def ask(self, what, query, **more):
        # Grafana fills in the interval.
        query = query.replace("$__rate_interval", "15s")
        parameters = urllib.parse.urlencode({"query": query} | more)
        try:
            return json.loads(get(f"http://{self.address}/api/v1/{what}?{parameters}"))["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
