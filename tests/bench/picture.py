"""The report as a picture: a bar of CPU per request for every lane, one panel for each workload.

The part of a bar that Envoy costs without any filter is pale (a refusal can cost less than that); the dashed line is
the cost of five empty Wasm filters.
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from tests.bench.lanes import EMPTY, FIVE_EMPTY, PLAIN

COLOURS = {"envoy": "#d1d9e0", "native": "#818b98", "empty": "#bf8700", "ours": "#0969da"}
NATIVE = ("local_ratelimit", "buffer", "lua")
# Text stays text, and the same numbers give the same file.
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "tidegate", "font.size": 8}


def draw(document: dict, file: Path) -> None:
    workloads = [workload for workload in document["workloads"].values() if workload["lanes"][0]["cpu_us"]]
    rows = max(len(workload["lanes"]) for workload in workloads)
    figure = Figure(figsize=(9.5, 1.4 + 0.2 * rows), layout="constrained")
    for axes, workload in zip(figure.subplots(1, len(workloads), sharey=True, squeeze=False)[0], workloads):
        panel(axes, workload)
    figure.suptitle("CPU of Envoy per request, in µs, by filter", weight="bold")
    figure.supxlabel("pale: Envoy without a filter · dashed: five empty Wasm filters · each panel has its own scale")
    figure.savefig(file, metadata={"Date": None})


def panel(axes, workload: dict) -> None:
    costs = {row["lane"]: row["cpu_us"]["median"] for row in workload["lanes"]}
    plain = costs.get(PLAIN, 0)
    bars = axes.barh(list(costs), list(costs.values()), color=[COLOURS[kind(lane)] for lane in costs])
    axes.barh(list(costs), [plain if cost > plain else 0 for cost in costs.values()], color=COLOURS["envoy"])
    axes.bar_label(bars, [f"{cost:,.1f}" if cost < 1000 else f"{cost:,.0f}" for cost in costs.values()], padding=3)
    if FIVE_EMPTY in costs:
        axes.axvline(costs[FIVE_EMPTY], color=COLOURS["empty"], linestyle="--", linewidth=1)
    axes.set(title=workload["title"], xlim=(0, 1.2 * max(costs.values())))
    axes.margins(y=0.01)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()


def kind(lane: str) -> str:
    if lane == PLAIN:
        return "envoy"
    if lane.startswith(NATIVE):
        return "native"
    return "empty" if lane in (EMPTY, FIVE_EMPTY) else "ours"
