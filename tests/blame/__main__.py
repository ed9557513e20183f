"""`make blame`: what honest clients get beside one whose requests fail, hang or drip, in the reference configurations.

Eight honest clients, each with an address and a key of its own, ask eight times a second in all. An attacker keeps
within every limit of the reference. In other runs the cluster itself fails, hangs, or is back after an outage. The
list of models is not for those without a key of the server's own: it answers 401.
Envoy has two workers. Ends with 0 when every bound was kept.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.blame.report import Run, write
from tests.blame.scenarios import Scenario, scenarios
from tests.lab import scenario
from tests.lab.bootstrap import reference
from tests.lab.envoy import Envoy
from tests.lab.model import Model
from tests.lab.process import Children

AT_ONCE = 3
COUNTERS = ("breaker_opened", "breaker_closed", "probes", "failures", "overloads", "reduced", "contended")


def measured(chosen: Scenario, seed: int, options) -> Run:
    with Children() as children:
        model = Model(children, listing=401)
        made = reference(chosen.file, model.port, changes=chosen.changes)
        envoy = Envoy(children, made, binary=options.envoy).ready()
        begin = time.monotonic() + 1
        model.behave(failing=(begin - 1, begin + chosen.outage, 1) if chosen.outage else (0, 0, 0), hangs=chosen.hangs)
        clients = children.script("tests.blame.clients", port=envoy.port, begin=begin, seed=seed, plans=chosen.clients)
        calls = clients.result()
        counters = envoy.counters("degradation", *COUNTERS)
        chats = [at for at, method in model.log()["arrivals"] if method == "POST"]
        return Run(chosen, calls, chats, counters)


def main() -> bool:
    parser = scenario.options("blame", __doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs, and fewer")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    chosen = [one for one in scenarios(options.quick) if options.only in one.name]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return write(
            list(pool.map(lambda numbered: measured(numbered[1], numbered[0], options), enumerate(chosen))),
            options.json,
        )


if __name__ == "__main__":
    scenario.run("blame", main)
