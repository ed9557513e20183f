#!/usr/bin/env python3
"""`make storm`: what retries do to a cluster that fails half its requests, with and without the retry budget.

A storm: clients call at a steady pace that the server can well serve; for a while it fails half of what it serves.
Every attempt costs it the same, so retries alone can drive it beyond what it can take, and keep it there after it has
recovered. Behind a limit that refuses most of them, what may come back is bounded all the same. A wave: a crowd is refused within one second, and the question is when it comes back.
Ends with 0 when every bound was kept.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from admin import ROOT, Failure, find_envoy
from gateway import Gateway, bootstrap, outcomes, script, wasm
from report import Storm, Wave, write

HERE = Path(__file__).resolve().parent
LIKE = 200
REAL = 4
CALM, FAILING, AFTER = 10, 20, 30
CROWD = 1_000
BUDGET = {"retry-budget": {"per": ["client", "cluster"]}}
EACH = {"retry-budget": {"per": ["client"]}}
TIGHT = {"limits": [{"name": "per-client", "per": ["client"], "requests": {"rate": "1/s", "burst": 1}}]}
STATISTICS = ("first_attempts", "attempts", "client_retries.admitted", "client_retries.refused", "contended")


class Upstream:
    def __init__(self, stack: ExitStack):
        self._process = script(stack, sys.executable, HERE / "upstream.py")
        self.port = int(self._process.stdout.readline())

    def fail(self, begin: float, end: float, share: float) -> None:
        self._process.stdin.write(json.dumps([begin, end, share]) + "\n")
        self._process.stdin.flush()

    def arrivals(self) -> list[tuple[float, int]]:
        return json.loads(self._process.communicate()[0])


def envoy(stack: ExitStack, binary: Path, directory: Path, upstream: int, filters: dict) -> Gateway:
    chain = [wasm(root_id, document) for root_id, document in filters.items()]
    gateway = Gateway(binary, directory / "envoy", bootstrap(upstream, *chain))
    stack.callback(gateway.stop)
    return gateway


def storm(binary: Path, sdk: str, name: str, filters: dict) -> Storm:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
        upstream = Upstream(stack)
        gateway = envoy(stack, binary, directory, upstream.port, filters)
        seconds = CALM + FAILING + AFTER
        begin = time.monotonic() + 3
        recovery = begin + CALM + FAILING
        upstream.fail(begin + CALM, recovery, 0.5)
        like = script(stack, sys.executable, HERE / "clients.py", gateway.port, LIKE, seconds, seconds, begin)
        real = script(stack, sdk, HERE / "sdks.py", gateway.port, REAL, seconds, begin)
        calls = outcomes(like, real)
        stats = {what: gateway.stat(f"wasmcustom.tidegate.retry_budget.{what}") for what in STATISTICS}
        return Storm(name, calls, upstream.arrivals(), begin, begin + CALM, recovery, begin + seconds, stats)


def wave(binary: Path, name: str, filters: dict) -> Wave:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
        upstream = Upstream(stack)
        gateway = envoy(stack, binary, directory, upstream.port, filters)
        begin = time.monotonic() + 2
        upstream.fail(begin, begin + 3600, 1)
        return Wave(
            name, outcomes(script(stack, sys.executable, HERE / "clients.py", gateway.port, CROWD, 1, 1, begin))
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="A retry storm, with and without the retry budget.")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "target/storm/storm.json", help="written there (%(default)s)"
    )
    options = parser.parse_args()
    try:
        binary = find_envoy()
        python_sh = [ROOT / "envoy/python.sh", "sdk", ROOT / "tests/sdk/requirements.txt"]
        sdk = subprocess.run(python_sh, check=True, capture_output=True, text=True).stdout.strip()
        storms = [
            storm(binary, sdk, "Envoy alone", {}),
            storm(binary, sdk, "retry-budget", BUDGET),
            storm(binary, sdk, "behind a tight rate-limit", {"rate-limit": TIGHT} | BUDGET),
        ]
        waves = [wave(binary, "Envoy alone", {}), wave(binary, "retry-budget", EACH)]
    except (Failure, subprocess.CalledProcessError) as error:
        print(f"storm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("storm: interrupted", file=sys.stderr)
        return 130
    return 0 if write(storms, waves, options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
