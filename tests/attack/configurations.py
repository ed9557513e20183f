"""The three configurations that are attacked, as Envoy reads them.

`with Tidegate` is the reference configuration in envoy/, changed in addresses only, with one server of its three;
`Envoy's best` is the same without our filters, so that the difference between the two is ours; `Envoy's defaults` is
a listener and a route. In all of them a request that the model server has not answered after ROUTE_TIMEOUT is given up.
"""

import copy
import json
from collections.abc import Callable

import yaml

from admin import ROOT, Failure

OURS = "with Tidegate"
ROUTE_TIMEOUT = "5s"
GUARD = "connection-guard"
TYPE = "type.googleapis.com/envoy.extensions.filters"

Configuration = Callable[[int], dict]
"""Envoy's bootstrap, given the model server's port."""


def reference(model: int) -> dict:
    made = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text().replace("/etc/envoy/", f"{ROOT}/dist/"))
    made["admin"] = {"address": address(0)}
    resources = made["static_resources"]
    resources["listeners"][0]["address"] = address(0)
    endpoint = {"endpoint": {"address": address(model)}}
    resources["clusters"][0]["load_assignment"]["endpoints"] = [{"lb_endpoints": [endpoint]}]
    return made


def without(bootstrap: dict, name: str | None = None) -> dict:
    """Without our filter of that name, or without any of them."""
    stripped = copy.deepcopy(bootstrap)

    def kept(filters: list[dict]) -> list[dict]:
        return [one for one in filters if not is_ours(one) or name not in (None, one["name"])]

    for chain in stripped["static_resources"]["listeners"][0]["filter_chains"]:
        chain["filters"] = kept(chain["filters"])
    manager = manager_of(stripped)
    manager["http_filters"] = kept(manager["http_filters"])
    return stripped


def filters_of(bootstrap: dict) -> list[dict]:
    chain = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]
    return [one for one in chain["filters"] + manager_of(bootstrap)["http_filters"] if is_ours(one)]


def require_modules() -> None:
    missing = [one["name"] for one in filters_of(reference(1)) if not (ROOT / "dist" / f"{one['name']}.wasm").exists()]
    if missing:
        raise Failure(f"dist/{missing[0]}.wasm is missing: run `make build` first.")


def is_ours(one: dict) -> bool:
    return one["typed_config"]["@type"].endswith(".wasm.v3.Wasm")


def manager_of(bootstrap: dict) -> dict:
    chain = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    return next(one["typed_config"] for one in chain if "HttpConnectionManager" in one["typed_config"]["@type"])


def routes(bootstrap: dict) -> list[dict]:
    return [route for host in manager_of(bootstrap)["route_config"]["virtual_hosts"] for route in host["routes"]]


def defaults(model: int) -> dict:
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "model",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "model"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"},
            }
        ],
    }
    endpoint = {"endpoint": {"address": address(model)}}
    return {
        "admin": {"address": address(0)},
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": address(0),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "model",
                    "type": "STATIC",
                    "load_assignment": {"cluster_name": "model", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        },
    }


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def attacked(configuration: Configuration) -> Configuration:
    def with_timeout(model: int) -> dict:
        bootstrap = configuration(model)
        for action in (route["route"] for route in routes(bootstrap) if "route" in route):
            action["timeout"] = ROUTE_TIMEOUT
        for one in manager_of(bootstrap)["http_filters"]:
            if one["name"] == "degradation":
                # It tells Envoy's router how long to wait, whatever the route says.
                written = one["typed_config"]["config"]["configuration"]
                written["value"] = json.dumps(json.loads(written["value"]) | {"timeout": ROUTE_TIMEOUT})
        return bootstrap

    return with_timeout


CONFIGURATIONS: dict[str, Configuration] = {
    "Envoy's defaults": attacked(defaults),
    "Envoy's best": attacked(lambda model: without(reference(model))),
    OURS: attacked(reference),
}
