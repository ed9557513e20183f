"""`make storm`: what retries do to a cluster that fails half its requests, with and without the retry budget.

A storm: clients call at a steady pace that the server can well serve; for a while it fails half of what it serves.
Every attempt costs it the same, so retries alone can drive it beyond what it can take, and keep it there after it has
recovered. Behind a limit that refuses most of them, what may come back is bounded all the same. A wave: a crowd is
refused within one second, and the question is when it comes back. Ends with 0 when every bound was kept.

The server has SLOTS slots. As inference servers do, it rather queues than refuses: only beyond its queue, which it
serves in three seconds, it answers 503.
"""

import time

from tests.lab import scenario
from tests.lab.bootstrap import bootstrap
from tests.lab.envoy import Envoy
from tests.lab.model import Model
from tests.lab.process import Children, printed
from tests.lab.wasm import built, wasm
from tests.storm.report import Storm, Wave, write

SLOTS, SERVICE, QUEUE = 6, 0.02, 900
LIKE = 200
REAL = 4
PHASES = (10, 20, 30)
QUICK = (4, 6, 10)
CROWD = 1_000
BUDGET = {"retry-budget": {"per": ["client", "cluster"]}}
EACH = {"retry-budget": {"per": ["client"]}}
TIGHT = {"limits": [{"name": "per-client", "per": ["client"], "requests": {"rate": "1/s", "burst": 1}}]}
STATISTICS = ("first_attempts", "attempts", "client_retries.admitted", "client_retries.refused", "contended")


class Run:
    def __init__(self, options):
        self._binary = options.envoy
        self._calm, self._failing, self._after = QUICK if options.quick else PHASES
        self._sdk = printed("python.sh", "sdk", "tests/sdk/requirements.txt")

    def storm(self, name: str, filters: dict) -> Storm:
        with Children() as children:
            model, envoy = self._start(children, filters)
            seconds = self._calm + self._failing + self._after
            begin = time.monotonic() + 3
            failing, recovery = begin + self._calm, begin + self._calm + self._failing
            model.behave(failing=(failing, recovery, 0.5))
            like = {"clients": LIKE, "calls": seconds, "span": seconds}
            clients = [
                children.script("tests.storm.clients", port=envoy.port, begin=begin, **like),
                children.script(
                    "tests.storm.sdks", self._sdk, port=envoy.port, begin=begin, clients=REAL, count=seconds
                ),
            ]
            calls = [call for one in clients for call in one.result()]
            counters = envoy.counters("retry_budget", *STATISTICS)
            arrivals = [at for at, _ in model.log()["arrivals"]]
            return Storm(name, calls, arrivals, begin, failing, recovery, begin + seconds, counters)

    def wave(self, name: str, filters: dict) -> Wave:
        with Children() as children:
            model, envoy = self._start(children, filters)
            begin = time.monotonic() + 2
            model.behave(status=500)
            crowd = {"clients": CROWD, "calls": 1, "span": 1, "begin": begin}
            return Wave(name, children.script("tests.storm.clients", port=envoy.port, **crowd).result())

    def _start(self, children: Children, filters: dict) -> tuple[Model, Envoy]:
        model = Model(children, slots=SLOTS, service=SERVICE, queue=QUEUE)
        chain = [wasm(root_id, document) for root_id, document in filters.items()]
        return model, Envoy(children, bootstrap(*chain, upstream=model.port), binary=self._binary).ready()


def main() -> bool:
    parser = scenario.options("storm", __doc__)
    parser.add_argument("--quick", action="store_true", help="shorter storms, after which goodput may not yet be back")
    options = parser.parse_args()
    for root_id in ("retry-budget", "rate-limit"):
        built(root_id)
    run = Run(options)
    storms = [
        run.storm("Envoy alone", {}),
        run.storm("retry-budget", BUDGET),
        run.storm("behind a tight rate-limit", {"rate-limit": TIGHT} | BUDGET),
    ]
    waves = [run.wave("Envoy alone", {}), run.wave("retry-budget", EACH)]
    return write(storms, waves, options.json)


if __name__ == "__main__":
    scenario.run("storm", main)
