"""The files of envoy/ that ship, as the tests read them."""

import json

import yaml

from tests.lab import ROOT

SHIPPED = ROOT / "envoy"

FILTERS = json.loads((ROOT / "filters/chain/filters.json").read_text())
CHAIN = [one["root_id"] for one in FILTERS if one["kind"] == "http"]
MODULES = [*(one["root_id"] for one in FILTERS), "tidegate"]


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
