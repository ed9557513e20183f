use super::*;
use serde_json::{Value, json};

fn read(document: &Value) -> Result<Config, ConfigError> {
    Config::read(document.to_string().as_bytes())
}

#[test]
fn an_empty_document_has_a_breaker_a_timeout_and_no_tier_that_is_on() {
    let config = read(&json!({})).unwrap();
    assert_eq!(config.switches, Tiers::default());
    assert_eq!(config.timeouts.of(b"/", None), 60_000_000_000);
    assert!(config.cached.is_none() && config.reduce.is_none() && !config.hold_headers);
}

#[test]
fn the_first_timeout_that_matches_counts() {
    let config = read(&json!({ "timeout": "9s", "timeouts": [
        { "path_prefix": "/v1/chat/", "model": "a", "timeout": "1s" },
        { "model": "a", "timeout": "2s" },
        { "path_prefix": "/v1/", "timeout": "3s" },
    ]}));
    let timeouts = config.unwrap().timeouts;
    let seconds = |path: &str, model| timeouts.of(path.as_bytes(), model) / 1_000_000_000;
    assert_eq!(seconds("/v1/chat/completions", Some("a")), 1);
    assert_eq!(seconds("/v2", Some("a")), 2);
    assert_eq!(seconds("/v1/chat/completions", Some("b")), 3);
    assert_eq!(seconds("/v2", None), 9);
}

#[test]
fn an_unenforceable_value_is_refused_with_path_found_and_accepted() {
    let tier = |tier: &str, document: Value| json!({ "tiers": { tier: document } });
    for (document, parts) in [
        (json!({ "timeout": "0s" }), ["timeout", "0ns", "1ms"]),
        (
            json!({ "timeouts": [{ "path_prefix": "v1", "timeout": "1s" }] }),
            ["timeouts[0].path_prefix", "v1", "path"],
        ),
        (json!({ "models": ["a\n"] }), ["models[0]", "found another", "printable"]),
        (json!({ "max_held": 0 }), ["max_held", "found 0", "1 to"]),
        (json!({ "breaker": { "window": "1ms" } }), ["breaker.window", "1ms", "100ms to 1h"]),
        (json!({ "breaker": { "min_requests": 0 } }), ["breaker.min_requests", "found 0", "at least 1"]),
        (json!({ "breaker": { "error_ratio": 0 } }), ["breaker.error_ratio", "found 0", "above 0"]),
        (json!({ "breaker": { "error_ratio": 2 } }), ["breaker.error_ratio", "found 2", "0 to 1"]),
        (
            json!({ "breaker": { "slow": { "after": "1s", "ratio": 0 } } }),
            ["breaker.slow.ratio", "found 0", "above 0"],
        ),
        (json!({ "breaker": { "probes": 9 } }), ["breaker.probes", "found 9", "1 to 8"]),
        (
            json!({ "breaker": { "open_for": "9s", "max_open_for": "1s" } }),
            ["breaker.max_open_for", "found 1s", "at least"],
        ),
        (json!({ "hints": { "base": "0s" } }), ["hints.base", "0ns", "1ms"]),
        (json!({ "opt_out": [{ "header": "a b" }] }), ["opt_out[0].header", "found 3", "header name"]),
        (tier("reduce", json!({ "drop": ["x"] })), ["tiers.reduce.drop[0]", "`x`", "logprobs"]),
        (tier("reduce", json!({ "at": {} })), ["tiers.reduce.at", "found none", "at least one signal"]),
        (
            tier("reduce", json!({ "refuse_paths": ["/a/../b"] })),
            ["tiers.reduce.refuse_paths[0]", "..", "path"],
        ),
        (
            tier("reduce", json!({ "clamp_completion_tokens": 0 })),
            ["clamp_completion_tokens", "found 0", "at least 1"],
        ),
        (tier("reduce", json!({ "model": "a;b" })), ["tiers.reduce.model", "found another", "printable"]),
        (tier("cached", json!({ "max_entries": 7 })), ["tiers.cached.max_entries", "found 7", "at least 8"]),
        (tier("cached", json!({ "max_entry": "2MiB" })), ["tiers.cached.max_entry", "2097152B", "1MiB"]),
        (tier("cached", json!({ "ttl": "0s" })), ["tiers.cached.ttl", "found 0", "at least 1ms"]),
        (tier("cached", json!({ "ttl": "1s", "fresh": "2s" })), ["tiers.cached.fresh", "found 2s", "ttl"]),
        (tier("cached", json!({ "scope": "all" })), ["tiers.cached.scope", "all", "shared"]),
        (tier("cached", json!({ "scope": 1 })), ["tiers.cached.scope", "1", "{headers: [names]}"]),
        (
            tier("cached", json!({ "scope": { "headers": [] } })),
            ["tiers.cached.scope.headers", "found 0", "1 to 8"],
        ),
        (
            tier("cached", json!({ "scope": { "headers": ["x", "a b"] } })),
            ["tiers.cached.scope.headers[1]", "found 3", "header name"],
        ),
        (
            tier("cached", json!({ "scope": { "header": ["x"] } })),
            ["tiers.cached.scope", "`header`", "headers"],
        ),
        (tier("default", json!({ "status": 404 })), ["tiers.default.status", "found 404", "200, 429"]),
        (tier("default", json!({ "message": "" })), ["tiers.default.message", "found 0", "1 to"]),
        (tier("defaults", json!({})), ["tiers", "unknown field", "default"]),
    ] {
        let error = read(&document).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{document}: {error}");
    }
}

#[test]
fn the_headers_of_a_question_depend_on_the_scope() {
    let asked = |scope: Value| {
        let config = read(
            &json!({ "client": ["x-client"], "tiers": { "cached": { "scope": scope, "vary": ["X-V"] } } }),
        );
        let asked = config.unwrap().cached.unwrap().asked;
        asked.into_iter().map(|name| String::from_utf8(name).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(asked(json!("shared")), [":authority", ":path", "content-type", "x-v"]);
    let own = ["api-key", "authorization", "content-type", "cookie", "x-api-key", "x-client"];
    assert_eq!(asked(json!("client")), [&[":authority", ":path"], &own[..], &["x-v"]].concat());
    let named = asked(json!({ "headers": ["X-User-Id"] }));
    assert_eq!(named, [&[":authority", ":path"], &own[..], &["x-user-id", "x-v"]].concat());
}
