"""What is compared, as data: workloads, lanes and targets.

A lane is one Envoy configuration: the HTTP filters in front of the route, the network filters in front of those,
and how it must answer.
A workload is the request every lane is sent. A target bounds the cost of one lane by that of another,
either its overhead (CPU per request less that of Envoy without a filter) or its whole cost.
A new row of the report is one more entry in LANES; nothing else has to know about it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from envoy import Chain

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workload:
    path: str
    headers: dict[str, str]
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True)
class Lane:
    name: str
    chain: Chain = Chain()
    status: int = 200
    modules: tuple[Path, ...] = ()
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    lane: str
    base: str
    measure: str
    at_most: float


def native(bucket: dict) -> Chain:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return Chain(
        (
            {
                "name": "envoy.filters.http.local_ratelimit",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                    "stat_prefix": "native",
                    "token_bucket": bucket,
                    "filter_enabled": always,
                    "filter_enforced": always,
                },
            },
        )
    )


def wasm(module: Path, root_id: str, configuration: dict, kind: str = "http") -> dict:
    return {
        "name": root_id,
        "typed_config": {
            "@type": f"type.googleapis.com/envoy.extensions.filters.{kind}.wasm.v3.Wasm",
            "config": {
                "name": root_id,
                "root_id": root_id,
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": root_id,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": str(module)}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": json.dumps(configuration),
                },
            },
        },
    }


def wasm_lane(name: str, module: str, root_id: str, configuration: dict, **answer) -> Lane:
    file = ROOT / "dist" / module
    return Lane(name, Chain((wasm(file, root_id, configuration),)), modules=(file,), **answer)


def guard_lane(name: str, module: str, root_id: str) -> Lane:
    file = ROOT / "dist" / module
    return Lane(name, Chain(guards=(wasm(file, root_id, {}, "network"),)), modules=(file,))


def rate_limit(name: str, *limits: dict, headers: bool = True, **answer) -> Lane:
    configuration = {"limits": limits, "headers_on_admitted": headers}
    return wasm_lane(name, "rate-limit.wasm", "rate-limit", configuration, **answer)


def limit(name: str, per: list[str], rate: str, burst: int) -> dict:
    return {"name": name, "per": per, "requests": {"rate": rate, "burst": burst}}


PLENTY = {"max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s"}
SCARCE = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"}

PER_CLIENT = limit("per-client", ["client"], "1000000/s", 1_000_000)
CLUSTER = limit("cluster", [], "1000000/s", 1_000_000)
SPENT = limit("per-client", ["client"], "1/h", 1)

REMAINING = ("x-ratelimit-remaining-requests",)

PLAIN = "envoy"
EMPTY = "empty wasm"
NATIVE_REFUSED = "local_ratelimit refused"

LANES = (
    Lane(PLAIN),
    Lane("local_ratelimit admitted", native(PLENTY)),
    Lane(NATIVE_REFUSED, native(SCARCE), status=429),
    wasm_lane(EMPTY, "bench/empty.wasm", "empty", {}),
    rate_limit("rate-limit admitted, no headers", PER_CLIENT, headers=False, hides=REMAINING),
    rate_limit("rate-limit admitted", PER_CLIENT, shows=REMAINING),
    rate_limit("rate-limit admitted, two limits", PER_CLIENT, CLUSTER, shows=REMAINING),
    rate_limit("rate-limit refused", SPENT, status=429, shows=REMAINING + ("retry-after",)),
    guard_lane("connection-guard", "connection-guard.wasm", "connection-guard"),
    wasm_lane("header-limit admitted", "header-limit.wasm", "header-limit", {}),
    wasm_lane("slow-client, no body", "slow-client.wasm", "slow-client", {}),
)

TARGETS = (
    Target("rate-limit admitted, no headers", EMPTY, "overhead", 1.6),
    Target("rate-limit admitted", EMPTY, "overhead", 2.0),
    Target("rate-limit refused", NATIVE_REFUSED, "cost", 1.35),
    Target("header-limit admitted", EMPTY, "overhead", 1.5),
)

SHORT_HEADERS = {
    "authorization": "Bearer sk-bench-4f9a1c0d7e2b48d5a6c3f1e09b7d2a64",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "user-agent": "OpenAI/Python 3.54.0",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.54.0",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
}

SDK_HEADERS = SHORT_HEADERS | {
    "connection": "keep-alive",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.12.7",
    "x-stainless-async": "false",
}

WORKLOADS = {
    "models": Workload("/v1/models", SDK_HEADERS),
    "models-short": Workload("/v1/models", SHORT_HEADERS),
}
