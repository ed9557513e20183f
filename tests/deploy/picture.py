"""Draws what a real Prometheus answers to the dashboard's expressions, after two and a half minutes of a crowd at the
reference configuration: the first two panels of each of its rows, as plain lines. It is not Grafana's own drawing.

    tests/deploy/run.sh picture        (`make dashboard`) leaves envoy/grafana/tidegate.svg
"""

import itertools
import json
import math
import re
import time

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter, StrMethodFormatter

from tests.deploy import prometheus as monitoring
from tests.deploy.crowd import Crowd
from tests.deploy.running import gateway
from tests.deploy.shipped import SHIPPED
from tests.lab.process import Children, poll

DEAD, ALL_FAIL, END = (40, 65), (80, 105), 150
STEP, COLUMNS, OF_EACH_ROW, NAMED = 2, 4, 2, 6
UNITS = {"reqps": "/s", "ms": " ms", "percent": " %"}
# Text stays text, and the same numbers give the same file.
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "tidegate", "font.size": 8}


def drawn() -> list[tuple[str, dict]]:
    """The panels that are drawn, each under the name of its row and its own."""
    rows: dict[str, list[dict]] = {}
    for panel in json.loads((SHIPPED / "grafana/tidegate.json").read_text())["panels"]:
        if panel["type"] == "row":
            rows[panel["title"]] = []
        else:
            rows[next(reversed(rows))].append(panel)
    return [(f"{row}: {panel['title']}", panel) for row, panels in rows.items() for panel in panels[:OF_EACH_ROW]]


def measure() -> list[list[tuple[str, list[tuple[float, float]]]]]:
    """The lines of each panel: a name, and seconds since the beginning with what was measured then."""
    with Children() as children:
        envoy, models = gateway(children)
        prometheus = monitoring.start(children, envoy.admin)
        poll("first scrape", lambda: prometheus.query("tidegate_rate_limit_admitted"))
        begun = time.time()

        def wait(second: float) -> None:
            time.sleep(max(0, begun + second - time.time()))

        with Crowd(envoy.port) as crowd:
            wait(DEAD[0])
            models[1].kill()
            wait(DEAD[1])
            models[1].start()
            crowd.impatient.set()
            models[0].behave(status=429)
            wait(ALL_FAIL[0])
            for model in models:
                model.behave(status=500)
            wait(ALL_FAIL[1])
            for model in models:
                model.behave(status=200)
            wait(END)
            return [lines(prometheus, panel, begun) for _, panel in drawn()]


def lines(prometheus, panel, begun):
    found = []
    for target in panel["targets"]:
        for series in prometheus.over_time(target["expr"], begun, STEP):
            name = re.sub(r"{{(\w+)}}", lambda label, s=series: s["metric"].get(label[1], ""), target["legendFormat"])
            points = [(float(at) - begun, float(value)) for at, value in series["values"]]
            if any(value for _, value in points if not math.isnan(value)):
                found.append((name, points))
    return found


def draw(measured) -> None:
    rows = math.ceil(len(measured) / COLUMNS)
    figure = Figure(figsize=(13, 1.9 * rows + 0.8), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, sharex=True).flat
    for axes, shown in itertools.zip_longest(grid, zip(drawn(), measured)):
        if shown is None:
            axes.set_axis_off()
            continue
        (title, panel), found = shown
        axes.set_title(title, loc="left", fontsize=8, weight="bold")
        for number, (name, points) in enumerate(found):
            axes.plot(*zip(*points), linewidth=1, label=name if number < NAMED else None)
        if found:
            axes.legend(fontsize=6, frameon=False, loc="upper left", ncols=2)
        else:
            axes.text(0.5, 0.5, "0 throughout", transform=axes.transAxes, ha="center", color="grey")
        for span in (DEAD, ALL_FAIL):
            axes.axvspan(*span, color="0.93")
        axes.yaxis.set_major_formatter(formatter(panel["fieldConfig"]["defaults"].get("unit")))
        axes.set_ylim(0, 1.6 * axes.get_ylim()[1])
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(f"seconds; grey: one of three servers is dead, from {DEAD[0]} s; all fail, from {ALL_FAIL[0]} s")
    figure.savefig(SHIPPED / "grafana/tidegate.svg", metadata={"Date": None})


def formatter(unit: str | None):
    if unit == "percentunit":
        return PercentFormatter(1)
    return EngFormatter("B") if unit == "bytes" else StrMethodFormatter("{x:g}" + UNITS.get(unit, ""))


if __name__ == "__main__":
    draw(measure())
