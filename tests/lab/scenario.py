"""The beginning and the end of a scenario: its options, its signals, and its exit status."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab import ROOT, Failure


def options(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=description.splitlines()[0])
    parser.add_argument("--envoy", type=Path, help="this Envoy instead of the one that envoy/find-envoy.sh finds")
    default = ROOT / "target" / name / f"{name}.json"
    parser.add_argument("--json", type=Path, default=default, help="where the numbers are written (%(default)s)")
    return parser


def run(name: str, scenario: Callable[[], bool]) -> None:
    """Exits with 0 when the scenario kept its bounds, 1 when it broke one or failed, 130 when it was interrupted."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        sys.exit(0 if scenario() else 1)
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing is left running.", file=sys.stderr)
        sys.exit(130)
