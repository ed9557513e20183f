"""The medians and ratios of a run.

The turns of one round lie seconds apart and share the machine's mood, so an overhead is formed within its
round; the median over the rounds is what counts, and a ratio is that of two medians of one start of the
Envoys. Shown is the median start's ratio, with the lowest and the highest of any start: a process keeps the
memory layout it got, which alone moves a cost by some percent. A span across its target decides nothing.
Latencies are left out where the load could not keep its own schedule, as on a machine that does other things.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from statistics import median

from tests.bench.hostcalls import Crossings
from tests.bench.lanes import EMPTY, NATIVE_REFUSED, PLAIN, Target
from tests.bench.measure import Speed
from tests.bench.workloads import WORKLOADS
from tests.lab.report import Columns, table


@dataclass
class Measured:
    """The figures of a lane on a workload: CPU seconds per request by start, then by round; speed and resident bytes by start."""

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


def text(document: dict) -> str:
    parts = []
    for workload in document["workloads"].values():
        rows = workload["lanes"]
        for what, columns, measured in (
            ("CPU", CPU, "cpu_us"),
            ("speed", SPEED, "speed"),
            ("crossings", CROSSINGS, "crossings"),
        ):
            if shown := [row for row in rows if row[measured]]:
                parts.append(titled(f"{workload['title']}: {what}", columns, shown))
    if document["started"]:
        parts.append(titled("Start: CPU", START, document["started"]))
    if document["scans"]:
        parts.append(titled("1 MB chat, read in the VM: MB/s", SCAN, document["scans"]))
    return "\n\n".join(filter(None, [*parts, "\n".join(map(sentence, document["targets"]))]))


def titled(title: str, columns: Columns, rows: list[dict]) -> str:
    left = [at for at, (name, _) in enumerate(columns) if name in ("lane", "of which")]
    return f"{title}\n{table(columns, rows, left)}"


def time_of(name: str):
    return lambda row: "–" if row["speed"][name] is None else f"{row['speed'][name]:,.0f}"


def rates(reader: str):
    def spanned(row: dict) -> str:
        each = row["megabytes_per_second"][reader]
        return f"{median(each):.0f} [{min(each):.0f}..{max(each):.0f}]"

    return spanned


def of_which(crossings: Crossings) -> str:
    return kinds(crossings.callbacks) + " · " + (kinds(crossings.calls) or "no host call")


def kinds(found: dict[str, float]) -> str:
    return ", ".join(f"{count:g} {name}" for name, count in found.items())


def sentence(verdict: dict) -> str:
    word = "met   " if verdict["met"] else "missed"
    return f"{word}  {verdict['target']}: {verdict['measured']}, at most {verdict['at_most']:.2f}"


LANE = ("lane", lambda row: row["lane"])

CPU = (
    LANE,
    ("requests", lambda row: f"{row['requests']:,}"),
    ("µs/request", lambda row: "{median:.2f} [{min:.2f}..{max:.2f}]".format(**row["cpu_us"])),
    ("overhead µs", lambda row: "–" if row["overhead_us"] is None else f"{row['overhead_us']:.2f}"),
    ("of empty wasm's", lambda row: str(row["overhead_of_empty_wasm"] or "–")),
    ("of native refusing", lambda row: str(row["cost_of_native_refusing"] or "–")),
    ("RSS MiB", lambda row: str(row["resident_mib"] or "–")),
)

SPEED = (
    LANE,
    ("requests/s", lambda row: f"{row['speed']['requests_per_second']:,}"),
    ("at half: p50 µs", time_of("p50_us")),
    ("p99 µs", time_of("p99_us")),
    ("first byte p50 µs", time_of("first_byte_p50_us")),
    ("p99 µs", time_of("first_byte_p99_us")),
)

CROSSINGS = (
    LANE,
    ("callbacks", lambda row: f"{sum(row['crossings'].callbacks.values()):g}"),
    ("host calls", lambda row: f"{sum(row['crossings'].calls.values()):g}"),
    ("of which", lambda row: of_which(row["crossings"])),
)

START = (
    ("lane", lambda row: row["module"]),
    ("bytes", lambda row: f"{row['bytes']:,}"),
    ("VM ms", lambda row: f"{row['vm_ms']:.0f}"),
    ("each worker's copy ms", lambda row: f"{row['copy_ms']:.1f}"),
)

SCAN = (
    ("lane", lambda row: row["text"]),
    ("scan", rates("scan")),
    ("serde_json::Value", rates("value")),
    ("scan over Value", lambda row: f"{row['scan_over_value']:.2f}"),
)
