"""`make attack`: what slow attacks do to honest clients, with Envoy's defaults, with its best settings, and with ours.

For each attack and each configuration there is a fresh Envoy, in front of a model server with 64 slots. Honest
clients ask for a while in calm, and go on while the attack runs. What counts is the share of their requests that are
answered 200 and how long that takes. The calm of a configuration is that of all its cells, seconds away from the
attacks that it is compared with. Beside it run the honest clients that are slow, and after it are held the
connections that are idle.
Ends with 0 when everything could be measured: what an attack achieves is a result, not an error.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import product
from statistics import median

from tests.attack import attacks
from tests.attack.attacks import ATTACKS, BEAT, CONNECTIONS, Attack
from tests.attack.configurations import CONFIGURATIONS, GUARD, Configuration, reference, require_modules, without
from tests.attack.report import Cell, Idle, Outcome, Report
from tests.lab import Failure, scenario
from tests.lab.envoy import Envoy
from tests.lab.model import Model
from tests.lab.process import Children

SLOTS, SERVICE = 64, 0.02
WARM_UP, CALM, ATTACKED = 0.5, 3.0, 10.0
IDLE_CONNECTIONS = 10_000
IDLE_OPENED_A_SECOND = 500
IDLE_HELD = 10
QUICK = {"attacks": ["slow body", "slowloris"], "seconds": 5.0, "scale": 0.1, "connections": 2_000}


def main() -> bool:
    options = arguments()
    allow_open_files(options.connections)
    require_modules()
    attacks.find_slowhttptest()
    chosen, run = choose(options.attacks), Run(options)
    with Children() as children:
        envoy = run.envoy(children, "patient", reference)
        patient = children.script("tests.attack.patient", port=envoy.port, scale=options.scale)
        cells = list(run.cells(chosen))
        report = Report(cells, run.idles(), patient.result())
    print(report.write(options.json))
    return True


class Run:
    def __init__(self, options: argparse.Namespace):
        self._options = options

    def cells(self, chosen: list[Attack]) -> Iterator[Cell]:
        for _, attack, spread, name in product(range(self._options.rounds), chosen, (False, True), CONFIGURATIONS):
            with Children() as children:
                cell = self._cell(children, attack, spread, name)
            print(cell, file=sys.stderr)
            yield cell

    def idles(self) -> list[Idle]:
        found = {f"without {GUARD}": lambda model: without(reference(model), GUARD), f"with {GUARD}": reference}
        return [self._idle(name, configuration) for name, configuration in found.items()]

    def _cell(self, children: Children, attack: Attack, spread: bool, configuration: str) -> Cell:
        envoy = self.envoy(children, configuration, CONFIGURATIONS[configuration])
        target = int(children.script("tests.attack.forward", port=envoy.port).line()) if spread else envoy.port
        honest = children.script("tests.attack.honest", port=envoy.port)
        time.sleep(WARM_UP)
        calm = time.monotonic()
        time.sleep(CALM)
        before, opened, held, attacked = active(envoy), total(envoy), [], time.monotonic()
        with attack.kept_up(children, target) as runs:
            while (end := time.monotonic()) < attacked + self._options.seconds:
                time.sleep(BEAT)
                held.append(active(envoy) - before)
            outcomes = honest.result()
        under_attack, opened = due(outcomes, attacked, end), total(envoy) - opened
        if opened < len(under_attack) // 2 + CONNECTIONS // 10:
            runs[-1].complain()
        return Cell(
            attack.name,
            "50 addresses" if spread else "1 address",
            configuration,
            calm=due(outcomes, calm, attacked),
            attacked=under_attack,
            held=round(median(held)),
            opened=opened,
            memory=envoy.memory("VmHWM"),
        )

    def _idle(self, name: str, configuration: Configuration) -> Idle:
        with Children() as children:
            envoy = self.envoy(children, name, configuration)
            count, empty = self._options.connections, envoy.memory()
            seconds = count / IDLE_OPENED_A_SECOND
            holder = children.script("tests.attack.idle", port=envoy.port, count=count, seconds=seconds)
            answered = json.loads(holder.line())["answered"]
            memory, cpu, start = envoy.memory() - empty, envoy.cpu_seconds(), time.monotonic()
            time.sleep(IDLE_HELD)
            cpu = (envoy.cpu_seconds() - cpu) / (time.monotonic() - start)
            after = holder.result("go on\n")
            return Idle(name, count, answered, memory / count, cpu, after["open"], after["asked"], after["answered"])

    def envoy(self, children: Children, name: str, configuration: Configuration) -> Envoy:
        """Envoy in front of a model server of its own."""
        model = Model(children, slots=SLOTS, service=SERVICE)
        return Envoy(children, configuration(model.port), name=name, binary=self._options.envoy).ready()


def active(envoy: Envoy) -> int:
    return envoy.stat("http.front.downstream_cx_active")


def total(envoy: Envoy) -> int:
    return envoy.stat("http.front.downstream_cx_total")


def choose(words: list[str]) -> list[Attack]:
    chosen = [attack for attack in ATTACKS if any(word in attack.name for word in words)]
    if not chosen:
        raise Failure("no attack has a name like that; there are: " + "; ".join(attack.name for attack in ATTACKS))
    return chosen


def due(outcomes: list[Outcome], start: float, end: float) -> list[Outcome]:
    return [outcome for outcome in outcomes if start <= outcome[0] < end]


def allow_open_files(connections: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < connections + 1_000:
        print(f"attack: only {most} open files are allowed; raise `ulimit -n`, or use --connections", file=sys.stderr)


def arguments() -> argparse.Namespace:
    parser = scenario.options("attack", __doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="two attacks, shorter, and everything else scaled down")
    add("--attacks", nargs="+", default=[""], metavar="WORD", help="only attacks whose name holds a WORD")
    add("--rounds", type=int, default=1, help="of all attacks, for medians on a machine that is shared (%(default)s)")
    add("--seconds", type=float, default=ATTACKED, help="how long each attack lasts (%(default)s)")
    add("--scale", type=float, default=1.0, help="of the times of honest slow clients (%(default)s)")
    add("--connections", type=int, default=IDLE_CONNECTIONS, help="how many are held idle (%(default)s)")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


if __name__ == "__main__":
    scenario.run("attack", main)
