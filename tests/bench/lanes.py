"""The lanes that are compared, and the targets that bound them, as data.

A lane is one Envoy configuration: the HTTP filters in front of the route, the network filters in front of those, and
the answer that it must give. Every filter of the list of filters has one, and is in the lanes of all of them. A lane
whose module is not built is left out. A target bounds the cost of one lane by that of another on one workload, either
its overhead (CPU per request less that of Envoy without a filter) or its whole cost.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.bench.filters import BUFFER, limit, local_ratelimit, lua, module_of
from tests.lab import ROOT
from tests.lab.bootstrap import bootstrap
from tests.lab.wasm import wasm

BUFFER_LIMIT = 16 * 1024 * 1024
ANSWER = '{"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "bench"}]}'
JSON = {"header": {"key": "content-type", "value": "application/json"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
ITSELF = {
    "match": {"prefix": "/v1/models"},
    "direct_response": {"status": 200, "body": {"inline_string": ANSWER}},
    "response_headers_to_add": [JSON],
}


@dataclass(frozen=True)
class Lane:
    name: str
    filters: tuple[dict, ...] = ()
    guards: tuple[dict, ...] = ()
    status: int = 200
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()

    def modules(self) -> set[Path]:
        return set(filter(None, map(module_of, self.filters + self.guards)))

    def missing(self) -> set[Path]:
        return {module for module in self.modules() if not module.exists()}

    def bootstrap(self, upstream: int) -> dict:
        """The route answers a request without a body by itself, after the filters; others go to the upstream."""
        made = bootstrap(*self.filters, guards=self.guards, upstream=upstream, timeout="0s", routes=[ITSELF])
        resources = made["static_resources"]
        for one in (*resources["listeners"], *resources["clusters"]):
            one["per_connection_buffer_limit_bytes"] = BUFFER_LIMIT
        return made


@dataclass(frozen=True)
class Target:
    workload: str
    lane: str
    base: str
    measure: str
    at_most: float


FILTERS = json.loads((ROOT / "filters/chain/filters.json").read_text())
HTTP = [one for one in FILTERS if one["kind"] == "http"]

PLAIN = "envoy"
EMPTY = "empty wasm"
FIVE_EMPTY = "five empty wasm"
NATIVE_REFUSED = "local_ratelimit refused"
CHAIN = "chain of single modules"
COMPOSITE = "tidegate"

PER_CLIENT = limit("per-client", ["client"], "1000000/s", 1_000_000)
CLUSTER = limit("cluster", [], "1000000/s", 1_000_000)
SPENT = {"limits": [limit("per-client", ["client"], "1/h", 1)]}
REMAINING = ("x-ratelimit-remaining-requests",)
WAIT = REMAINING + ("retry-after",)


def lane(name: str, *filters: dict, **answer) -> Lane:
    return Lane(name, filters, **answer)


def single(one: dict, document: dict | None = None) -> dict:
    """A filter of the list in a module of its own, with its document for the benchmark unless another is given."""
    document = one["benchmark"] if document is None else document
    return wasm(one["root_id"], document, kind=one["kind"], hold="hold_headers" in document)


def chain(**instead: dict) -> list[dict]:
    """Every HTTP filter of the list in its own module, with other documents for those of `instead`."""
    return [single(one, instead.get(one["key"])) for one in HTTP]


def composite(**instead: dict) -> dict:
    """The same in the composite module."""
    return wasm("tidegate", {one["key"]: one["benchmark"] for one in HTTP} | instead, hold=True)


OTHERS = {
    "header-limit": (lane("header-limit refused", wasm("header-limit", {"max_count": 1}), status=431),),
    "rate-limit": (
        lane(
            "rate-limit admitted, no headers",
            wasm("rate-limit", {"limits": [PER_CLIENT], "headers_on_admitted": False}),
            hides=REMAINING,
        ),
        lane("rate-limit admitted, two limits", wasm("rate-limit", {"limits": [PER_CLIENT, CLUSTER]}), shows=REMAINING),
        lane("rate-limit refused", wasm("rate-limit", SPENT), status=429, shows=WAIT),
    ),
    "retry-budget": (lane("retry-budget and upstream", wasm("retry-budget", {"upstream": {}})),),
}
"""The lanes of a filter beside its first, in which it admits."""

SHOWS = {"rate-limit": REMAINING}


def lanes_of(one: dict) -> tuple[Lane, ...]:
    root_id, made = one["root_id"], single(one)
    others = OTHERS.get(root_id, ())
    name = f"{root_id} admitted" if any(other.status != 200 for other in others) else root_id
    if one["kind"] == "network":
        return Lane(name, guards=(made,)), *others
    return lane(name, made, shows=SHOWS.get(root_id, ())), *others


LANES = (
    lane(PLAIN),
    lane("local_ratelimit admitted", local_ratelimit(1_000_000_000, "1s")),
    lane(NATIVE_REFUSED, local_ratelimit(1, "3600s"), status=429),
    lane("buffer", BUFFER),
    lane("lua bucket admitted", lua(1e6, 1e6)),
    lane("lua bucket refused", lua(1e-6, 1), status=429),
    lane(EMPTY, wasm("empty", {})),
    lane(FIVE_EMPTY, *(wasm("empty", {}, name=f"empty-{n}") for n in range(5))),
    *(made for one in FILTERS for made in lanes_of(one)),
    lane(CHAIN, *chain(), shows=REMAINING),
    lane(f"{CHAIN}, refused", *chain(rate_limit=SPENT), status=429, shows=WAIT),
    lane(COMPOSITE, composite(), shows=REMAINING),
    lane(f"{COMPOSITE}, refused", composite(rate_limit=SPENT), status=429, shows=WAIT),
)

SCAN = lane("scan", wasm("scan", {}))

STARTED = (lane(PLAIN), *(lane(one["root_id"], single(one)) for one in HTTP), lane(COMPOSITE, composite()))

TARGETS = (
    Target("models", "rate-limit admitted, no headers", EMPTY, "overhead", 1.6),
    Target("models", "rate-limit admitted", EMPTY, "overhead", 2.0),
    Target("models", "rate-limit refused", NATIVE_REFUSED, "cost", 1.35),
    Target("models", "header-limit admitted", EMPTY, "overhead", 1.5),
    Target("models", "retry-budget", EMPTY, "overhead", 2.2),
    Target("chat", "input-limit", EMPTY, "overhead", 2.5),
    Target("chat", "degradation", EMPTY, "overhead", 2.0),
    Target("chat", COMPOSITE, FIVE_EMPTY, "overhead", 1.0),
    Target("chat", COMPOSITE, CHAIN, "overhead", 0.5),
)
