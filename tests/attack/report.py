"""What was measured, as a table to read and as JSON to keep.

A request counts as a success when it was answered 200; p50 and p99 are those of the answered ones, from the moment
at which they were due. `held` is how many connections more than before were open at Envoy, in the median.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from configurations import CONFIGURATIONS, OURS

SLOWER = 1.2
OK = 200

Outcome = tuple[float, float, int | str]
"""When a request was due, how long its answer took, and its status or what went wrong."""


@dataclass(frozen=True)
class Cell:
    attack: str
    source: str
    configuration: str
    calm: list[Outcome]
    attacked: list[Outcome]
    held: list[int]
    starts: int
    memory: int

    def __str__(self) -> str:
        seen = Seen.of(self.attacked)
        return f"{self.attack}, {self.source}, {self.configuration}: {seen.text()} {dict(seen.outcomes)}"


@dataclass(frozen=True)
class Idle:
    configuration: str
    connections: int
    answered: int
    bytes_each: float
    cpu: float
    still_open: int
    asked_again: int
    answered_again: int

    def text(self) -> str:
        return (
            f"{self.configuration}: {self.bytes_each / 1024:.1f} KiB each, {self.cpu:.1%} of a CPU; "
            f"{self.still_open:,} of {self.connections:,} were still open, "
            f"{self.answered_again} of {self.asked_again} that asked again were answered"
        )


@dataclass(frozen=True)
class Seen:
    """What the honest clients saw."""

    requests: int
    success: float
    p50: float | None
    p99: float | None
    outcomes: dict[str, int]

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "Seen":
        latencies = sorted(latency for _, latency, outcome in outcomes if outcome == OK)
        success = len(latencies) / max(1, len(outcomes))
        counts = Counter(str(outcome) for _, _, outcome in outcomes)
        return cls(len(outcomes), success, percentile(latencies, 50), percentile(latencies, 99), counts)

    def text(self) -> str:
        return " ".join(self.columns())

    def columns(self) -> tuple[str, str, str]:
        return percent(self.success), milliseconds(self.p50), milliseconds(self.p99)


class Report:
    def __init__(self, cells: list[Cell], idles: list[Idle], patient: dict[str, str]):
        self._cells = cells
        self._idles = idles
        self._patient = patient
        self._calm = {
            name: Seen.of([outcome for cell in cells if cell.configuration == name for outcome in cell.calm])
            for name in CONFIGURATIONS
        }

    def write(self, file: Path) -> str:
        document = {
            "calm": {name: vars(seen) for name, seen in self._calm.items()},
            "cells": [
                {
                    "attack": cell.attack,
                    "from": cell.source,
                    "configuration": cell.configuration,
                    **vars(Seen.of(cell.attacked)),
                    "held": median(cell.held),
                    "tool_starts": cell.starts,
                    "most_memory_bytes": cell.memory,
                }
                for cell in self._cells
            ],
            "patient": self._patient,
            "idle": [vars(idle) for idle in self._idles],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")
        return "\n".join([*self._table(), "", *self._verdicts(), "", *self._others()])

    def _table(self) -> list[str]:
        rows = [["", ""] + [text for name in CONFIGURATIONS for text in (name, "", "", "")]]
        rows.append(["attack", "from"] + ["success", "p50", "p99", "held"] * len(CONFIGURATIONS))
        rows.append(["(calm)", ""] + [text for name in CONFIGURATIONS for text in (*self._calm[name].columns(), "")])
        for attack, source in dict.fromkeys((cell.attack, cell.source) for cell in self._cells):
            row = [attack, source]
            for cell in self._cells:
                if (cell.attack, cell.source) == (attack, source):
                    row += [*Seen.of(cell.attacked).columns(), f"{median(cell.held):.0f}"]
            rows.append(row)
        return aligned(rows)

    def _verdicts(self) -> list[str]:
        return [self._verdict(cell) for cell in self._cells if cell.configuration == OURS]

    def _verdict(self, cell: Cell) -> str:
        seen, calm = Seen.of(cell.attacked), self._calm[OURS]
        slower = seen.p99 / calm.p99 if seen.p99 and calm.p99 else math.inf
        met = seen.success == 1 and slower <= SLOWER
        return (
            f"{'met   ' if met else 'missed'}  {OURS}, {cell.attack}, {cell.source}: "
            f"{percent(seen.success)} of {seen.requests:,} (100% wanted), "
            f"p99 {slower:.2f} times that of calm (at most {SLOWER:.2f})"
        )

    def _others(self) -> list[str]:
        patient = [
            f"{'not cut' if outcome == str(OK) else outcome:8}  {what}" for what, outcome in self._patient.items()
        ]
        idle = [idle.text() for idle in self._idles]
        return ["honest slow clients, " + OURS, *patient, "", "idle connections, " + OURS, *idle]


def aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows[1:]) for at in range(len(rows[1]))]
    head = " ".join([" " * (sum(widths[:2]) + 2), *(name.center(sum(widths[2:6]) + 6) for name in rows[0][2::4])])
    lines = [
        "  ".join(text.ljust(w) if at < 2 else text.rjust(w) for at, (text, w) in enumerate(zip(row, widths)))
        for row in rows[1:]
    ]
    return [head.rstrip(), lines[0], "-" * len(lines[0]), *lines[1:]]


def percentile(ordered: list[float], percent: int) -> float | None:
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


def percent(share: float) -> str:
    """Rounded down, so that only all of them are 100%."""
    return f"{math.floor(share * 1000) / 10:.1f}%"


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms"
