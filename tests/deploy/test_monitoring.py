"""The alerts fire when they should, and every expression of rules and panels is given to a real Prometheus that scrapes
the reference configuration in a real Envoy, with traffic of every kind."""

import json
import re
import subprocess
import time
import unittest
from pathlib import Path


from tests.deploy import prometheus as monitoring
from tests.deploy.crowd import Crowd
from tests.deploy.picture import drawn
from tests.deploy.running import gateway
from tests.deploy.shipped import SHIPPED, documents, panels, plugins
from tests.lab import ROOT
from tests.lab.process import Children, get, poll, printed

HERE = Path(__file__).parent
# The metrics that nothing provokes here, by what it would take.
QUIET = {
    "a limit in shadow": {
        "tidegate_.+_shadowed",
        "tidegate_connection_guard_shadowed",
        "tidegate_header_limit_shadowed",
        "tidegate_rate_limit_shadowed",
        "tidegate_slow_client_shadowed",
        "tidegate_input_limit_shadowed",
        "tidegate_retry_budget_shadowed",
    },
    "a race that is lost too often": {
        "tidegate_.+_contended",
        "tidegate_connection_guard_contended",
        "tidegate_rate_limit_contended",
    },
    "more clients than a table has places for": {
        "tidegate_.+_evicted",
        "tidegate_.+_saturated",
        "tidegate_connection_guard_evicted",
        "tidegate_connection_guard_saturated",
        "tidegate_rate_limit_evicted",
        "tidegate_rate_limit_saturated",
        "tidegate_degradation_evicted",
    },
    "a limit that delays": {"tidegate_rate_limit_delayed"},
    "a default answer of status 200": {"tidegate_degradation_defaulted"},
    "120 s without an answer": {"tidegate_degradation_timeouts"},
    "more requests than Envoy's thresholds": {"envoy_cluster_upstream_rq_pending_overflow"},
    "a module that traps": {"envoy_wasm_.+_vm_reload_(success|failure|backoff)"},
    "memory that is short": {"envoy_overload_envoy_resource_monitors_fixed_heap_pressure"},
}


def rules():
    (file,) = documents(SHIPPED / "prometheus/rules.yml")
    return [rule for group in file["groups"] for rule in group["rules"]]


def expressions():
    """Each with where it stands."""
    for rule in rules():
        for expression in operands(rule["expr"]) if "alert" in rule else [rule["expr"]]:
            yield rule.get("alert") or rule["record"], expression
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def operands(expression):
    """The series that an alert compares with its bounds. They exist while all is well, unlike the alert."""
    return [re.split(r" [<>] ", part)[0] for part in re.split(r"\bor\b", expression)]


def metric(expression):
    """The first metric that an expression names, or the pattern of their names."""
    pattern, name = re.search(r'__name__=~"([^"]+)"|\b((?:tidegate|envoy)[_:]\w+)', expression).groups()
    return pattern or name


def without_tags(configuration):
    del configuration["stats_config"]


def series(metrics):
    """The names and labels of our counters in Prometheus' text, a rule as it is spelt without tags."""
    found = re.findall(r'(?m)^(tidegate_\w+){(?:module="(\w+)")?,?(?:rule="([^"]+)")?}', metrics)
    return {(name, module, re.sub(r"\W", "_", rule)) for name, module, rule in found}


class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(
            [printed("debian.sh", "promtool", "prometheus"), *map(str, arguments)], capture_output=True, text=True
        )
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

    def test_the_picture_shows_these_panels(self):
        picture = (SHIPPED / "grafana/tidegate.svg").read_text()
        for title, _ in drawn():
            self.assertIn(f">{title}<", picture, "drawn by `make dashboard`")

    def test_grafana_finds_the_source_that_the_panels_name(self):
        (provisioned,) = documents(SHIPPED / "grafana/provisioning/datasources/prometheus.yaml")
        sources = {source["uid"] for source in provisioned["datasources"]}
        self.assertEqual({panel["datasource"]["uid"] for panel in panels()}, sources)


class Measured(unittest.TestCase):
    def test_every_expression_has_data_where_there_was_traffic(self):
        with Children() as children:
            envoy, models = gateway(children)
            prometheus = monitoring.start(children, envoy.admin)
            # Rates need a scrape before the traffic.
            poll("first scrape", lambda: prometheus.query("tidegate_rate_limit_admitted"))
            begun = time.time()
            with Crowd(envoy.port) as crowd:
                time.sleep(8)
                models[1].kill()
                time.sleep(3)
                crowd.impatient.set()
                for model in (models[0], models[2]):
                    model.behave(status=429)
                time.sleep(3)
                for model in (models[0], models[2]):
                    model.behave(status=500)
                poll("open breaker", lambda: prometheus.query("max(tidegate_degradation_breaker_state) == 1"))
                time.sleep(2)
            quiet = set().union(*QUIET.values())
            for place, expression in expressions():
                with self.subTest(place=place, expression=expression):
                    found = prometheus.over_time(expression, begun)
                    self.assertTrue(found)
                    had = [float(value) for series in found for _, value in series["values"]]
                    self.assertTrue(metric(expression) in quiet or any(value > 0 for value in had), "always 0")
            for rule in rules():
                prometheus.query(rule["expr"])
            pages = "".join(page.read_text() for page in sorted((ROOT / "docs/operate").glob("*.md")))
            asked = re.findall(r"Q '([^']+)'", pages)
            self.assertGreater(len(asked), 8)
            for expression in asked:
                with self.subTest(page=expression):
                    self.assertTrue(prometheus.query(expression))
            for path in re.findall(r'curl -s "?\$A(/[^"\n|;]+?)(?:"| \||\n)', pages):
                with self.subTest(page=path):
                    self.assertTrue(envoy.ask(path.replace("|", "%7C")).strip())
            for rule in (
                'tidegate_rate_limit_throttled{module="rate_limit",rule="per-client"}',
                'tidegate_header_limit_rejected{module="header_limit",rule="fields.user-agent"}',
                'tidegate_input_limit_rejected{module="input_limit",rule="max_choices"}',
                'tidegate_slow_client_rejected{module="slow_client",rule="rate"}',
                'tidegate_connection_guard_rejected{module="connection_guard",rule="header_rate"}',
                'tidegate_connection_guard_rejected{module="connection_guard",rule="too_many_connections"}',
            ):
                with self.subTest(rule=rule):
                    self.assertTrue(prometheus.query(f"{rule} > 0"))

    def test_what_is_said_to_be_quiet_is_asked_for(self):
        self.assertLessEqual(set().union(*QUIET.values()), {metric(expression) for _, expression in expressions()})

    def test_a_prometheus_makes_the_labels_of_an_envoy_that_makes_none(self):
        with Children() as children:
            envoy, _ = gateway(children, "envoy-composite.yaml")
            tagged = envoy.ask("/stats/prometheus")
            envoy, _ = gateway(children, "envoy-composite.yaml", without_tags)
            prometheus = monitoring.start(children, envoy.admin)
            self.assertEqual(series(envoy.ask("/stats/prometheus")) & series(tagged), set())
            poll("scrape", lambda: prometheus.query("tidegate_rate_limit_admitted"))
            found = get(f"http://{prometheus.address}/federate?match[]={{__name__=~'tidegate_.%2B'}}")
            kept = re.sub(r'instance="[^"]*",|job="[^"]*",|,(?:instance|job)="[^"]*"', "", found)
            self.assertEqual(series(kept), series(tagged))
