"""What is compared, as data: lanes and targets.

A lane is one Envoy configuration: the HTTP filters in front of the route, the network filters in front of those,
and how it must answer. One whose module is not built is left out, and the chain holds what is built of it.
A target bounds the cost of one lane by that of another on one workload, either its overhead (CPU per request less
that of Envoy without a filter) or its whole cost.
A new row of the report is one more entry in LANES; nothing else has to know about it.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.filters import BUFFER, limit, local_ratelimit, lua, module_of
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


def lane(name: str, *filters: dict, **answer) -> Lane:
    return Lane(name, filters, **answer)


def rate_limit(*limits: dict, headers: bool = True) -> dict:
    return wasm("rate-limit", {"limits": limits, "headers_on_admitted": headers})


def composite(limits: list[dict]) -> dict:
    return wasm("tidegate", SINGLE | {"rate_limit": {"limits": limits}}, hold=True)


PER_CLIENT = limit("per-client", ["client"], "1000000/s", 1_000_000)
CLUSTER = limit("cluster", [], "1000000/s", 1_000_000)
SPENT = limit("per-client", ["client"], "1/h", 1)

SINGLE = {
    "header_limit": {},
    "slow_client": {"hold_headers": True},
    "input_limit": {"max_chars": 4096, "hold_headers": True},
    "retry_budget": {},
    "degradation": {},
}

HEADER_LIMIT = wasm("header-limit", SINGLE["header_limit"])
SLOW_CLIENT = wasm("slow-client", SINGLE["slow_client"], hold=True)
INPUT_LIMIT = wasm("input-limit", SINGLE["input_limit"], hold=True)
RETRY_BUDGET = wasm("retry-budget", SINGLE["retry_budget"])
DEGRADATION = wasm("degradation", SINGLE["degradation"])


def in_order(limits: dict) -> tuple[dict, ...]:
    """Every HTTP filter in its own module, in the composite's order."""
    return existing(HEADER_LIMIT, limits, SLOW_CLIENT, INPUT_LIMIT, RETRY_BUDGET, DEGRADATION)


def existing(*filters: dict) -> tuple[dict, ...]:
    """Those whose module is built."""
    return tuple(filter for filter in filters if module_of(filter).exists())


UNCAPPED = {
    "max_connections_per_address": 65_535,
    "new_connections_per_address": {"rate": "1000000/s", "burst": 1_000_000},
}

REMAINING = ("x-ratelimit-remaining-requests",)
WAIT = REMAINING + ("retry-after",)

PLAIN = "envoy"
EMPTY = "empty wasm"
FIVE_EMPTY = "five empty wasm"
NATIVE_REFUSED = "local_ratelimit refused"
CHAIN = "chain of single modules"
COMPOSITE = "tidegate"

LANES = (
    lane(PLAIN),
    lane("local_ratelimit admitted", local_ratelimit(1_000_000_000, "1s")),
    lane(NATIVE_REFUSED, local_ratelimit(1, "3600s"), status=429),
    lane("buffer", BUFFER),
    lane("lua bucket admitted", lua(1e6, 1e6)),
    lane("lua bucket refused", lua(1e-6, 1), status=429),
    lane(EMPTY, wasm("empty", {})),
    lane(FIVE_EMPTY, *(wasm("empty", {}, name=f"empty-{n}") for n in range(5))),
    lane("rate-limit admitted, no headers", rate_limit(PER_CLIENT, headers=False), hides=REMAINING),
    lane("rate-limit admitted", rate_limit(PER_CLIENT), shows=REMAINING),
    lane("rate-limit admitted, two limits", rate_limit(PER_CLIENT, CLUSTER), shows=REMAINING),
    lane("rate-limit refused", rate_limit(SPENT), status=429, shows=WAIT),
    Lane("connection-guard", guards=(wasm("connection-guard", UNCAPPED, kind="network"),)),
    lane("header-limit admitted", HEADER_LIMIT),
    lane("header-limit refused", wasm("header-limit", {"max_count": 1}), status=431),
    lane("slow-client", SLOW_CLIENT),
    lane("input-limit", INPUT_LIMIT),
    lane("retry-budget", RETRY_BUDGET),
    lane("retry-budget and upstream", wasm("retry-budget", {"upstream": {}})),
    lane("degradation", DEGRADATION),
    lane(CHAIN, *in_order(rate_limit(PER_CLIENT)), shows=REMAINING),
    lane(f"{CHAIN}, refused", *in_order(rate_limit(SPENT)), status=429, shows=WAIT),
    lane(COMPOSITE, composite([PER_CLIENT]), shows=REMAINING),
    lane(f"{COMPOSITE}, refused", composite([SPENT]), status=429, shows=WAIT),
)

SCAN = lane("scan", wasm("scan", {}))

STARTED = (
    lane(PLAIN),
    lane("header-limit", HEADER_LIMIT),
    lane("rate-limit", rate_limit(PER_CLIENT)),
    lane("slow-client", SLOW_CLIENT),
    lane("input-limit", INPUT_LIMIT),
    lane("retry-budget", RETRY_BUDGET),
    lane("degradation", DEGRADATION),
    lane("tidegate", composite([PER_CLIENT])),
)

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
