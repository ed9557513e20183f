use super::*;
use core::time::Duration;
use serde_json::{Value, json};

fn document(written: &Value) -> Result<Config, ConfigError> {
    Config::read(written.to_string().as_bytes())
}

fn error(written: &Value) -> String {
    document(written).expect_err("it is wrong").to_string()
}

#[test]
fn the_documented_configuration_is_the_default() {
    let written = Config::read(
        br#"{"per": ["client"], "ttl": "10s", "ratio": 0.2, "min_retries_per_second": 10,
             "upstream": {"retry_on": "connect-failure,refused-stream,reset", "max_retries": 2},
             "hints": {"base": "1s", "max": "60s", "attempts": 3}}"#,
    )
    .expect("it is right");
    let default = document(&json!({})).unwrap();
    assert_eq!(written.budget, default.budget);
    assert_eq!(written.hints, default.hints);
    assert_eq!((written.per_client, written.per_cluster), (true, false));
    assert_eq!((default.per_client, default.per_cluster), (true, false));
    assert_eq!(
        written.upstream.map(|upstream| upstream.retry_on).as_deref(),
        Some("connect-failure,refused-stream,reset")
    );
    assert_eq!((default.upstream, default.silent_retries), (None, None));
    assert_eq!((default.failure_mode, default.shadow), (FailureMode::Deny, false));
    assert_eq!(default.retry_headers, RetryHeaders::default());
}

#[test]
fn a_ratio_is_exactly_what_is_written_as_a_number_or_a_text() {
    let budget = |ratio: Value| document(&json!({ "ratio": ratio })).unwrap().budget;
    for (number, text) in [(json!(0.4), "0.4"), (json!(0.333_333), "0.333333"), (json!(1), "1.0")] {
        assert_eq!(budget(number), budget(json!(text)));
        assert_eq!(
            budget(json!(text)),
            Budget::new(Duration::from_secs(10), text.parse().unwrap(), 10).unwrap()
        );
    }
}

#[test]
fn a_request_is_repeatable_by_its_method_or_by_a_header_that_says_so() {
    let of = |written: Value| document(&json!({ "upstream": written })).unwrap().upstream.unwrap();
    let default = of(json!({}));
    assert!(default.is_repeatable(b"GET", |_| false));
    assert!(!default.is_repeatable(b"POST", |_| false));
    assert!(default.is_repeatable(b"POST", |name| name == b"idempotency-key"));
    let chosen = of(json!({ "methods": ["POST"], "headers": ["X-Safe"] }));
    assert!(chosen.is_repeatable(b"POST", |_| false));
    assert!(!chosen.is_repeatable(b"GET", |name| name == b"idempotency-key"));
    assert!(chosen.is_repeatable(b"GET", |name| name == b"x-safe"));
    assert!(!of(json!({ "methods": [], "headers": [] })).is_repeatable(b"GET", |_| true));
}

#[test]
fn every_key_can_be_set() {
    let config = document(&json!({
        "per": ["cluster", "client"],
        "retry_headers": [{ "name": "X-Retry-Count" }, { "name": "x-attempt", "first": 1 }],
        "silent_retries": { "window": "60s", "memory": "1MiB" },
        "upstream": { "retry_on": " 5xx , reset ", "max_retries": 10 },
        "client": ["x-api-key"], "memory": "64MiB", "failure_mode": "allow", "shadow": true,
    }))
    .unwrap();
    assert_eq!((config.per_client, config.per_cluster), (true, true));
    let headers: Vec<_> =
        config.retry_headers.iter().map(|header| (header.name.as_slice(), header.first)).collect();
    assert_eq!(headers, [(b"x-retry-count".as_slice(), 0), (b"x-attempt".as_slice(), 1)]);
    assert_eq!(config.silent_retries.map(|silent| silent.window), Some(60_000_000_000));
    assert_eq!(config.upstream.map(|upstream| upstream.retry_on).as_deref(), Some("5xx,reset"));
    assert_eq!((config.failure_mode, config.shadow), (FailureMode::Allow, true));
}

#[test]
fn an_unenforceable_value_is_refused_with_path_found_and_accepted() {
    let headers = |written: Value| json!({ "retry_headers": written });
    let nine: Vec<Value> = (0..9).map(|n| json!({ "name": format!("x-{n}") })).collect();
    let cases: [(Value, &[&str]); 31] = [
        (json!({ "rato": 0.2 }), &["rato", "unknown field", "ratio"]),
        (json!({ "per": [] }), &["per: ", "found 0", "1 to 2"]),
        (json!({ "per": ["model"] }), &["per[0]", "`model`", "`client` or `cluster`"]),
        (json!({ "per": ["client", "client"] }), &["per[1]", "\"client\"", "once"]),
        (json!({ "ttl": "0s" }), &["ttl: ", "1s to 60s"]),
        (json!({ "ttl": "61s" }), &["ttl: ", "61s", "1s to 60s"]),
        (json!({ "ttl": 10 }), &["ttl: ", "10", "250ms"]),
        (json!({ "ratio": -0.1 }), &["ratio: ", "-0.1", "0 to 10"]),
        (json!({ "ratio": 11 }), &["ratio: ", "11", "0 to 10"]),
        (json!({ "ratio": 0.123_456_7 }), &["ratio: ", "0.1234567", "6 decimals"]),
        (json!({ "ratio": "20%" }), &["ratio: ", "20%", "0 to 10"]),
        (json!({ "min_retries_per_second": 10_001 }), &["min_retries_per_second: ", "10001", "0 to 10000"]),
        (json!({ "upstream": { "retry_on": "" } }), &["upstream.retry_on", "\"\"", "connect-failure"]),
        (
            json!({ "upstream": { "retry_on": "reset,timeout" } }),
            &["upstream.retry_on", "\"timeout\"", "reset"],
        ),
        (json!({ "upstream": { "retry_on": "reset\r\nx: y" } }), &["upstream.retry_on", "accepted are"]),
        (json!({ "upstream": { "max_retries": 0 } }), &["upstream.max_retries", "0", "1 to 10"]),
        (json!({ "upstream": { "max_retries": 11 } }), &["upstream.max_retries", "11", "1 to 10"]),
        (json!({ "upstream": { "methods": ["post"] } }), &["upstream.methods[0]", "\"post\"", "POST"]),
        (json!({ "upstream": { "headers": ["a b"] } }), &["upstream.headers[0]", "header name"]),
        (json!({ "hints": { "base": "0ms" } }), &["hints.base", "1ms"]),
        (json!({ "hints": { "base": "3s", "max": "2s" } }), &["hints.base", "3s", "max"]),
        (json!({ "hints": { "max": "61s" } }), &["hints.max", "61s", "60s"]),
        (json!({ "hints": { "attempts": 0 } }), &["hints.attempts", "0", "1 to 100"]),
        (headers(json!([{ "name": "" }])), &["retry_headers[0].name", "header name"]),
        (headers(json!([{ "name": "a" }, { "name": "A" }])), &["retry_headers[1].name", "once"]),
        (headers(json!([{ "name": "a", "first": 2 }])), &["retry_headers[0].first", "found 2", "0 to 1"]),
        (headers(json!(nine)), &["retry_headers: ", "9", "8"]),
        (json!({ "silent_retries": { "window": "11m" } }), &["silent_retries.window", "660s", "600s"]),
        (
            json!({ "silent_retries": { "window": "1s", "memory": "1KiB" } }),
            &["silent_retries.memory", "1024B", "1GiB"],
        ),
        (json!({ "memory": "2GiB" }), &["memory: ", "2147483648B", "1GiB"]),
        (json!({ "failure_mode": "maybe" }), &["failure_mode", "maybe", "allow"]),
    ];
    for (written, wanted) in cases {
        let error = error(&written);
        for part in wanted {
            assert!(error.contains(part), "{written}: {error:?} lacks {part:?}");
        }
    }
}

#[test]
fn no_document_panics() {
    for text in ["", "null", "[", "{", "\u{0}", "{\"per\":null}x", "{\"upstream\":[1]}", "{\"ratio\":1e999}"]
    {
        assert!(Config::read(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(Config::read(b"\xff\xfe").is_err());
    let deep = "[".repeat(100_000);
    assert!(Config::read(deep.as_bytes()).is_err());
}
