"""A real Prometheus with the configuration that is shipped, but for its target and a shorter interval."""

import json
import shutil
import time
import urllib.error
import urllib.parse

from tests.deploy.shipped import SHIPPED
from tests.lab.process import Children, get, poll, printed


class Prometheus:
    def __init__(self, address: str):
        self.address = address

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


def start(children: Children, target: str) -> Prometheus:
    """A Prometheus that scrapes `target` every second."""
    folder = children.new_folder("prometheus-data")
    text = (SHIPPED / "prometheus/prometheus.yml").read_text()
    text = text.replace("127.0.0.1:9901", target).replace("interval: 5s", "interval: 1s")
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(SHIPPED / "prometheus/rules.yml", folder)
    command = [printed("debian.sh", "prometheus", "prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"]
    address = children.start("prometheus", command).logged(r'"Listening on" address=([\d.:]+)')
    poll("Prometheus", lambda: get(f"http://{address}/-/ready"))
    return Prometheus(address)
