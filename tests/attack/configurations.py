"""The three configurations that are attacked, as Envoy reads them.

`with Tidegate` is the reference configuration in envoy/, changed in addresses only, with one server of its three;
`Envoy's best` is the same without our filters, so that the difference between the two is ours; `Envoy's defaults` is
a listener and a route. In all of them a request that the model server has not answered after ROUTE_TIMEOUT is given up.
"""

import copy
import json
from collections.abc import Callable

from tests.lab import bootstrap
from tests.lab.bootstrap import chain_of, manager_of
from tests.lab.wasm import built

OURS = "with Tidegate"
ROUTE_TIMEOUT = "5s"
GUARD = "connection-guard"

Configuration = Callable[[int], dict]
"""Envoy's bootstrap, given the model server's port."""


def reference(model: int) -> dict:
    made = bootstrap.reference("envoy.yaml", model)
    one, *_ = bootstrap.endpoints(made)
    (cluster,) = made["static_resources"]["clusters"]
    cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": one}]}]
    return made


def without(made: dict, name: str | None = None) -> dict:
    """Without our filter of that name, or without any of them."""
    stripped = copy.deepcopy(made)

    def kept(filters: list[dict]) -> list[dict]:
        return [one for one in filters if not is_ours(one) or name not in (None, one["name"])]

    chain_of(stripped)[:] = kept(chain_of(stripped))
    manager = manager_of(stripped)
    manager["http_filters"] = kept(manager["http_filters"])
    return stripped


def filters_of(made: dict) -> list[dict]:
    """Ours, network filters first."""
    return [one for one in chain_of(made) + manager_of(made)["http_filters"] if is_ours(one)]


def require_modules() -> None:
    for one in filters_of(reference(1)):
        built(one["name"])


def is_ours(one: dict) -> bool:
    return one["typed_config"]["@type"].endswith(".wasm.v3.Wasm")


def routes(made: dict) -> list[dict]:
    return [route for host in manager_of(made)["route_config"]["virtual_hosts"] for route in host["routes"]]


def defaults(model: int) -> dict:
    made = bootstrap.bootstrap(upstream=model)
    del manager_of(made)["use_remote_address"]
    del made["static_resources"]["clusters"][0]["circuit_breakers"]
    return made


def attacked(configuration: Configuration) -> Configuration:
    def with_timeout(model: int) -> dict:
        made = configuration(model)
        for action in (route["route"] for route in routes(made) if "route" in route):
            action["timeout"] = ROUTE_TIMEOUT
        for one in manager_of(made)["http_filters"]:
            if one["name"] == "degradation":
                # It tells Envoy's router how long to wait, whatever the route says.
                written = one["typed_config"]["config"]["configuration"]
                written["value"] = json.dumps(json.loads(written["value"]) | {"timeout": ROUTE_TIMEOUT})
        return made

    return with_timeout


CONFIGURATIONS: dict[str, Configuration] = {
    "Envoy's defaults": attacked(defaults),
    "Envoy's best": attacked(lambda model: without(reference(model))),
    OURS: attacked(reference),
}
