#!/usr/bin/env python3
"""`make blame`: what honest clients get beside one whose requests fail, hang or drip, in the reference configurations.

Eight honest clients, each with an address and a key of its own, ask eight times a second in all. An attacker keeps
within every limit of the reference. In other runs the cluster itself fails, hangs, or is back after an outage.
Envoy has two workers. Ends with 0 when every bound was kept.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from admin import ROOT, Failure, find_envoy
from gateway import Gateway, outcomes, reference, script
from report import Run, write
from scenarios import Scenario, scenarios

HERE = Path(__file__).resolve().parent
AT_ONCE = 3
PREFIX = "wasmcustom.tidegate.degradation"
COUNTERS = ("breaker_opened", "breaker_closed", "probes", "failures", "overloads", "reduced", "contended")


def run(binary: Path, scenario: Scenario, seed: int) -> Run:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blame-")))
        upstream = script(stack, sys.executable, HERE / "upstream.py")
        port = int(upstream.stdout.readline())
        gateway = Gateway(binary, directory / "envoy", reference(scenario.file, port, scenario.changes))
        stack.callback(gateway.stop)
        begin = time.monotonic() + 1
        outage = [begin - 1, begin + scenario.outage]
        upstream.stdin.write(json.dumps([outage, scenario.hangs]) + "\n")
        upstream.stdin.flush()
        plans = json.dumps(scenario.clients)
        clients = script(stack, sys.executable, HERE / "clients.py", gateway.port, begin, seed, plans)
        calls = outcomes(clients)
        counters = {what: gateway.stat(f"{PREFIX}.{what}") for what in COUNTERS}
        arrivals = json.loads(upstream.communicate()[0])
        return Run(scenario, calls, [at - begin for at in arrivals], counters)


def main() -> int:
    parser = argparse.ArgumentParser(description="What honest clients get beside one that is in trouble.")
    parser.add_argument("--quick", action="store_true", help="shorter runs, and fewer")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "target/blame/blame.json", help="written there (%(default)s)"
    )
    options = parser.parse_args()
    try:
        binary = find_envoy()
        chosen = [one for one in scenarios(options.quick) if options.only in one.name]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(lambda numbered: run(binary, numbered[1], numbered[0]), enumerate(chosen)))
    except Failure as error:
        print(f"blame: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("blame: interrupted", file=sys.stderr)
        return 130
    return 0 if write(runs, options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
