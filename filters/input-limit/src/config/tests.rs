use super::*;
use serde_json::{Value, json};
use tidegate_host::fake::FakeProxy;

fn config(document: &Value) -> Result<Config, ConfigError> {
    Config::read(document.to_string().as_bytes())
}

#[test]
fn an_empty_document_protects_and_serves_agents() {
    let config = config(&json!({})).unwrap();
    let prompt = config.limits.prompt.as_ref().unwrap();
    assert_eq!(
        (config.limits.body, prompt.characters, prompt.messages),
        (64 << 20, Some(8_000_000), Some(20_000))
    );
    assert_eq!(
        (prompt.completion_tokens, config.limits.clamp, prompt.choices),
        (Some(131_072), true, Some(16))
    );
    assert_eq!(prompt.classes, [Treatment::Allow, Treatment::Strip, Treatment::Strip, Treatment::Allow]);
    assert!(config.denied.is_none() && config.limits.may_rewrite() && config.max_depth == 64);
}

#[test]
fn a_key_overrides_one_limit_of_a_preset() {
    let config = config(&json!({
        "preset": "question", "max_messages": 7, "characters": { "control": "reject" },
        "routes": [
            { "when": { "path_prefix": "/chat" }, "preset": "chat", "max_images": 3 },
            { "when": { "path_prefix": "/own" }, "max_images": 3 },
        ],
    }))
    .unwrap();
    let numbers = |limits: &Limits| {
        let prompt = limits.prompt.clone().unwrap();
        (limits.body, prompt.characters, prompt.messages, prompt.images, prompt.classes[0])
    };
    assert_eq!(numbers(&config.limits), (1 << 20, Some(1_024), Some(7), Some(16), Treatment::Reject));
    assert_eq!(numbers(config.at(0)), (64 << 20, Some(1_000_000), Some(2_000), Some(3), Treatment::Allow));
    assert_eq!(numbers(config.at(1)), (1 << 20, Some(1_024), Some(7), Some(3), Treatment::Reject));
    assert_eq!(config.max_depth, 32);
}

#[test]
fn member_names_match_in_any_case_if_a_server_accepts_that() {
    let exact = |servers: Value| config(&json!({ "servers": servers })).unwrap().exact_names;
    assert!(!config(&json!({})).unwrap().exact_names);
    assert!(exact(json!(["vllm", "sglang", "llama.cpp", "tgi", "tei", "triton"])));
    assert!(!exact(json!(["vllm", "ollama"])) && !exact(json!(["localai"])) && !exact(json!([])));
}

#[test]
fn bodies_that_are_read_fit_into_a_vm() {
    let read = |most: &str| config(&json!({ "max_body": most })).map(|config| config.limits.body);
    assert_eq!(read("128MiB").unwrap(), 128 << 20);
    let error = read("129MiB").unwrap_err().to_string();
    assert!(
        ["max_body", "found", "128MiB", "scan: false"].iter().all(|part| error.contains(part)),
        "{error}"
    );
    assert!(config(&json!({ "routes": [{ "scan": false, "max_body": "1GiB" }] })).is_ok());
    let error = config(&json!({ "routes": [{ "max_body": "1GiB" }] })).unwrap_err().to_string();
    assert!(error.contains("routes[0].max_body"), "{error}");
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
fn an_unenforceable_value_is_refused_with_path_found_and_accepted() {
    for (document, parts) in [
        (json!({ "max_body": "0B" }), ["max_body", "0B", "1GiB"]),
        (json!({ "max_depth": 0 }), ["max_depth", "found 0", "1 to 128"]),
        (json!({ "max_char": 5 }), ["max_char", "unknown field", "max_chars"]),
        (json!({ "max_completion_tokens": { "limit": 5, "exceed": "cut" } }), ["exceed", "cut", "clamp"]),
        (json!({ "max_completion_tokens": { "limit": 5, "unset": "clamp" } }), ["unset", "clamp", "limit"]),
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
        (
            json!({ "deny": [{ "name": "a", "pattern": "x", "in": ["user", "tool"] }] }),
            ["deny[0].in[1]", "`tool`", "`tool_result`"],
        ),
        (json!({ "deny": [{ "name": "a", "pattern": "x", "in": [] }] }), ["deny[0].in", "found 0", "1 to"]),
        (json!({ "shadow": ["max_char"] }), ["shadow[0]", "max_char", "max_chars"]),
        (json!({ "pass_content_types": ["multipart"] }), ["pass_content_types[0]", "multipart", "form-data"]),
        (
            json!({ "routes": [{ "when": { "path_prefix": "v1" } }] }),
            ["routes[0].when.path_prefix", "v1", "/"],
        ),
        (json!({ "servers": ["vllm", "olama"] }), ["servers[1]", "olama", "ollama"]),
        (json!({ "unread": "drop" }), ["unread", "drop", "refuse"]),
        (json!({ "routes": [{ "max_depth": 3 }] }), ["routes[0].max_depth", "unknown field", "max_chars"]),
    ] {
        let error = config(&document).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}
