"""Medians and ratios of a run, as tables to read and as JSON to keep.

The turns of one round lie seconds apart and share the machine's mood, so an overhead is formed within its
round; the median over the rounds is what counts, and a ratio is that of two medians of one start of the
Envoys. Shown is the median start's ratio, with the lowest and the highest of any start: a process keeps the
memory layout it got, which alone moves a cost by some percent. A span across its target decides nothing.
Latencies are left out where the load could not keep its own schedule, as on a machine that does other things.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median

from hostcalls import Crossings
from lanes import EMPTY, NATIVE_REFUSED, PLAIN, Target
from measure import Speed
from workloads import WORKLOADS


@dataclass
class Measured:
    """One lane on one workload: CPU seconds per request by start, then by round; speed and resident bytes by start."""

    cpu: list[list[float]] = field(default_factory=list)
    speed: list[Speed] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    crossings: Crossings | None = None


Results = dict[str, dict[str, Measured]]
"""By workload, then by lane."""


def no_results() -> Results:
    return defaultdict(lambda: defaultdict(Measured))


@dataclass(frozen=True)
class Ratio:
    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


class Report:
    def __init__(self, results: Results, settings: dict):
        self._results = results
        self._settings = settings

    def document(self, targets: tuple[Target, ...]) -> dict:
        workloads = {
            name: {"title": WORKLOADS[name].title, "lanes": [self.row(name, lane) for lane in lanes]}
            for name, lanes in self._results.items()
        }
        verdicts = [verdict for verdict in map(self.verdict, targets) if verdict]
        return {"settings": self._settings, "workloads": workloads, "targets": verdicts}

    def row(self, workload: str, lane: str) -> dict:
        measured = self._results[workload][lane]
        costs = [micro(cost) for cost in chain(*measured.cpu)]
        overheads = self.measured(workload, lane, "overhead") if lane != PLAIN else None
        overhead = median(chain(*overheads)) if overheads else None
        return {
            "lane": lane,
            "requests": WORKLOADS[workload].requests * len(costs),
            "cpu_us": {"median": median(costs), "min": min(costs), "max": max(costs)} if costs else None,
            "overhead_us": micro(overhead) if overheads else None,
            "overhead_of_empty_wasm": self.ratio(workload, lane, EMPTY, "overhead")
            if overhead and overhead > 0
            else None,
            "cost_of_native_refusing": self.ratio(workload, lane, NATIVE_REFUSED, "cost"),
            "speed": speed(measured.speed),
            "resident_mib": round(median(measured.resident) / 2**20, 1) if measured.resident else None,
            "crossings": measured.crossings,
            "turns_us": costs,
        }

    def verdict(self, target: Target) -> dict | None:
        ratio = self.ratio(target.workload, target.lane, target.base, target.measure)
        return ratio and {
            "target": f"{target.workload}: {target.measure} of '{target.lane}' over that of '{target.base}'",
            "at_most": target.at_most,
            "measured": ratio,
            "met": ratio.median <= target.at_most,
        }

    def ratio(self, workload: str, lane: str, base: str, measure: str) -> Ratio | None:
        above, below = self.measured(workload, lane, measure), self.measured(workload, base, measure)
        if not above or not below:
            return None
        by_start = [median(a) / median(b) for a, b in zip(above, below)]
        return Ratio(median(by_start), min(by_start), max(by_start))

    def measured(self, workload: str, lane: str, measure: str) -> list[list[float]] | None:
        lanes = self._results.get(workload, {})
        costs, plain = (lanes[name].cpu if name in lanes else None for name in (lane, PLAIN))
        if measure == "cost" or not costs:
            return costs
        return plain and [[a - b for a, b in zip(*starts)] for starts in zip(costs, plain)]


def micro(seconds: float) -> float:
    return round(seconds * 1e6, 3)


def speed(starts: list[Speed]) -> dict | None:
    if not starts:
        return None
    times = {
        "first_byte_p50_us": median(start.first_p50 for start in starts),
        "first_byte_p99_us": median(start.first_p99 for start in starts),
        "p50_us": median(start.p50 for start in starts),
        "p99_us": median(start.p99 for start in starts),
    }
    punctual = median(start.late for start in starts) <= 0.01
    rate = round(median(start.saturation for start in starts))
    return {"requests_per_second": rate} | {name: micro(time) if punctual else None for name, time in times.items()}


def write(document: dict, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, default=vars) + "\n")


def text(document: dict) -> str:
    parts = []
    for workload in document["workloads"].values():
        rows = workload["lanes"]
        if any(row["cpu_us"] for row in rows):
            parts.append(table(f"{workload['title']}: CPU", CPU_COLUMNS, map(cpu_cells, rows)))
        if any(row["speed"] for row in rows):
            parts.append(table(f"{workload['title']}: speed", SPEED_COLUMNS, map(speed_cells, rows)))
        counted = [row for row in rows if row["crossings"]]
        if counted:
            parts.append(table(f"{workload['title']}: crossings", CROSSING_COLUMNS, map(crossing_cells, counted)))
    if document["started"]:
        parts.append(table("Start: CPU", START_COLUMNS, map(start_cells, document["started"])))
    if document["scans"]:
        parts.append(table("1 MB chat, read in the VM: MB/s", SCAN_COLUMNS, map(scan_cells, document["scans"])))
    verdicts = "\n".join(map(sentence, document["targets"]))
    return "\n\n".join(filter(None, [*parts, verdicts]))


CPU_COLUMNS = ("lane", "requests", "µs/request", "overhead µs", "of empty wasm's", "of native refusing", "RSS MiB")


def cpu_cells(row: dict) -> tuple[str, ...]:
    return (
        row["lane"],
        f"{row['requests']:,}",
        "{median:.2f} [{min:.2f}..{max:.2f}]".format(**row["cpu_us"]),
        "–" if row["overhead_us"] is None else f"{row['overhead_us']:.2f}",
        str(row["overhead_of_empty_wasm"] or "–"),
        str(row["cost_of_native_refusing"] or "–"),
        str(row["resident_mib"] or "–"),
    )


SPEED_COLUMNS = ("lane", "requests/s", "at half: p50 µs", "p99 µs", "first byte p50 µs", "p99 µs")


def speed_cells(row: dict) -> tuple[str, ...]:
    measured = row["speed"]
    times = ("p50_us", "p99_us", "first_byte_p50_us", "first_byte_p99_us")
    return (
        row["lane"],
        f"{measured['requests_per_second']:,}",
        *("–" if measured[time] is None else f"{measured[time]:,.0f}" for time in times),
    )


CROSSING_COLUMNS = ("lane", "callbacks", "host calls", "of which")


def crossing_cells(row: dict) -> tuple[str, ...]:
    found = row["crossings"]
    sums = (f"{sum(kinds.values()):g}" for kinds in (found.callbacks, found.calls))
    return (row["lane"], *sums, kinds(found.callbacks) + " · " + (kinds(found.calls) or "no host call"))


START_COLUMNS = ("lane", "bytes", "VM ms", "each worker's copy ms")


def start_cells(row: dict) -> tuple[str, ...]:
    return (row["module"], f"{row['bytes']:,}", f"{row['vm_ms']:.0f}", f"{row['copy_ms']:.1f}")


SCAN_COLUMNS = ("lane", "scan", "serde_json::Value", "scan over Value")


def scan_cells(row: dict) -> tuple[str, ...]:
    spans = (f"{median(each):.0f} [{min(each):.0f}..{max(each):.0f}]" for each in row["megabytes_per_second"].values())
    return (row["text"], *spans, f"{row['scan_over_value']:.2f}")


def kinds(found: dict[str, float]) -> str:
    return ", ".join(f"{count:g} {name}" for name, count in found.items())


def table(title: str, columns: tuple[str, ...], rows) -> str:
    cells = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    right = [str.ljust if name in ("lane", "of which") else str.rjust for name in columns]
    lines = ["  ".join(fit(cell, width) for fit, cell, width in zip(right, line, widths)).rstrip() for line in cells]
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]])


def sentence(verdict: dict) -> str:
    word = "met   " if verdict["met"] else "missed"
    return f"{word}  {verdict['target']}: {verdict['measured']}, at most {verdict['at_most']:.2f}"
