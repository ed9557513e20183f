use super::*;
use serde_json::{Value, json};
use tidegate_host::fake::FakeProxy;

fn config(document: &Value) -> Result<Config, ConfigError> {
    Config::read(document.to_string().as_bytes())
}

#[test]
fn an_empty_document_protects() {
    let config = config(&json!({})).unwrap();
    let prompt = config.limits.prompt.as_ref().unwrap();
    assert_eq!((config.limits.body, prompt.characters, prompt.messages), (1 << 20, Some(1_024), Some(64)));
    assert_eq!((prompt.completion_tokens, config.limits.clamp, prompt.choices), (Some(4_096), true, Some(4)));
    assert_eq!(prompt.classes[2], Treatment::Strip);
    assert!(config.denied.is_none() && config.limits.may_rewrite());
}

#[test]
fn a_route_has_its_own_limits_and_else_those_of_all() {
    let config = config(&json!({
        "max_chars": 10, "max_messages": 3,
        "routes": [
            { "when": { "path_prefix": "/v1/embeddings" }, "max_chars": 0 },
            { "when": { "path_prefix": "/v1/files" }, "scan": false, "max_body": "5MiB" },
        ],
    }))
    .unwrap();
    let proxy = FakeProxy::default();
    let of = |path: &str| {
        let place = config.place(&proxy.exchange(&[(":path", path), (":method", "POST")]));
        config.at(place)
    };
    let prompt = |path: &str| of(path).prompt.clone().unwrap();
    assert_eq!((prompt("/v1/chat").characters, prompt("/v1/chat").messages), (Some(10), Some(3)));
    assert_eq!((prompt("/v1/embeddings").characters, prompt("/v1/embeddings").messages), (None, Some(3)));
    assert!(of("/v1/files").prompt.is_none() && of("/v1/files").body == 5 << 20);
}

#[test]
fn what_cannot_be_enforced_is_refused_with_path_found_and_accepted() {
    for (document, parts) in [
        (json!({ "max_body": "0B" }), ["max_body", "0B", "1GiB"]),
        (json!({ "max_depth": 0 }), ["max_depth", "found 0", "1 to 128"]),
        (json!({ "max_char": 5 }), ["max_char", "unknown field", "max_chars"]),
        (json!({ "max_completion_tokens": { "limit": 5, "exceed": "cut" } }), ["exceed", "cut", "clamp"]),
        (json!({ "characters": { "bidi": "drop" } }), ["characters.bidi", "drop", "strip"]),
        (json!({ "deny": [{ "name": "a b", "pattern": "x" }] }), ["deny[0].name", "a b", "letters"]),
        (
            json!({ "deny": [{ "name": "a", "pattern": "(x" }] }),
            ["deny[0].pattern", "(x", "regular expression"],
        ),
        (
            json!({ "deny": [{ "name": "a", "pattern": "x" }, { "name": "a", "pattern": "y" }] }),
            ["deny[1].name", "twice", "once"],
        ),
        (json!({ "shadow": ["max_char"] }), ["shadow[0]", "max_char", "max_chars"]),
        (json!({ "pass_content_types": ["multipart"] }), ["pass_content_types[0]", "multipart", "form-data"]),
        (
            json!({ "routes": [{ "when": { "path_prefix": "v1" } }] }),
            ["routes[0].when.path_prefix", "v1", "/"],
        ),
        (json!({ "routes": [{ "max_depth": 3 }] }), ["routes[0].max_depth", "unknown field", "max_chars"]),
    ] {
        let error = config(&document).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}
