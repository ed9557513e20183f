"""The alerts fire when they should, and every metric that a rule or a panel names is one that a real Prometheus finds
at a real Envoy with the modules."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
from pathlib import Path

import yaml

from envoy import Envoy, bootstrap, get, poll
from shipped import SHIPPED, documents, module, plugins, wasm_filter

HERE = Path(__file__).parent
PLANNED = yaml.safe_load((HERE / "planned-metrics.yaml").read_text())
NAME = re.compile(r"\b(?:tidegate:[a-z0-9:]+|(?:tidegate|envoy)_[a-z_]+)\b")
WITHOUT = "promtool and prometheus are not on PATH: install Debian's prometheus, or leave it to the tests by apt-get"


def rules():
    (file,) = documents(SHIPPED / "prometheus/rules.yml")
    return [rule for group in file["groups"] for rule in group["rules"]]


def panels():
    dashboard = json.loads((SHIPPED / "grafana/tidegate.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions():
    """Each with where it stands; Grafana fills in the interval."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def metrics_in(expression):
    """The metrics that an expression names; the names and values of labels are none."""
    return set(NAME.findall(re.sub(r"{[^}]*}|by \([^)]*\)", "", expression)))


def planned():
    names = set()
    for name, metrics in PLANNED.items():
        if module(name) is None:
            names |= {f"tidegate_{name.replace('-', '_')}_{metric}" for metric in metrics}
    return names


def built():
    """An Envoy with every module of the chain that is built."""
    filters = {"http": [], "network": []}
    for plugin in plugins("chain.yaml"):
        if module(plugin["pluginName"]):
            kind = plugin["type"].lower()
            filters[kind].append(wasm_filter(plugin["pluginName"], plugin["pluginConfig"], kind))
    configuration = bootstrap(filters["http"], filters["network"])
    configuration["static_resources"]["clusters"] = [{"name": "model", "connect_timeout": "1s"}]
    return Envoy(configuration)


class Prometheus:
    """With the configuration that is shipped, but for its target and a shorter interval."""

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

    def names(self):
        return set(json.loads(get(f"http://{self.address}/api/v1/label/__name__/values"))["data"])

    def query(self, expression):
        query = urllib.parse.urlencode({"query": expression})
        return json.loads(get(f"http://{self.address}/api/v1/query?{query}"))["data"]["result"]


@unittest.skipUnless(shutil.which("promtool"), WITHOUT)
class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_prometheus_takes_the_configuration_and_the_rules(self):
        self.promtool("check", "config", SHIPPED / "prometheus/prometheus.yml")

    def test_alerts_fire_when_they_should_and_not_otherwise(self):
        self.promtool("test", "rules", HERE / "rules.test.yml")

    def test_every_alert_is_shown_to_fire_or_to_stay_silent(self):
        shown = (HERE / "rules.test.yml").read_text()
        for rule in rules():
            if "alert" in rule:
                self.assertIn(rule["alert"], shown)


class Dashboard(unittest.TestCase):
    def test_every_module_has_a_row(self):
        dashboard = json.loads((SHIPPED / "grafana/tidegate.json").read_text())
        rows = {panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"}
        self.assertLessEqual({plugin["pluginName"] for plugin in plugins("chain.yaml")}, rows)

    def test_panels_do_not_overlap_and_have_their_own_numbers(self):
        dashboard = json.loads((SHIPPED / "grafana/tidegate.json").read_text())
        seen, taken = set(), set()
        for panel in dashboard["panels"]:
            self.assertNotIn(panel["id"], seen)
            seen.add(panel["id"])
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            taken |= cells

    def test_grafana_finds_the_source_that_the_panels_name(self):
        (provisioned,) = documents(SHIPPED / "grafana/provisioning/datasources/prometheus.yaml")
        sources = {source["uid"] for source in provisioned["datasources"]}
        self.assertEqual({panel["datasource"]["uid"] for panel in panels()}, sources)

    @unittest.skipUnless(shutil.which("prometheus"), WITHOUT)
    def test_every_expression_finds_its_metrics_at_a_real_envoy(self):
        with built() as envoy, Prometheus(envoy.admin) as prometheus:
            # Rates need a scrape before the traffic and one after it.
            poll("first scrape", lambda: "tidegate_rate_limit_admitted" in prometheus.names())
            statuses = [status(f"http://{envoy.front}/v1/models") for _ in range(60)]
            self.assertEqual({200, 429}, set(statuses))
            needed = set().union(*(metrics_in(expression) for _, expression in expressions()))
            self.assertGreater(len(needed), 40)
            with contextlib.suppress(AssertionError):
                poll("complete scrape", lambda: needed - prometheus.names() <= planned())
            missing = needed - prometheus.names()
            self.assertEqual(missing, planned() & needed, "named by a rule or a panel, and defined by no module")
            for place, expression in expressions():
                with self.subTest(place=place, expression=expression):
                    self.run_expression(prometheus, expression, missing)
            refused = f'tidegate_rate_limit_throttled_by_rule{{rule="per_client"}} == {statuses.count(429)}'
            poll(refused, lambda: prometheus.query(refused))

    def run_expression(self, prometheus, expression, missing):
        try:
            # An alert's comparison holds for nothing in a quiet Envoy; a panel's expression has a value.
            if re.search(r" > ", expression) or metrics_in(expression) & missing:
                prometheus.query(expression)
            else:
                poll(f"value of {expression}", lambda: prometheus.query(expression))
        except urllib.error.HTTPError as error:
            self.fail(error.read().decode())


def status(url):
    try:
        get(url)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    unittest.main()
