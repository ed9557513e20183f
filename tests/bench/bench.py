#!/usr/bin/env python3
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
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hostcalls
import picture
import report
import scan
import start
from clients import Misbehaved
from envoy import Envoy, StartFailed, Upstream
from filters import ROOT
from lanes import LANES, SCAN, TARGETS, Lane
from measure import Load, find_h2load
from report import Report, Results
from workloads import STANDARD, WORKLOADS

PARTS = ("cpu", "speed", "calls", "start", "scan")


def main() -> int:
    options = arguments()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        lanes = built(LANES, options.lanes)
        results = report.no_results()
        bench = Bench(options, lanes, results)
        for turn in range(options.starts if {"cpu", "speed"} & set(options.parts) else 0):
            with ExitStack() as stack:
                bench.measure(stack)
            print(f"{turn + 1} of {options.starts} starts measured", file=sys.stderr)
        if "calls" in options.parts:
            with ExitStack() as stack:
                bench.count(stack)
        started, scans = [], []
        if "start" in options.parts:
            started = bench.start()
        if "scan" in options.parts:
            with ExitStack() as stack:
                scans = bench.scan(stack)
    except (StartFailed, Misbehaved) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    document = Report(results, settings).document(TARGETS) | {"started": started, "scans": scans}
    report.write(document, options.json)
    print(report.text(document))
    print(f"\nwritten: {options.json}")
    if "cpu" in options.parts:
        options.json.with_suffix(".svg").write_text(picture.draw(document))
        print(f"written: {options.json.with_suffix('.svg')}")
    return 0


class Bench:
    def __init__(self, options: argparse.Namespace, lanes: list[Lane], results: Results):
        self._options, self._lanes, self._results = options, lanes, results
        self._binary, self._h2load = options.envoy or find_envoy(), find_h2load()
        self._cpu, self._others = {options.cpu}, os.sched_getaffinity(0) - {options.cpu} or {options.cpu}

    def measure(self, stack: ExitStack) -> None:
        os.sched_setaffinity(0, self._cpu | self._others)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = Upstream(directory / "upstream")
        stack.callback(upstream.stop)
        turns = [(lane, self._start(stack, lane, directory, upstream)) for lane in self._lanes]
        loads = {name: Load(self._h2load, WORKLOADS[name], directory) for name in self._options.workloads}
        for _, envoy in turns:
            envoy.wait_until_ready()
            envoy.move_to(self._cpu)
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
                self._results[name][lane.name].resident.append(envoy.resident())

    def _load_from(self, upstream: Upstream, cpus: set[int]) -> None:
        upstream.move_to(cpus)
        os.sched_setaffinity(0, cpus)

    def _measure_cpu(self, turns: list[tuple[Lane, Envoy]], measured: dict, load: Load) -> None:
        for lane, _ in turns:
            measured[lane.name].cpu.append([])
        for first in range(self._options.rounds):
            first %= len(turns)
            for lane, envoy in turns[first:] + turns[:first]:
                measured[lane.name].cpu[-1].append(load.cpu_per_request(lane, envoy))

    def count(self, stack: ExitStack) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = Upstream(directory / "upstream")
        stack.callback(upstream.stop)
        for lane in self._lanes:
            if not lane.modules():
                continue
            with ExitStack() as one:
                envoy = self._start(one, lane, directory, upstream, *hostcalls.TRACE)
                envoy.wait_until_ready()
                for name in self._options.workloads:
                    self._results[name][lane.name].crossings = hostcalls.count(lane, envoy, WORKLOADS[name])
        print("host calls counted", file=sys.stderr)

    def start(self) -> list[dict]:
        os.sched_setaffinity(0, self._cpu | self._others)
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            folders = itertools.count()

            @contextmanager
            def started(lane: Lane, workers: int) -> Iterator[Envoy]:
                envoy = Envoy(self._binary, lane.name, lane.chain, directory / str(next(folders)), 1, workers)
                try:
                    yield envoy
                finally:
                    envoy.stop()

            return start.measure(started)

    def scan(self, stack: ExitStack) -> list[dict]:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        if missing := SCAN.missing():
            raise Misbehaved(f"{missing.pop()} is missing: ./module/build.sh scan")
        upstream = Upstream(directory / "upstream")
        stack.callback(upstream.stop)
        envoy = self._start(stack, SCAN, directory, upstream)
        envoy.wait_until_ready()
        envoy.move_to(self._cpu)
        return scan.measure(envoy)

    def _start(self, stack: ExitStack, lane: Lane, directory: Path, upstream: Upstream, *log: str) -> Envoy:
        folder = directory / lane.name.replace(" ", "-")
        envoy = Envoy(self._binary, lane.name, lane.chain, folder, upstream.port, 1, *log)
        stack.callback(envoy.stop)
        return envoy


def built(lanes: tuple[Lane, ...], words: list[str]) -> list[Lane]:
    chosen = [lane for lane in lanes if any(word in lane.name for word in words)]
    if not chosen:
        raise Misbehaved("no lane has a name like that; there are: " + "; ".join(lane.name for lane in lanes))
    skipped = {lane.name: missing for lane in chosen if (missing := lane.missing())}
    if skipped:
        files = {str(file.relative_to(ROOT)) for missing in skipped.values() for file in missing}
        print(f"skipped, not built ({', '.join(sorted(files))}): {'; '.join(skipped)}", file=sys.stderr)
    return [lane for lane in chosen if lane.name not in skipped]


def find_envoy() -> Path:
    found = subprocess.run([ROOT / "envoy" / "find-envoy.sh"], capture_output=True, text=True)
    if found.returncode:
        raise StartFailed(f"no Envoy: {found.stderr.strip()}")
    return Path(found.stdout.strip())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What Envoy costs with and without filters.")
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (all)")
    add("--workloads", nargs="+", choices=WORKLOADS, default=STANDARD, help=f"what is sent ({' '.join(STANDARD)})")
    add("--lanes", nargs="+", default=[""], metavar="WORD", help="only lanes whose name holds a WORD")
    add("--starts", type=int, default=3, help="times that all Envoys are started (%(default)s)")
    add("--rounds", type=int, default=6, help="turns of each lane in a start (%(default)s)")
    add("--warm-up", type=int, default=1, help="turns' worth of requests before the first turn (%(default)s)")
    add("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="Envoy's CPU (%(default)s)")
    add("--envoy", type=Path, help="this Envoy instead of the one that envoy/find-envoy.sh finds")
    add("--json", type=Path, default=ROOT / "target/bench/bench.json", help="written there, and the picture beside it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
