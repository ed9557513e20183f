"""The lab: Envoy, model servers, clients and reports, for the scenarios beside it and for the demo."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Failure(Exception):
    """A failure that the user can act on, in one sentence."""
