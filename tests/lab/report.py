"""Numbers as tables to read and as JSON to keep."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Columns = Sequence[tuple[str, Callable[[Any], str]]]


def table(columns: Columns, rows: Iterable, left: Sequence[int] = (0,)) -> str:
    """A row for each of `rows`; columns are aligned to the right but for those with a number in `left`."""
    titles = [title for title, _ in columns]
    return "\n".join(aligned([titles, *([show(row) for _, show in columns] for row in rows)], left))


def aligned(cells: list[list[str]], left: Sequence[int] = (0,)) -> list[str]:
    """The lines of a table, with a rule under the first."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    fits = [str.ljust if at in left else str.rjust for at in range(len(widths))]
    lines = ["  ".join(fit(cell, width) for fit, cell, width in zip(fits, line, widths)).rstrip() for line in cells]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Interpolated between the values that are next to it; None of no values."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def bounds(kept: dict[str, bool]) -> bool:
    """Prints each bound and whether it was kept; True if all were."""
    print(*(f"{'kept  ' if held else 'broken'}  {bound}" for bound, held in kept.items()), sep="\n")
    return all(kept.values())


def write(document: dict, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, default=vars) + "\n")
