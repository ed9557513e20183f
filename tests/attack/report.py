"""The figures of the attacks: a table, and what became of the promises.

A request counts as a success when it was answered 200; p50 and p99 are those of the answered ones, from the moment
at which they were due, to the last byte. `held` is how many connections more than in calm were open at Envoy, in the
median of ten looks a second; those of honest clients that wait are among them. `MiB` is the most memory that Envoy
took. Where an attack had several rounds, its latencies are the medians of theirs. The p99 of a calm, cell by cell, tells
what the machine does by itself.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.attack.configurations import CONFIGURATIONS, OURS
from tests.lab import report

COLUMNS = ("success", "p50", "p99", "held", "MiB")
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
    held: int
    opened: int
    memory: int

    def __str__(self) -> str:
        seen = Seen.of(self.attacked)
        return f"{self.attack}, {self.source}, {self.configuration}: {' '.join(seen.columns())} {dict(seen.outcomes)}"

    def document(self) -> dict:
        return {
            "attack": self.attack,
            "from": self.source,
            "configuration": self.configuration,
            **vars(Seen.of(self.attacked)),
            "calm_p99": Seen.of(self.calm).p99,
            "connections_opened": self.opened,
            "connections_held": self.held,
            "most_memory_bytes": self.memory,
        }


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
    """The answers to the honest clients, as figures."""

    requests: int
    success: float
    p50: float | None
    p99: float | None
    outcomes: dict[str, int]

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "Seen":
        latencies = [latency for _, latency, outcome in outcomes if outcome == OK]
        success = len(latencies) / max(1, len(outcomes))
        counts = Counter(str(outcome) for _, _, outcome in outcomes)
        return cls(len(outcomes), success, *(report.percentile(latencies, at) for at in (50, 99)), counts)

    @classmethod
    def median_of(cls, rounds: list["Seen"]) -> "Seen":
        """The medians of the latencies; of the successes, the share of all rounds together."""
        counts = sum((Counter(seen.outcomes) for seen in rounds), Counter())
        latencies = [
            median(known) if (known := [at for at in ats if at is not None]) else None
            for ats in ([seen.p50 for seen in rounds], [seen.p99 for seen in rounds])
        ]
        return cls(counts.total(), counts[str(OK)] / max(1, counts.total()), *latencies, counts)

    def columns(self) -> tuple[str, str, str]:
        return percent(self.success), milliseconds(self.p50), milliseconds(self.p99)


class Report:
    def __init__(self, cells: list[Cell], idles: list[Idle], patient: dict[str, str]):
        self._cells = cells
        self._idles = idles
        self._patient = patient
        self._rows = list(dict.fromkeys((cell.attack, cell.source) for cell in cells))

    def write(self, file: Path) -> str:
        document = {
            "calm": {name: vars(self._calm(name)) for name in CONFIGURATIONS},
            "cells": [cell.document() for cell in self._cells],
            "patient": self._patient,
            "idle": [vars(idle) for idle in self._idles],
        }
        report.write(document, file)
        return "\n".join([*self._table(), "", *self._verdicts(), "", *self._others()])

    def _calm(self, configuration: str) -> Seen:
        calms = [cell.calm for cell in self._cells if cell.configuration == configuration]
        return Seen.of([outcome for calm in calms for outcome in calm])

    def _measured(self, row: tuple[str, str], configuration: str) -> tuple[Seen, int, int]:
        """The figures of the honest clients, the connections that the attack held, and Envoy's memory, over its rounds."""
        cells = [
            cell for cell in self._cells if (cell.attack, cell.source, cell.configuration) == (*row, configuration)
        ]
        return (
            Seen.median_of([Seen.of(cell.attacked) for cell in cells]),
            round(median(cell.held for cell in cells)),
            max(cell.memory for cell in cells),
        )

    def _table(self) -> list[str]:
        lines = [["attack", "from"], ["(calm)", ""], *map(list, self._rows)]
        for name in CONFIGURATIONS:
            measured = [self._measured(row, name) for row in self._rows]
            columns = [COLUMNS, (*self._calm(name).columns(), "", "")]
            columns += [(*seen.columns(), str(held), str(memory >> 20)) for seen, held, memory in measured]
            for line, texts in zip(lines, columns):
                line += texts
        widths = [max(map(len, column)) for column in zip(*lines)]
        heads = [" " * (sum(widths[:2]) + 2)]
        for number, name in enumerate(CONFIGURATIONS):
            first = 2 + number * len(COLUMNS)
            heads.append(name.center(sum(widths[first : first + len(COLUMNS)]) + 2 * len(COLUMNS) - 2, "·"))
        return ["  ".join(heads), *report.aligned(lines, left=(0, 1))]

    def _verdicts(self) -> list[str]:
        calm = [Seen.of(cell.calm).p99 for cell in self._cells if cell.configuration == OURS]
        noise = ", ".join(map(milliseconds, (min(calm), max(calm))))
        return [*map(self._verdict, self._rows), f"        (the p99 of the calms before them: {noise})"]

    def _verdict(self, row: tuple[str, str]) -> str:
        seen, calm = self._measured(row, OURS)[0], self._calm(OURS)
        slower = seen.p99 / calm.p99 if seen.p99 and calm.p99 else math.inf
        met = seen.success == 1 and slower <= SLOWER
        return (
            f"{'met   ' if met else 'missed'}  {OURS}, {', '.join(row)}: "
            f"{percent(seen.success)} of {seen.requests:,} (100% wanted), "
            f"p99 {slower:.2f} times that of calm (at most {SLOWER:.2f})"
        )

    def _others(self) -> list[str]:
        patient = [f"{'not cut' if came == str(OK) else came:8}  {what}" for what, came in self._patient.items()]
        idle = [idle.text() for idle in self._idles]
        return ["honest slow clients, " + OURS, *patient, "", "idle connections, " + OURS, *idle]


def percent(share: float) -> str:
    """Rounded down, so that only all of them are 100%."""
    return f"{math.floor(share * 1000) / 10:.1f}%"


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms"
