"""The modules in dist/ as Envoy's filters."""

import json
from pathlib import Path

from tests.lab import ROOT, Failure


def module(root_id: str) -> Path:
    """The module's file. The modules of the benchmark are in a folder of their own."""
    folder = ROOT / "dist" / ("bench" if root_id in ("empty", "scan") else "")
    return folder / f"{root_id}.wasm"


def built(root_id: str) -> Path:
    file = module(root_id)
    if not file.exists():
        raise Failure(f"{file.relative_to(ROOT)} is missing: run `make build` first.")
    return file


def wasm(root_id: str, document: dict, *, name: str = "", kind: str = "http", hold: bool = False) -> dict:
    """A filter. Those of one `name` share a VM; `hold` says that it may hold a request's headers."""
    return {
        "name": name or root_id,
        "typed_config": {
            "@type": f"type.googleapis.com/envoy.extensions.filters.{kind}.wasm.v3.Wasm",
            "config": {
                "name": name or root_id,
                "root_id": root_id,
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": hold,
                "vm_config": {
                    "vm_id": f"tidegate-{name}" if name else "tidegate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": str(module(root_id))}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": json.dumps(document),
                },
            },
        },
    }
