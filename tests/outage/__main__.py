"""`make outage`: what clients get while the model server is dead, or slow, with and without `degradation`.

An outage: a server under the load of a crowd is killed by SIGKILL and comes back some seconds later. A brown-out: of a
server with a limited number of slots, one prompt in ten takes SLOW seconds instead of half a second, and holds its
slot that long, so that the short ones wait for slots. Envoy has two workers.
Ends with 0 when every bound was kept.
"""

import time

from tests.lab import scenario
from tests.lab.bootstrap import bootstrap
from tests.lab.envoy import Envoy
from tests.lab.model import Model
from tests.lab.process import Children
from tests.lab.wasm import built, wasm
from tests.outage.report import BrownOut, Outage, write

CROWD = 100
OUTAGE, BROWN_OUT = (10, 15, 20), (10, 60)
QUICK_OUTAGE, QUICK_BROWN_OUT = (4, 6, 8), (4, 15)
TIMEOUT = 5
PROBES = 3
MANY_SLOTS, SHORT_SERVICE = 256, 0.05
SLOTS, SERVICE, SLOW, RATE = 32, 0.5, 30, 20
DOCUMENT = {
    "hold_headers": True,
    "timeout": f"{TIMEOUT}s",
    "breaker": {"open_for": "1s", "max_open_for": "4s", "probes": PROBES},
    "tiers": {
        "cached": {"max_entries": 4096, "max_entry": "4KiB"},
        "default": {"status": 200, "message": "The model is busy. Please try again shortly."},
    },
}
COUNTERS = ("breaker_opened", "breaker_closed", "probes", "failures", "timeouts", "contended")


class Run:
    def __init__(self, options):
        self._binary = options.envoy
        self._outage = QUICK_OUTAGE if options.quick else OUTAGE
        self._brown_out = QUICK_BROWN_OUT if options.quick else BROWN_OUT

    def outage(self, name: str, *filters: dict) -> Outage:
        with Children() as children:
            model = Model(children, slots=MANY_SLOTS, service=SHORT_SERVICE)
            envoy = self._envoy(children, model, *filters, timeout=TIMEOUT)
            before, down, after = self._outage
            begin = time.monotonic() + 2
            end = begin + before + down + after
            clients = children.script("tests.outage.clients", port=envoy.port, begin=begin, end=end, crowd=CROWD)
            time.sleep(begin + before - time.monotonic())
            killed = time.monotonic()
            model.kill()
            time.sleep(down)
            model.start()
            restarted = time.monotonic()
            while (
                filters
                and time.monotonic() < end
                and not envoy.counters("degradation", "breaker_closed")["breaker_closed"]
            ):
                time.sleep(0.01)
            closed = time.monotonic()
            calls = clients.result()
            counters = envoy.counters("degradation", *COUNTERS) if filters else {}
            return Outage(name, calls, killed, restarted, closed, model.log(), counters)

    def brown_out(self, name: str, *filters: dict, timeout: int) -> BrownOut:
        with Children() as children:
            model = Model(children, slots=SLOTS, service=SERVICE)
            envoy = self._envoy(children, model, *filters, timeout=timeout)
            calm, brown = self._brown_out
            begin = time.monotonic() + 2
            end = begin + calm + brown
            model.behave(slow=(begin + calm, end, SLOW))
            clients = children.script("tests.outage.clients", port=envoy.port, begin=begin, end=end, rate=RATE)
            return BrownOut(name, clients.result(), begin + calm)

    def _envoy(self, children: Children, model: Model, *filters: dict, timeout: int) -> Envoy:
        made = bootstrap(*filters, upstream=model.port, timeout=f"{timeout}s")
        return Envoy(children, made, binary=self._binary).ready()


def main() -> bool:
    parser = scenario.options("outage", __doc__)
    parser.add_argument("--quick", action="store_true", help="shorter; too short for the bound on short requests")
    options = parser.parse_args()
    built("degradation")
    run, ours = Run(options), wasm("degradation", DOCUMENT, hold=True)
    outages = [run.outage("Envoy alone"), run.outage("degradation", ours)]
    brown_outs = [
        run.brown_out("Envoy alone, 60 s", timeout=60),
        run.brown_out(f"Envoy alone, {TIMEOUT} s", timeout=TIMEOUT),
        run.brown_out(f"degradation, {TIMEOUT} s", ours, timeout=60),
    ]
    return write(outages, brown_outs, TIMEOUT, PROBES, options.json)


if __name__ == "__main__":
    scenario.run("outage", main)
