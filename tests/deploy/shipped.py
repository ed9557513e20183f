"""What envoy/ ships, as the tests read it."""

import json
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "envoy"
sys.path.insert(0, str(SHIPPED))

FILTERS = json.loads((ROOT / "filters/chain/filters.json").read_text())
CHAIN = [one["root_id"] for one in FILTERS if one["kind"] == "http"]


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def manifests(folder=SHIPPED):
    """Every Kubernetes resource, with the name of its file."""
    for name in ("istio", "gateway", "kubernetes"):
        for file in sorted((folder / name).glob("*.yaml")):
            for document in documents(file):
                yield f"{name}/{file.name}", document


def plugins(file):
    """The WasmPlugins of a file, in the order in which Istio runs them."""
    found = [document["spec"] for document in documents(SHIPPED / "istio" / file)]
    return sorted(found, key=lambda plugin: -plugin["priority"])


def panels():
    dashboard = json.loads((SHIPPED / "grafana/tidegate.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def module(name):
    """The product, or None where it has not been built."""
    file = ROOT / "dist" / f"{name}.wasm"
    return file if file.exists() else None


def wasm_filter(name, configuration, kind="http", **more):
    """A module as an Envoy filter, as Istio and Envoy Gateway make it of their resources."""
    return {
        "name": name,
        "typed_config": {
            "@type": f"type.googleapis.com/envoy.extensions.filters.{kind}.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": str(module(name))}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": json.dumps(configuration),
                },
            }
            | more,
        },
    }
