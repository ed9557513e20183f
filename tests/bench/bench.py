#!/usr/bin/env python3
"""`make bench`: what a request costs in Envoy, lane by lane, in CPU time.

The lanes' Envoys run side by side. After a warm-up (V8 optimises what runs often) they are measured in
short turns, one lane after the other, each round starting one lane further, so that whatever else the
machine does falls on all of them alike; then all of it again with fresh processes. Envoy and h2load take
turns on one CPU, where neither slows the other: on two that share a core, costs came out 40 % higher and
jumped. Claims are ratios within one run; microseconds are this machine's.
Ends with 0 when every lane did what its row says: a missed target is a result, a wrong status is an error.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from envoy import WHOLE_REQUEST, Chain, Envoy, StartFailed
from lanes import LANES, ROOT, TARGETS, WORKLOADS, Lane
from measure import Load, Misbehaved, find_h2load
from report import Report, Samples


def main() -> int:
    options = arguments()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        lanes = [lane for lane in LANES if any(word in lane.name for word in options.lanes)]
        require_modules(lanes)
        binary, h2load = options.envoy or find_envoy(), find_h2load()
        os.sched_setaffinity(0, {options.cpu})
        samples: Samples = {lane.name: [] for lane in lanes}
        for start in range(options.starts):
            with ExitStack() as stack:
                measure(lanes, binary, h2load, options, stack, samples)
            print(f"{start + 1} of {options.starts} starts measured", file=sys.stderr)
    except (StartFailed, Misbehaved) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    print(Report(samples, options.requests, settings).write(lanes, TARGETS, options.json))
    return 0


def measure(
    lanes: list[Lane], binary: Path, h2load: str, options: argparse.Namespace, stack: ExitStack, samples: Samples
) -> None:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    load = Load(h2load, WORKLOADS[options.workload], options.clients, directory)

    def start(name: str, chain: Chain, upstream: int | None = None) -> Envoy:
        envoy = Envoy(binary, name, chain, directory / name.replace(" ", "-"), upstream)
        stack.callback(envoy.stop)
        return envoy

    upstream = None
    if options.upstream:
        server = start("upstream", Chain((WHOLE_REQUEST,)))
        server.wait_until_ready()
        upstream = server.port
    turns = [(lane, start(lane.name, lane.chain, upstream)) for lane in lanes]
    for lane, envoy in turns:
        envoy.wait_until_ready()
        load.warm_up(envoy, options.warm_up)
        load.probe(lane, envoy)
        samples[lane.name].append([])
    for _ in range(options.rounds):
        for lane, envoy in turns:
            samples[lane.name][-1].append(load.cpu_per_request(lane, envoy, options.requests))
        turns.append(turns.pop(0))


def require_modules(lanes: list[Lane]) -> None:
    if not lanes:
        raise Misbehaved("no lane has a name like that; there are: " + "; ".join(lane.name for lane in LANES))
    missing = {module.relative_to(ROOT) for lane in lanes for module in lane.modules if not module.exists()}
    if missing:
        raise Misbehaved(f"{', '.join(map(str, sorted(missing)))} missing: run `make build` first.")


def find_envoy() -> Path:
    found = subprocess.run([ROOT / "envoy" / "find-envoy.sh"], capture_output=True, text=True)
    if found.returncode:
        raise StartFailed(f"no Envoy: {found.stderr.strip()}")
    return Path(found.stdout.strip())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CPU per request of Envoy with and without filters.")
    add = parser.add_argument
    add("--starts", type=int, default=4, help="times that all Envoys are started (%(default)s)")
    add("--rounds", type=int, default=10, help="turns of each lane in a start (%(default)s)")
    add("--requests", type=int, default=10_000, help="requests of a turn (%(default)s)")
    add("--warm-up", type=int, default=20_000, help="requests before the first turn (%(default)s)")
    add("--clients", type=int, default=8, help="keep-alive connections (%(default)s)")
    add("--lanes", nargs="+", default=[""], metavar="WORD", help="only lanes whose name holds a WORD")
    add("--workload", choices=WORKLOADS, default="models", help="what is sent (%(default)s)")
    add("--upstream", action="store_true", help="forward to another Envoy instead of answering in the route")
    add("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU everything runs on (%(default)s)")
    add("--envoy", type=Path, help="this Envoy instead of the one that envoy/find-envoy.sh finds")
    add("--json", type=Path, default=ROOT / "target/bench/bench.json", help="written there (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
