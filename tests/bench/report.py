"""Medians and ratios of a run, as a table to read and as JSON to keep.

The turns of one round lie seconds apart and share the machine's mood, so an overhead is formed within its
round; the median over the rounds is what counts, and a ratio is that of two medians of one start of the
Envoys. Shown is the median start's ratio, with the lowest and the highest of any start: a process keeps the
memory layout it got, which alone moves a cost by some percent. A span across its target decides nothing.
"""

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median

from lanes import EMPTY, NATIVE_REFUSED, PLAIN, Lane, Target

Samples = dict[str, list[list[float]]]
"""CPU seconds per request: by lane, then by start, then by round."""

COLUMNS = ("lane", "requests", "CPU µs/request", "overhead µs", "of empty wasm's", "of native refusing")


@dataclass(frozen=True)
class Ratio:
    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


class Report:
    def __init__(self, samples: Samples, requests: int, settings: dict):
        self._samples = samples
        self._requests = requests
        self._settings = settings

    def write(self, lanes: list[Lane], targets: tuple[Target, ...], file: Path) -> str:
        rows = [self.row(lane.name) for lane in lanes]
        verdicts = [verdict for verdict in map(self.verdict, targets) if verdict]
        document = {"settings": self._settings, "lanes": rows, "targets": verdicts}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1, default=vars) + "\n")
        return "\n".join([table(rows), "", *map(sentence, verdicts)])

    def row(self, lane: str) -> dict:
        costs = [micro(cost) for cost in chain(*self._samples[lane])]
        overheads = self.measured(lane, "overhead") if lane != PLAIN else None
        return {
            "lane": lane,
            "requests": self._requests * len(costs),
            "cpu_us": {"median": median(costs), "min": min(costs), "max": max(costs)},
            "overhead_us": micro(median(chain(*overheads))) if overheads else None,
            "overhead_of_empty_wasm": self.ratio(lane, EMPTY, "overhead") if overheads else None,
            "cost_of_native_refusing": self.ratio(lane, NATIVE_REFUSED, "cost"),
            "turns_us": costs,
        }

    def verdict(self, target: Target) -> dict | None:
        ratio = self.ratio(target.lane, target.base, target.measure)
        return ratio and {
            "target": f"{target.measure} of '{target.lane}' over that of '{target.base}'",
            "at_most": target.at_most,
            "measured": ratio,
            "met": ratio.median <= target.at_most,
        }

    def ratio(self, lane: str, base: str, measure: str) -> Ratio | None:
        above, below = self.measured(lane, measure), self.measured(base, measure)
        if not above or not below:
            return None
        by_start = [median(a) / median(b) for a, b in zip(above, below)]
        return Ratio(median(by_start), min(by_start), max(by_start))

    def measured(self, lane: str, measure: str) -> list[list[float]] | None:
        costs, plain = self._samples.get(lane), self._samples.get(PLAIN)
        if measure == "cost" or not costs:
            return costs
        return plain and [[a - b for a, b in zip(*starts)] for starts in zip(costs, plain)]


def micro(seconds: float) -> float:
    return round(seconds * 1e6, 3)


def table(rows: list[dict]) -> str:
    cells = [COLUMNS] + [
        (
            row["lane"],
            f"{row['requests']:,}",
            "{median:.2f} [{min:.2f}..{max:.2f}]".format(**row["cpu_us"]),
            "–" if row["overhead_us"] is None else f"{row['overhead_us']:.2f}",
            str(row["overhead_of_empty_wasm"] or "–"),
            str(row["cost_of_native_refusing"] or "–"),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def sentence(verdict: dict) -> str:
    word = "met   " if verdict["met"] else "missed"
    return f"{word}  {verdict['target']}: {verdict['measured']}, at most {verdict['at_most']:.2f}"
