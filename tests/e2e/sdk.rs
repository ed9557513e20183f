//! Unmodified SDKs that meet a limit: they recover by themselves when the wait is short, and stop at once when they
//! are told to.

use serde_json::{Value, json};
use std::process::{Command, Stdio};
use tidegate_tests::bootstrap::{Listener, checkout, module, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::post;

/// What came of so many calls of an SDK.
pub fn run(sdk: &str, envoy: &Envoy, calls: usize) -> Value {
    script(&[sdk, &format!("http://{}", envoy.front()), &calls.to_string()])
}

/// What came of a crowd of `keys` clients of the OpenAI SDK, with so many calls of each at once.
pub fn crowd(envoy: &Envoy, keys: usize, calls: usize) -> Value {
    script(&["crowd", &format!("http://{}", envoy.front()), &keys.to_string(), &calls.to_string()])
}

/// What the helpers of the SDKs make of a stream of the Responses API and of one of Anthropic's messages.
pub fn streams(envoy: &Envoy) -> Value {
    script(&["streams", &format!("http://{}", envoy.front())])
}

fn script(arguments: &[&str]) -> Value {
    let output = Command::new(checkout().join("tests/sdk/run.sh"))
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("tests/sdk/run.sh runs");
    assert!(output.status.success(), "tests/sdk/run.sh {arguments:?} failed");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// The SDKs that say which attempt they make. Two of them are Node's.
pub fn sdks() -> [&'static str; 4] {
    let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).status();
    assert!(npm.is_ok(), "npm is missing: install Debian's npm, or Node from elsewhere");
    ["openai", "anthropic", "openai-node", "anthropic-node"]
}

fn envoy(rate: &str) -> Envoy {
    let limit = json!({ "name": "per-client", "per": ["client"], "requests": { "rate": rate, "burst": 1 } });
    Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit] }))])).workers(2).start()
}

#[test]
fn an_sdk_recovers_by_itself_when_the_wait_is_short() {
    for sdk in ["openai", "anthropic"] {
        let envoy = envoy("30/min");
        let outcome = run(sdk, &envoy, 3);
        assert_eq!(outcome["calls"], json!(["ok", "ok", "ok"]), "{sdk}: {outcome}");
        assert!(
            envoy.counter("rate_limit.throttled") >= 2,
            "{sdk} never met the limit, so it recovered from nothing"
        );
    }
}

#[test]
fn an_sdk_stops_at_once_when_it_is_told_to() {
    for sdk in ["openai", "anthropic"] {
        let envoy = envoy("1/h");
        let outcome = run(sdk, &envoy, 3);
        assert_eq!(outcome["calls"], json!(["ok", "RateLimitError", "RateLimitError"]), "{sdk}: {outcome}");
        assert_eq!(outcome["messages"][1]["code"], "rate_limit_exceeded", "{sdk}: {outcome}");
        assert_eq!(envoy.counter("rate_limit.throttled"), 2, "{sdk} retried although it was told not to");
        assert!(outcome["seconds"].as_f64().is_some_and(|seconds| seconds < 60.0), "{sdk}: {outcome}");
    }
}

#[test]
fn an_sdk_raises_a_bad_request_with_our_message_once_for_a_prompt_that_is_too_long() {
    let configuration = r#"{ "preset": "question", "hold_headers": true }"#;
    let mut filter = module("input-limit.wasm", "input-limit", configuration);
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
    for sdk in ["openai", "anthropic", "ollama"] {
        let envoy = Envoy::with(Listener::new([filter.clone()])).workers(2).start();
        let outcome =
            script(&["chat", sdk, &format!("http://{}", envoy.front()), "x".repeat(1_025).as_str()]);
        let raised = if sdk == "ollama" { "ResponseError" } else { "BadRequestError" };
        assert_eq!(outcome["raised"], raised, "{sdk}: {outcome}");
        let said = outcome["text"].as_str().expect("a text");
        assert!(said.contains("Input rule 'max_chars' refuses this request"), "{sdk}: {outcome}");
        let error = &outcome["error"];
        match sdk {
            "ollama" => assert_eq!(outcome["status"], 400),
            "anthropic" => assert_eq!(
                (&outcome["type"], &error["type"]),
                (&json!("error"), &json!("invalid_request_error"))
            ),
            _ => assert_eq!(
                (&error["code"], &error["param"]),
                (&json!("context_length_exceeded"), &json!("messages[0].content"))
            ),
        }
        assert_eq!(envoy.counter("input_limit.rejected.max_chars"), 1, "{sdk} came back");
    }
}

#[test]
fn the_sdk_of_anthropic_reads_type_and_message_of_a_refusal() {
    let requests = json!({ "rate": "1/h", "burst": 1 });
    let limit = json!({ "name": "per-client", "per": ["client"], "requests": requests });
    let envoy = Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit] }))])).workers(2).start();
    let ask = || script(&["chat", "anthropic", &format!("http://{}", envoy.front()), "hello"]);
    let key = [("x-api-key", "sk-test")];
    let first = envoy.connect().exchange(&post("/v1/messages", &key, b"{}")).expect("an answer");
    assert_eq!(first.status, 200);
    let outcome = ask();
    assert_eq!(outcome["raised"], "RateLimitError", "{outcome}");
    assert_eq!((&outcome["type"], &outcome["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
    let said = outcome["error"]["message"].as_str().expect("a text");
    assert!(said.contains("Rate limit 'per-client' reached"), "{outcome}");
    assert_eq!(envoy.counter("rate_limit.throttled"), 1, "it came back although it was told not to");
}
