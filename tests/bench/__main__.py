"""`make bench`: what a request costs in Envoy, lane by lane, in CPU time, speed, memory and calls of the host.

The lanes' Envoys run side by side. After a warm-up (V8 optimises what runs often) they are measured in
short turns, one lane after the other, each round starting one lane further, so that whatever else the
machine does falls on all of them alike; then all of it again with fresh processes. For CPU, Envoy and h2load take
turns on one CPU, where neither slows the other: on two that share a core, costs came out 40 % higher and
jumped. For speed, Envoy has that CPU alone. Claims are ratios within one run; microseconds are this machine's.
A POST that is refused by its headers costs its connection too: Envoy closes it rather than read the body.
Ends with 0 when every lane did what its row says: a missed target is a result, a wrong status is an error.
"""

import argparse
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.bench import hostcalls, picture, report, scan, start
from tests.bench.lanes import LANES, SCAN, TARGETS, Lane
from tests.bench.measure import Load, find_h2load
from tests.bench.report import Report, Results
from tests.bench.workloads import STANDARD, WORKLOADS
from tests.lab import ROOT, Failure, scenario
from tests.lab.envoy import Envoy
from tests.lab.process import Child, Children
from tests.lab.report import write

PARTS = ("cpu", "speed", "calls", "start", "scan")


def main() -> bool:
    options = arguments()
    lanes, results = built(LANES, options.lanes), report.no_results()
    bench = Bench(options, lanes, results)
    for turn in range(options.starts if {"cpu", "speed"} & set(options.parts) else 0):
        bench.measure()
        print(f"{turn + 1} of {options.starts} starts measured", file=sys.stderr)
    if "calls" in options.parts:
        bench.count()
    started = start.measure(bench.started) if "start" in options.parts else []
    scans = bench.scan() if "scan" in options.parts else []
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    document = Report(results, settings).document(TARGETS) | {"started": started, "scans": scans}
    write(document, options.json)
    print(report.text(document))
    print(f"\nwritten: {options.json}")
    if "cpu" in options.parts:
        picture.draw(document, options.json.with_suffix(".svg"))
        print(f"written: {options.json.with_suffix('.svg')}")
    return True


class Bench:
    def __init__(self, options: argparse.Namespace, lanes: list[Lane], results: Results):
        self._options, self._lanes, self._results = options, lanes, results
        self._h2load = find_h2load()
        self._cpu, self._others = {options.cpu}, os.sched_getaffinity(0) - {options.cpu} or {options.cpu}

    def measure(self) -> None:
        os.sched_setaffinity(0, self._cpu | self._others)
        with Children() as children:
            upstream = start_upstream(children)
            turns = [(lane, self._start(children, lane, upstream)) for lane in self._lanes]
            loads = {name: Load(self._h2load, WORKLOADS[name], children.folder) for name in self._options.workloads}
            for _, envoy in turns:
                envoy.ready().move_to(self._cpu)
            self._load_from(upstream, self._cpu)
            for lane, envoy in turns:
                for load in loads.values():
                    load.warm_up(envoy, self._options.warm_up)
                    load.probe(lane, envoy)
            if "cpu" in self._options.parts:
                for name, load in loads.items():
                    self._measure_cpu(turns, self._results[name], load)
            if "speed" in self._options.parts:
                self._load_from(upstream, self._others)
                for name, load in loads.items():
                    for lane, envoy in turns:
                        self._results[name][lane.name].speed.append(load.speed(lane, envoy))
            for name in loads:
                for lane, envoy in turns:
                    self._results[name][lane.name].resident.append(envoy.memory())

    def _load_from(self, upstream: Child, cpus: set[int]) -> None:
        upstream.move_to(cpus)
        os.sched_setaffinity(0, cpus)

    def _measure_cpu(self, turns: list[tuple[Lane, Envoy]], measured: dict, load: Load) -> None:
        for lane, _ in turns:
            measured[lane.name].cpu.append([])
        for first in range(self._options.rounds):
            first %= len(turns)
            for lane, envoy in turns[first:] + turns[:first]:
                measured[lane.name].cpu[-1].append(load.cpu_per_request(lane, envoy))

    def count(self) -> None:
        for lane in self._lanes:
            if not lane.modules():
                continue
            with Children() as children:
                envoy = self._start(children, lane, start_upstream(children), *hostcalls.TRACE).ready()
                for name in self._options.workloads:
                    self._results[name][lane.name].crossings = hostcalls.count(lane, envoy, WORKLOADS[name])
        print("host calls counted", file=sys.stderr)

    @contextmanager
    def started(self, lane: Lane, workers: int):
        os.sched_setaffinity(0, self._cpu | self._others)
        with Children() as children:
            yield Envoy(children, lane.bootstrap(1), name=lane.name, workers=workers, binary=self._options.envoy)

    def scan(self) -> list[dict]:
        if missing := SCAN.missing():
            raise Failure(f"{missing.pop()} is missing: ./module/build.sh scan")
        with Children() as children:
            envoy = self._start(children, SCAN, start_upstream(children)).ready()
            envoy.move_to(self._cpu)
            return scan.measure(envoy)

    def _start(self, children: Children, lane: Lane, upstream: Child, *log: str) -> Envoy:
        made = lane.bootstrap(upstream.port)
        return Envoy(children, made, *log, name=lane.name, workers=1, binary=self._options.envoy)


def start_upstream(children: Children) -> Child:
    upstream = children.script("tests.bench.upstream")
    upstream.port = int(upstream.line())
    return upstream


def built(lanes: tuple[Lane, ...], words: list[str]) -> list[Lane]:
    chosen = [lane for lane in lanes if any(word in lane.name for word in words)]
    if not chosen:
        raise Failure("no lane has a name like that; there are: " + "; ".join(lane.name for lane in lanes))
    skipped = {lane.name: missing for lane in chosen if (missing := lane.missing())}
    if skipped:
        files = {str(file.relative_to(ROOT)) for missing in skipped.values() for file in missing}
        print(f"skipped, not built ({', '.join(sorted(files))}): {'; '.join(skipped)}", file=sys.stderr)
    return [lane for lane in chosen if lane.name not in skipped]


def arguments() -> argparse.Namespace:
    parser = scenario.options("bench", __doc__)
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (all)")
    add("--workloads", nargs="+", choices=WORKLOADS, default=STANDARD, help=f"what is sent ({' '.join(STANDARD)})")
    add("--lanes", nargs="+", default=[""], metavar="WORD", help="only lanes whose name holds a WORD")
    add("--starts", type=int, default=3, help="times that all Envoys are started (%(default)s)")
    add("--rounds", type=int, default=6, help="turns of each lane in a start (%(default)s)")
    add("--warm-up", type=int, default=1, help="turns' worth of requests before the first turn (%(default)s)")
    add("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="Envoy's CPU (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    scenario.run("bench", main)
