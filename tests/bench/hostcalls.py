"""The crossings of a request between Envoy and a filter's VM, by kind, counted in Envoy's own trace log of its VMs.

They are counted in a start of their own, since logging costs more than what it logs. Calls within a tick belong to no request and are
left out; so are those of the requests before, in which filters set up what they keep.
"""

import re
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.bench.clients import Clients
from tests.bench.lanes import Lane
from tests.bench.workloads import Workload
from tests.lab.envoy import Envoy

TRACE = ("--component-log-level", "wasm:trace")
BEFORE = 4
REQUESTS = 10

LINE = re.compile(
    r"\]\[(?P<thread>\d+)\]\[trace\]\[wasm\].*?\] "
    r"(?:\[(?P<arrow>host->vm|host<-vm|vm->host)\] (?:\w+\.)?(?:proxy_)?(?P<name>\w+))"
)


@dataclass
class Crossings:
    """Callbacks into VMs and host calls out of them, by kind, of one request."""

    callbacks: dict[str, float] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)


def count(lane: Lane, envoy: Envoy, workload: Workload) -> Crossings:
    request = workload.to_bytes()
    with Clients(envoy.port, 1, None) as clients:
        clients.send_all([request] * BEFORE)
    start = settled(envoy)
    with Clients(envoy.port, 1, lane.status) as clients:
        clients.send_all([request] * REQUESTS)
    end = settled(envoy)
    with envoy.log.open("rb") as log:
        log.seek(start)
        return crossings(log.read(end - start).decode(errors="replace").splitlines(), REQUESTS)


def crossings(lines: list[str], requests: int) -> Crossings:
    callbacks, calls = Counter(), Counter()
    within: dict[str, list[str]] = {}
    for line in filter(None, map(LINE.search, lines)):
        stack = within.setdefault(line["thread"], [])
        match line["arrow"]:
            case "host->vm":
                stack.append(line["name"])
                if "on_tick" not in stack:
                    callbacks[line["name"]] += 1
            case "host<-vm":
                del stack[-1:]
            case "vm->host":
                if "on_tick" not in stack:
                    calls[line["name"]] += 1
    return Crossings(*({name: n / requests for name, n in found.most_common()} for found in (callbacks, calls)))


def settled(envoy: Envoy) -> int:
    """Waits until Envoy is done with every connection; how long its log is then."""
    while envoy.stat("http.front.downstream_cx_active"):
        time.sleep(0.02)
    return envoy.log.stat().st_size
