"""Envoy's bootstraps: a listener and a route with filters to choose, and the reference configurations of envoy/."""

import itertools

import yaml

from tests.lab import ROOT, Failure

TYPES = "type.googleapis.com/envoy.extensions.filters"
ANY_PORT = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
MANY = 100_000


def bootstrap(
    *filters: dict, guards: list[dict] = (), upstream: int = 0, timeout: str = "60s", routes: list[dict] = ()
) -> dict:
    """A listener with these HTTP filters behind these network filters. Requests go to the port `upstream`, unless
    one of `routes` takes them; without an upstream, Envoy answers them itself."""
    forward = (
        {"route": {"cluster": "upstream", "timeout": timeout}} if upstream else {"direct_response": {"status": 200}}
    )
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,
        "http_filters": [
            *filters,
            {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [*routes, {"match": {"prefix": "/"}} | forward]}
            ]
        },
    }
    listener = {
        "name": "front",
        "address": ANY_PORT,
        "filter_chains": [{"filters": [*guards, {"name": "http", "typed_config": manager}]}],
    }
    return {
        "admin": {"address": ANY_PORT},
        "static_resources": {"listeners": [listener], "clusters": [cluster(upstream)] if upstream else []},
    }


def cluster(port: int) -> dict:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), MANY)
    return {
        "name": "upstream",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": local(port)}}]}],
        },
    }


def reference(file: str, *models: int, changes: dict[str, str] | None = None) -> dict:
    """A configuration of envoy/ as it is but for addresses, and for the texts that `changes` replaces. Its endpoints
    are these ports in turn."""
    text = (ROOT / "envoy" / file).read_text().replace("/etc/envoy/", f"{ROOT}/dist/")
    for written, instead in (changes or {}).items():
        if written not in text:
            raise Failure(f"envoy/{file} does not say {written}")
        text = text.replace(written, instead)
    made = yaml.safe_load(text)
    made["admin"]["address"] = made["static_resources"]["listeners"][0]["address"] = ANY_PORT
    for endpoint, port in zip(endpoints(made), itertools.cycle(models)):
        endpoint["address"] = local(port)
    return made


def local(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def endpoints(made: dict) -> list[dict]:
    (assigned,) = (cluster["load_assignment"] for cluster in made["static_resources"]["clusters"])
    return [place["endpoint"] for group in assigned["endpoints"] for place in group["lb_endpoints"]]


def chain_of(made: dict) -> list[dict]:
    """The network filters, of which the last is the HTTP connection manager."""
    (chain,) = made["static_resources"]["listeners"][0]["filter_chains"]
    return chain["filters"]


def manager_of(made: dict) -> dict:
    return chain_of(made)[-1]["typed_config"]
