"""The cost of starting a module: its VM, compiled once for a process, and each worker's copy of it.

It is the CPU time of Envoys that were started with one worker and with five, over that of Envoys without a module; the median of
rounds in which all take turns.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import median

from tests.bench.filters import module_of
from tests.bench.lanes import PLAIN, STARTED, Lane
from tests.lab.envoy import Envoy

ROUNDS = 5
FEW, MANY = 1, 5
QUIET = 0.3

Start = Callable[[Lane, int], AbstractContextManager[Envoy]]


def measure(start: Start) -> list[dict]:
    """A row for each module: its bytes, and milliseconds of CPU for its VM and for each worker's copy."""
    costs: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for lane in STARTED:
            for workers in (FEW, MANY):
                with start(lane, workers) as envoy:
                    costs.setdefault((lane.name, workers), []).append(settled(envoy))
    milliseconds = {point: median(found) * 1e3 for point, found in costs.items()}

    def copy(name: str) -> float:
        return (milliseconds[name, MANY] - milliseconds[name, FEW]) / (MANY - FEW)

    return [
        {
            "module": lane.name,
            "bytes": module_of(lane.filters[0]).stat().st_size,
            "vm_ms": round(milliseconds[lane.name, FEW] - milliseconds[PLAIN, FEW], 1),
            "copy_ms": round(copy(lane.name) - copy(PLAIN), 1),
        }
        for lane in STARTED
        if lane.name != PLAIN
    ]


def settled(envoy: Envoy) -> float:
    """CPU seconds once no more are spent."""
    envoy.ready()
    spent, before = envoy.cpu_seconds(), -1.0
    while spent - before > 0.002:
        time.sleep(QUIET)
        spent, before = envoy.cpu_seconds(), spent
    return spent
