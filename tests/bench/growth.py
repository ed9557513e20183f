"""`make growth`: how the CPU cost of a request grows with the choices of clients and operators.

Four curves: distinct clients in the table of buckets, limits in a configuration, bytes in a body, and workers that
share one hot key. The points of a curve are Envoys side by side, measured in turns like the lanes of the benchmark;
each point's cost is the median of its rounds.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from tests.bench.__main__ import start_upstream
from tests.bench.clients import Clients
from tests.bench.filters import limit
from tests.bench.lanes import CHAIN, COMPOSITE, PLAIN, Lane, lane
from tests.bench.measure import find_h2load
from tests.bench.report import micro, sentence, titled
from tests.bench.workloads import CHAT, CHAT_HEADERS, SDK_HEADERS, WORKLOADS, Workload, chat
from tests.lab import Failure, scenario
from tests.lab.envoy import Envoy
from tests.lab.process import Children
from tests.lab.report import write
from tests.lab.wasm import wasm

CLIENTS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
LIMITS = (1, 2, 5, 10, 20, 50, 100)
BODIES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
WORKERS = (1, 2, 4, 8)
KEYS = ("one key for all", "a key for each")

MODELS = WORKLOADS["models"]


@dataclass
class Point:
    """An Envoy under a load: `turn` sends the load and returns the number of its requests."""

    curve: str
    series: str
    at: int
    lane: Lane
    turn: Callable[[Envoy], int]
    before: Callable[[Envoy], object] = lambda envoy: None
    workers: int = 1
    costs: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def measure(self, envoy: Envoy) -> None:
        before, start = envoy.cpu_seconds(), time.perf_counter()
        count = self.turn(envoy)
        self.rates.append(count / (time.perf_counter() - start))
        self.costs.append((envoy.cpu_seconds() - before) / count)


def send(requests: Callable[[], Iterator[bytes]], connections: int = 8) -> Callable[[Envoy], int]:
    def turn(envoy: Envoy) -> int:
        with Clients(envoy.port, connections, 200) as clients:
            return clients.send_all(requests())

    return turn


def strided(count: int) -> Callable[[], Iterator[bytes]]:
    """Some of the clients at each call, far apart, until all had their turn: no factor is shared with their number."""
    numbers = itertools.count(step=7_919)
    return lambda: (by_client(number % count) for number in itertools.islice(numbers, 3_000))


BY_CLIENT = MODELS.to_bytes({"authorization": "Bearer sk-bench-%032x"})


def by_client(number: int) -> bytes:
    return BY_CLIENT % number


def distinct_clients(options: argparse.Namespace) -> list[Point]:
    """The same requests from ever more clients, once all of them are known."""
    limited = lane("rate-limit", limits(1))
    points = []
    for count in filter(lambda count: count <= options.max_clients, CLIENTS):
        everyone = send(lambda count=count: map(by_client, range(count)))
        some = send(strided(count))
        points.append(Point("distinct clients", "rate-limit", count, limited, some, before=everyone))
    return points


def limits(count: int) -> dict:
    return wasm("rate-limit", {"limits": plenty(count)})


def plenty(count: int) -> list[dict]:
    return [limit(f"limit-{number}", ["client"], "1000000/s", 1_000_000) for number in range(count)]


def more_limits(_: argparse.Namespace) -> list[Point]:
    """Each limit with a bucket of its own, all of which must admit."""
    turn = send(lambda: itertools.repeat(MODELS.to_bytes(), 1_000))
    return [Point("limits", "rate-limit", count, lane("rate-limit", limits(count)), turn) for count in LIMITS]


LARGE = {
    "header_limit": {},
    "slow_client": {"hold_headers": True},
    "rate_limit": {"limits": plenty(1)},
    "input_limit": {"max_body": "16MiB", "max_chars": 16_000_000},
}


def larger_bodies(_: argparse.Namespace) -> list[Point]:
    """Chat completions whose question is long, forwarded to the upstream."""
    slow_client = wasm("slow-client", LARGE["slow_client"], hold=True)
    input_limit = wasm("input-limit", LARGE["input_limit"], hold=True)
    lanes = (
        Lane(PLAIN),
        lane("slow-client", slow_client),
        lane("input-limit", input_limit),
        lane(CHAIN, wasm("header-limit", LARGE["header_limit"]), limits(1), slow_client, input_limit),
        lane(COMPOSITE, wasm("tidegate", LARGE, hold=True)),
    )
    points = []
    for size, one in itertools.product(BODIES, lanes):
        request = Workload("", CHAT, CHAT_HEADERS, chat(size)).to_bytes()
        count = max(4, min(500, 10_000_000 // size))
        turn = send(lambda request=request, count=count: itertools.repeat(request, count), 2)
        points.append(Point("bytes of body", one.name, size, one, turn))
    return points


def one_hot_key(options: argparse.Namespace) -> list[Point]:
    """An equal number of workers and of loads on all CPUs, whose clients share one key or have one each."""
    limited, h2load = lane("rate-limit", limits(1)), find_h2load()
    points = []
    for workers, series in itertools.product(WORKERS, KEYS):
        keys = [0 if series == KEYS[0] else number for number in range(workers)]

        def turn(envoy: Envoy, keys: list[int] = keys) -> int:
            return together(h2load, envoy, keys, 8_000 // len(keys))

        points.append(Point("workers", series, workers, limited, turn, workers=workers))
    return points


def together(h2load: str, envoy: Envoy, keys: list[int], each: int) -> int:
    """Runs an h2load for each key, all at once."""
    with ExitStack() as stack:
        runs = []
        for key in keys:
            headers = SDK_HEADERS | {"authorization": f"Bearer sk-bench-{key:032x}"}
            command = [h2load, "--h1", "-t1", "-c4", f"-n{each}", f"http://127.0.0.1:{envoy.port}{MODELS.path}"]
            command += [f"--header={name}: {value}" for name, value in headers.items()]
            runs.append(stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)))
        for run in runs:
            output = run.communicate()[0]
            if f" {each} 2xx" not in output:
                raise Failure(f"{each} answers 2xx expected, h2load says:\n{output}")
    return each * len(keys)


CURVES = {"clients": distinct_clients, "limits": more_limits, "bodies": larger_bodies, "workers": one_hot_key}


def measure(points: list[Point], options: argparse.Namespace) -> None:
    alone = all(point.workers == 1 for point in points)
    os.sched_setaffinity(0, {max(options.cpus)} if alone else options.cpus)
    with Children() as children:
        upstream = start_upstream(children).port

        def started(point: Point) -> Envoy:
            made, binary = point.lane.bootstrap(upstream), options.envoy
            return Envoy(children, made, name=point.lane.name, workers=point.workers, binary=binary)

        turns = [(point, started(point)) for point in points]
        for point, envoy in turns:
            envoy.ready()
            point.before(envoy)
            point.turn(envoy)
        for _ in range(options.rounds):
            for point, envoy in turns:
                point.measure(envoy)
            turns.append(turns.pop(0))


COLUMNS = (
    ("lane", lambda row: row["series"]),
    ("at", lambda row: f"{row['at']:,}"),
    ("µs/request", lambda row: f"{row['cpu_us']:,.2f}"),
    ("of the first", lambda row: f"{row['of_first']:.2f}"),
    ("requests/s", lambda row: f"{row['requests_per_second']:,}"),
)


def rows(points: list[Point]) -> list[dict]:
    first: dict[str, float] = {}
    found = []
    for point in sorted(points, key=lambda point: (point.series, point.at)):
        cost = median(point.costs)
        found.append(
            {
                "series": point.series,
                "at": point.at,
                "cpu_us": micro(cost),
                "of_first": cost / first.setdefault(point.series, cost),
                "requests_per_second": round(median(point.rates)),
                "turns_us": list(map(micro, point.costs)),
            }
        )
    return found


def verdicts(document: dict) -> list[dict]:
    """The promises about the curves that were measured."""
    found = []
    if clients := document.get("clients"):
        worst = max(row["of_first"] for row in clients)
        found.append(verdict("cost with any number of clients over that of one", worst, 1.10))
    if workers := document.get("workers"):
        cost = {(row["series"], row["at"]): row["cpu_us"] for row in workers}
        hot, own = (cost[series, max(WORKERS)] for series in KEYS)
        found.append(
            verdict(f"{max(WORKERS)} workers: cost of one key for all over that of a key each", hot / own, 1 / 0.7)
        )
    return found


def verdict(target: str, measured: float, at_most: float) -> dict:
    return {"target": target, "at_most": at_most, "measured": f"{measured:.2f}", "met": measured <= at_most}


def main() -> bool:
    options = arguments()
    document, options.cpus = {}, os.sched_getaffinity(0)
    for name in options.curves:
        points = CURVES[name](options)
        missing = {point.series for point in points if point.lane.missing()}
        if missing:
            print(f"skipped, not built: {'; '.join(sorted(missing))}", file=sys.stderr)
        points = [point for point in points if point.series not in missing]
        measure(points, options)
        document[name] = rows(points)
        print(titled(points[0].curve, COLUMNS, document[name]), end="\n\n", flush=True)
    found = verdicts(document)
    print(*map(sentence, found), sep="\n")
    write({"curves": document, "targets": found}, options.json)
    print(f"written: {options.json}")
    return True


def arguments() -> argparse.Namespace:
    parser = scenario.options("growth", __doc__)
    add = parser.add_argument
    add("--curves", nargs="+", choices=CURVES, default=list(CURVES), help="what is measured (all)")
    add("--rounds", type=int, default=15, help="turns of each point (%(default)s)")
    add("--max-clients", type=int, default=max(CLIENTS), help="where the first curve ends (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    scenario.run("growth", main)
