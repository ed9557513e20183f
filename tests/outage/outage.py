#!/usr/bin/env python3
"""`make outage`: what clients get while the model server is dead, or slow, with and without `degradation`.

An outage: a server under the load of a crowd is killed by SIGKILL and comes back DOWN seconds later. A brown-out: of a
server with a limited number of slots, one prompt in ten takes SLOW seconds instead of half a second, and holds its
slot that long, so that the short ones wait for slots. Envoy has two workers.
Ends with 0 when every bound was kept.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from admin import ROOT, Failure, find_envoy
from gateway import Gateway, bootstrap, outcomes, script, wasm
from report import BrownOut, Outage, write

HERE = Path(__file__).resolve().parent
CROWD = 100
BEFORE, DOWN, AFTER = 10, 15, 20
TIMEOUT = 5
PROBES = 3
MANY_SLOTS, SHORT_SERVICE = 256, 0.05
SLOTS, SERVICE, SLOW, RATE = 32, 0.5, 30, 20
CALM, BROWN = 10, 60
DOCUMENT = {
    "hold_headers": True,
    "timeout": f"{TIMEOUT}s",
    "breaker": {"open_for": "1s", "max_open_for": "4s", "probes": PROBES},
    "tiers": {
        "cached": {"max_entries": 4096, "max_entry": "4KiB"},
        "default": {"status": 200, "message": "The model is busy. Please try again shortly."},
    },
}
PREFIX = "wasmcustom.tidegate.degradation"
COUNTERS = ("breaker_opened", "breaker_closed", "probes", "failures", "timeouts", "contended")


class Upstream:
    def __init__(self, stack: ExitStack, slots: int, service: float, port: int = 0):
        self._process = script(stack, sys.executable, HERE / "upstream.py", port, slots, service)
        self.port = int(self._process.stdout.readline())

    def brown_out(self, begin: float, end: float) -> None:
        self._process.stdin.write(json.dumps([begin, end, SLOW]) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def log(self) -> list[tuple[str, float]]:
        return json.loads(self._process.communicate()[0])


def envoy(stack: ExitStack, binary: Path, upstream: int, *filters: dict, timeout: int = 60) -> Gateway:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outage-")))
    gateway = Gateway(binary, directory / "envoy", bootstrap(upstream, *filters, timeout=f"{timeout}s"))
    stack.callback(gateway.stop)
    return gateway


def outage(binary: Path, name: str, *filters: dict) -> Outage:
    with ExitStack() as stack:
        upstream = Upstream(stack, MANY_SLOTS, SHORT_SERVICE)
        gateway = envoy(stack, binary, upstream.port, *filters, timeout=TIMEOUT)
        begin = time.monotonic() + 2
        end = begin + BEFORE + DOWN + AFTER
        clients = script(stack, sys.executable, HERE / "clients.py", gateway.port, "crowd", CROWD, begin, end)
        time.sleep(begin + BEFORE - time.monotonic())
        killed = time.monotonic()
        upstream.kill()
        time.sleep(DOWN)
        upstream = Upstream(stack, MANY_SLOTS, SHORT_SERVICE, upstream.port)
        restarted = time.monotonic()
        while filters and time.monotonic() < end and gateway.stat(f"{PREFIX}.breaker_closed") == 0:
            time.sleep(0.01)
        closed = time.monotonic()
        calls = outcomes(clients)
        counters = {what: gateway.stat(f"{PREFIX}.{what}") for what in COUNTERS}
        return Outage(name, calls, killed, restarted, closed, upstream.log(), counters if filters else {})


def brown_out(binary: Path, name: str, *filters: dict, timeout: int) -> BrownOut:
    with ExitStack() as stack:
        upstream = Upstream(stack, SLOTS, SERVICE)
        gateway = envoy(stack, binary, upstream.port, *filters, timeout=timeout)
        begin = time.monotonic() + 2
        end = begin + CALM + BROWN
        upstream.brown_out(begin + CALM, end)
        clients = script(stack, sys.executable, HERE / "clients.py", gateway.port, "pace", RATE, begin, end)
        return BrownOut(name, outcomes(clients), begin + CALM)


def main() -> int:
    parser = argparse.ArgumentParser(description="An outage and a brown-out, with and without degradation.")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "target/outage/outage.json", help="written there (%(default)s)"
    )
    options = parser.parse_args()
    try:
        binary, ours = find_envoy(), wasm("degradation", DOCUMENT, hold=True)
        outages = [outage(binary, "Envoy alone"), outage(binary, "degradation", ours)]
        brown_outs = [
            brown_out(binary, "Envoy alone, 60 s", timeout=60),
            brown_out(binary, f"Envoy alone, {TIMEOUT} s", timeout=TIMEOUT),
            brown_out(binary, f"degradation, {TIMEOUT} s", ours, timeout=60),
        ]
    except Failure as error:
        print(f"outage: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("outage: interrupted", file=sys.stderr)
        return 130
    return 0 if write(outages, brown_outs, TIMEOUT, PROBES, options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
