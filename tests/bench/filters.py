"""Envoy's own filters that do work like ours, as data."""

from pathlib import Path

TYPES = "type.googleapis.com/envoy.extensions.filters.http"

BUFFER = {
    "name": "envoy.filters.http.buffer",
    "typed_config": {"@type": f"{TYPES}.buffer.v3.Buffer", "max_request_bytes": 16 * 1024 * 1024},
}

TOKEN_BUCKET = """
local rate, burst, buckets = %f, %f, {}
function envoy_on_request(request)
  local key, now = request:headers():get("authorization") or "", request:timestamp() / 1000
  local bucket = buckets[key] or {tokens = burst, at = now}
  bucket.tokens = math.min(burst, bucket.tokens + (now - bucket.at) * rate)
  bucket.at = now
  buckets[key] = bucket
  if bucket.tokens < 1 then
    request:respond({[":status"] = "429", ["retry-after"] = "1"}, "rate limit exceeded")
    return
  end
  bucket.tokens = bucket.tokens - 1
end
"""


def lua(rate: float, burst: float) -> dict:
    """A token bucket for each client in each worker: neither shared between workers nor bounded."""
    source = {"inline_string": TOKEN_BUCKET % (rate, burst)}
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {"@type": f"{TYPES}.lua.v3.Lua", "default_source_code": source},
    }


def local_ratelimit(tokens: int, per: str) -> dict:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "name": "envoy.filters.http.local_ratelimit",
        "typed_config": {
            "@type": f"{TYPES}.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "native",
            "token_bucket": {"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": per},
            "filter_enabled": always,
            "filter_enforced": always,
        },
    }


def module_of(filter: dict) -> Path | None:
    """The file that a filter needs, if it is a module."""
    code = filter["typed_config"].get("config", {}).get("vm_config", {}).get("code")
    return code and Path(code["local"]["filename"])


def limit(name: str, per: list[str], rate: str, burst: int) -> dict:
    return {"name": name, "per": per, "requests": {"rate": rate, "burst": burst}}
