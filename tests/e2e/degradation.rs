//! A cluster that fails, saturates or is late: what reaches it, and what clients get.

mod blame;
mod breaker;
mod broken;
mod clients;
mod kept;
mod late;
mod sdk;
mod smaller;

use serde_json::{Value, json};
use std::time::Duration;
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, post};
use tidegate_tests::upstream::{Step, Upstream};
use tidegate_tests::{PATIENCE, wait_for};

const CHAT: &str = "/v1/chat/completions";

fn start(configuration: Value, upstream: &Upstream) -> Envoy {
    in_front_of(configuration, upstream.port())
}

fn in_front_of(configuration: Value, port: u16) -> Envoy {
    Envoy::with(Listener::new([filter(configuration)]).to(port)).workers(2).start()
}

/// The filter, which holds headers unless its configuration says otherwise.
fn filter(mut configuration: Value) -> Value {
    let hold = configuration.as_object_mut().expect("an object").entry("hold_headers").or_insert(json!(true));
    let hold = hold.clone();
    let mut filter = module("degradation.wasm", "degradation", &configuration.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = hold;
    filter
}

fn body(text: &str, stream: bool) -> Vec<u8> {
    let message = json!({ "role": "user", "content": text });
    json!({ "model": "small", "messages": [message], "max_tokens": 16, "stream": stream })
        .to_string()
        .into_bytes()
}

fn ask_as(envoy: &Envoy, key: &str, path: &str, body: &[u8]) -> Answer {
    envoy.connect().exchange(&post(path, &[("authorization", key)], body)).expect("an answer")
}

fn ask(envoy: &Envoy, text: &str) -> Answer {
    ask_as(envoy, "Bearer sk-1", CHAT, &body(text, false))
}

/// Waits until every worker has noticed that the breaker is open: of many connections none reaches the cluster.
fn wait_until_noticed(envoy: &Envoy, upstream: &Upstream) {
    wait_for("all workers to notice", PATIENCE, || {
        let reached = upstream.seen().len();
        (0..32).for_each(|_| drop(ask(envoy, "anything")));
        (upstream.seen().len() == reached).then_some(())
    });
}

fn degraded(answer: &Answer) -> Option<&str> {
    answer.header("x-tidegate-degraded")
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn said(text: &str) -> Vec<Step> {
    let message = json!({ "role": "assistant", "content": text });
    let body = json!({ "id": "1", "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
    vec![Step::Send(answer(200, "content-type: application/json\r\n", body.to_string().as_bytes()))]
}

fn failing() -> Vec<Step> {
    vec![Step::Send(answer(500, "", b"out of memory"))]
}

/// A stream of events begins.
fn streaming() -> Step {
    Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
    )
}

fn event(data: &str) -> Step {
    let event = if data.starts_with(':') { format!("{data}\n\n") } else { format!("data: {data}\n\n") };
    Step::Send(format!("{:x}\r\n{event}\r\n", event.len()).into_bytes())
}

fn end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

fn role() -> Step {
    event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#)
}

fn content(text: &str) -> Step {
    event(&json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }).to_string())
}

fn stop() -> Step {
    event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
}

fn done() -> Step {
    event("[DONE]")
}
