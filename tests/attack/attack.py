#!/usr/bin/env python3
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
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import attacks
from admin import ROOT, Failure, find_envoy
from attacks import ATTACKS, BEAT, CONNECTIONS, Attack
from configurations import CONFIGURATIONS, GUARD, Configuration, reference, require_modules, without
from gateway import Gateway
from processes import Processes
from report import Cell, Idle, Outcome, Report

WARM_UP, CALM, ATTACKED = 0.5, 3.0, 10.0
IDLE_CONNECTIONS = 10_000
IDLE_OPENED_A_SECOND = 500
IDLE_HELD = 10
QUICK = {"attacks": ["slow body", "slowloris"], "seconds": 5.0, "scale": 0.1, "connections": 2_000}


def main() -> int:
    options = arguments()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    allow_open_files(options.connections)
    try:
        require_modules()
        attacks.find_slowhttptest()
        chosen = choose(options.attacks)
        with Processes() as processes:
            run = Run(processes, options)
            patient = run.patient()
            cells = list(run.cells(chosen))
            report = Report(cells, run.idles(), patient())
    except Failure as failure:
        print(f"attack: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("attack: interrupted; nothing is left running.", file=sys.stderr)
        return 130
    print(report.write(options.json))
    return 0


class Run:
    def __init__(self, processes: Processes, options: argparse.Namespace):
        self._processes = processes
        self._options = options
        self._binary = options.envoy or find_envoy()

    def cells(self, chosen: list[Attack]) -> Iterator[Cell]:
        for _, attack, spread, name in product(range(self._options.rounds), chosen, (False, True), CONFIGURATIONS):
            with ExitStack() as stack:
                cell = self._cell(stack, attack, spread, name)
            print(cell, file=sys.stderr)
            yield cell

    def patient(self) -> Callable[[], dict[str, str]]:
        """Starts the honest slow clients; what it gives waits for them."""
        envoy = self._envoy(ExitStack(), "patient", reference)
        clients = self._processes.script("patient", envoy.port, self._options.scale)
        return lambda: self._said("patient", clients)

    def idles(self) -> list[Idle]:
        found = {f"without {GUARD}": lambda model: without(reference(model), GUARD), f"with {GUARD}": reference}
        return [self._idle(name, configuration) for name, configuration in found.items()]

    def _cell(self, stack: ExitStack, attack: Attack, spread: bool, configuration: str) -> Cell:
        envoy = self._envoy(stack, configuration, CONFIGURATIONS[configuration])
        target = self._server(stack, "forward", envoy.port) if spread else envoy.port
        honest = self._processes.script("honest", envoy.port)
        time.sleep(WARM_UP)
        calm = time.monotonic()
        time.sleep(CALM)
        before, opened, held, attacked = envoy.connections(), envoy.opened(), [], time.monotonic()
        with attack.kept_up(self._processes, target):
            while (end := time.monotonic()) < attacked + self._options.seconds:
                time.sleep(BEAT)
                held.append(envoy.connections() - before)
            outcomes = self._said("honest", honest)
        under_attack, opened = due(outcomes, attacked, end), envoy.opened() - opened
        if opened < len(under_attack) // 2 + CONNECTIONS // 10:
            self._processes.complain("tool")
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
        with ExitStack() as stack:
            envoy = self._envoy(stack, name, configuration)
            count, empty = self._options.connections, envoy.memory()
            holder = self._processes.script("idle", envoy.port, count, count / IDLE_OPENED_A_SECOND)
            answered = json.loads(self._line("idle", holder))["answered"]
            memory, cpu, start = envoy.memory() - empty, envoy.cpu_seconds(), time.monotonic()
            time.sleep(IDLE_HELD)
            cpu = (envoy.cpu_seconds() - cpu) / (time.monotonic() - start)
            after = self._said("idle", holder, "go on\n")
            return Idle(name, count, answered, memory / count, cpu, after["open"], after["asked"], after["answered"])

    def _envoy(self, stack: ExitStack, name: str, configuration: Configuration) -> Gateway:
        """Envoy in front of a model server of its own, both until the stack is left."""
        model = self._server(stack, "model")
        envoy = Gateway(self._processes, self._binary, name, configuration(model))
        stack.callback(envoy.stop)
        return envoy

    def _server(self, stack: ExitStack, script: str, *arguments) -> int:
        process = self._processes.script(script, *arguments)
        stack.callback(self._processes.stop, process)
        return int(self._line(script, process))

    def _line(self, script: str, process: Popen) -> str:
        return process.stdout.readline() or self._processes.complain(script)

    def _said(self, script: str, process: Popen, told: str = "") -> Any:
        return json.loads(process.communicate(told)[0] or self._processes.complain(script))


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="two attacks, shorter, and everything else scaled down")
    add("--attacks", nargs="+", default=[""], metavar="WORD", help="only attacks whose name holds a WORD")
    add("--rounds", type=int, default=1, help="of all attacks, for medians on a machine that is shared (%(default)s)")
    add("--seconds", type=float, default=ATTACKED, help="how long each attack lasts (%(default)s)")
    add("--scale", type=float, default=1.0, help="of the times of honest slow clients (%(default)s)")
    add("--connections", type=int, default=IDLE_CONNECTIONS, help="how many are held idle (%(default)s)")
    add("--envoy", type=Path, help="this Envoy instead of the one that envoy/find-envoy.sh finds")
    add("--json", type=Path, default=ROOT / "target/attack/results.json", help="written there (%(default)s)")
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
