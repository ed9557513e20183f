//! Requests that ask a model for too much under every name that its server knows, or that a server and a filter could read
//! differently. Each is sent twice, once asking for little, so that what refuses it is how much it asks for. The table is
//! kept beside them, in `tests/traffic/hostile.md`; `WRITE_TABLE=1` writes it anew.

use crate::traffic::{answered, assert_table, expanded};
use serde_json::{Value, json};
use std::env;
use std::fmt::Write;
use std::fs;
use tidegate_tests::bootstrap::{Listener, checkout, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::post;
use tidegate_tests::upstream::Upstream;

const TABLE: &str = "tests/traffic/hostile.md";

fn limits() -> Value {
    json!({
        "max_chars": 500,
        "max_completion_tokens": { "limit": 100, "exceed": "reject" },
        "max_choices": 4,
        "max_prompts": 8,
        "max_token_ids": 100,
        "max_images": 4,
        "max_pixels": 1_000_000,
        "max_audios": 4,
        "max_videos": 4,
        "max_logprobs": 5,
        "max_stop": 4,
        "max_logit_bias": 10,
        "max_guided_chars": 200,
        "max_guided_repeats": 1_000,
        "max_work": 1_000,
        "unread": "refuse",
        "deny": [{ "name": "phrase", "pattern": "(?i)ignore previous instructions" }],
        "hold_headers": true
    })
}

/// What a client is told about a body, or that its bytes have passed.
fn outcome(envoy: &Envoy, upstream: &Upstream, path: &str, body: &[u8]) -> String {
    let before = upstream.seen().len();
    let headers = [("authorization", "Bearer sk-1"), ("content-type", "application/json")];
    let answer = answered(envoy, &post(path, &headers, body));
    match upstream.seen().split_off(before).as_slice() {
        [seen] if seen.body == body => "passes".to_owned(),
        [_] => "changed".to_owned(),
        _ => {
            let error = answer.json()["error"].clone();
            // Ollama's errors are a sentence alone, and Anthropic's have no code.
            let told = [&error["code"], &error["message"], &error].into_iter().find_map(Value::as_str);
            told.unwrap_or_default().to_owned()
        }
    }
}

#[test]
fn nothing_asks_for_too_much_under_any_name_or_in_any_spelling() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../traffic/hostile.json")).expect("a list of requests");
    let upstream = Upstream::start();
    let mut filter = module("input-limit.wasm", "input-limit", &limits().to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
    let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start();
    let mut table = format!(
        "# What asks for too much, and how it is refused\n\nMade by `tests/e2e/hostile.rs`; the requests are in hostile.json, each \
         sent once with the little and once with the much of it, under these limits:\n\n```json\n{:#}\n```\n\n\
         | request | asks for little | asks for much |\n|---|---|---|\n",
        limits()
    );
    let mut wrong = Vec::new();
    for case in &cases {
        let text = |key: &str| case[key].as_str().expect("a text");
        let sent = |of: &str| {
            let body = expanded(&text("body").replace("<<X>>", text(of)));
            outcome(&envoy, &upstream, text("path"), &body)
        };
        let (little, much) = (sent("small"), sent("large"));
        let told = if much.contains(' ') { "refused" } else { &much };
        writeln!(table, "| {} | {little} | {told} |", text("id")).expect("room");
        let is_right = much == text("code") || much.contains(rule_of(text("code")));
        if little != "passes" || !is_right {
            wrong.push(format!("{}: {little}, {much}", text("id")));
        }
    }
    envoy.assert_no_vm_restarted();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let file = checkout().join(TABLE);
    if env::var_os("WRITE_TABLE").is_some() {
        fs::write(&file, &table).expect("written");
    }
    assert_table(&fs::read_to_string(&file).expect("a table"), &table);
}

/// The rule that errors without a code name.
fn rule_of(code: &str) -> &'static str {
    match code {
        "max_tokens_too_large" => "'max_completion_tokens'",
        "context_length_exceeded" => "maximum context length",
        "guide_too_long" => "'max_guided_chars'",
        "too_many_images" => "'max_images'",
        "too_many_pixels" => "'max_pixels'",
        "duplicate_key" => "'duplicate_keys'",
        "denied_content" => "'deny.phrase'",
        _ => "'unread'",
    }
}
