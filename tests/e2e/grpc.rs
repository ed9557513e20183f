//! An unmodified gRPC client and server with Tidegate between them: streams flow at their own pace, and a refusal is a status
//! that callers act on, with a plain sentence.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tidegate_tests::bootstrap::{Listener, NOBODY, checkout, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::post;

/// Seconds, longer than what slow-client and degradation give here.
const SILENCE: &str = "1.5";

/// A server that sends every message back, ended on drop.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let mut child = script(&["serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/grpc/run.sh runs");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut port).expect("a line");
        Self { child, port: port.trim().parse().expect("a port") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(checkout().join("tests/grpc/run.sh"));
    command.args(arguments);
    command
}

/// What came of each message, of these sizes.
fn call(envoy: &Envoy, kind: &str, silence: &str, sizes: &[usize]) -> Vec<Value> {
    let target = envoy.front().to_string();
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let mut arguments = vec!["call", target.as_str(), kind, silence];
    arguments.extend(sizes.iter().map(String::as_str));
    let output = script(&arguments).stderr(Stdio::inherit()).output().expect("tests/grpc/run.sh runs");
    assert!(output.status.success(), "tests/grpc/run.sh {arguments:?} failed");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn statuses(outcomes: &[Value]) -> Vec<&str> {
    outcomes.iter().map(|outcome| outcome["status"].as_str().expect("a status")).collect()
}

/// A refusal's sentence, after a look at whether it is one.
fn says(outcome: &Value) -> &str {
    let text = outcome["says"].as_str().expect("a sentence");
    assert!(text.ends_with('.') && !text.contains(['{', '"']), "{text}");
    text
}

fn start(name: &str, document: &Value, hold: bool, port: u16) -> Envoy {
    let mut filter = module(&format!("{name}.wasm"), name, &document.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = hold.into();
    Envoy::with(Listener::new([filter]).to(port).by_http2()).workers(2).start()
}

/// Every filter, as impatient as can be.
fn documents(hold: bool) -> Vec<(&'static str, Value)> {
    let model =
        json!({ "name": "model", "per": ["client", "model"], "requests": { "rate": "100/s", "burst": 100 } });
    vec![
        ("header-limit", json!({})),
        ("rate-limit", json!({ "limits": [model], "hold_headers": hold })),
        (
            "slow-client",
            json!({ "body": { "grace": "500ms", "timeout": "1s" }, "tiny_chunks": { "window": 1, "min_average": "4KiB" },
                    "hold_headers": hold }),
        ),
        (
            "input-limit",
            json!({ "max_body": "64KiB", "pass_content_types": ["application/grpc"], "hold_headers": hold }),
        ),
        (
            "retry-budget",
            json!({ "silent_retries": { "window": "10s", "hold_headers": hold }, "upstream": {} }),
        ),
        ("degradation", json!({ "timeout": "1s", "tiers": { "cached": {} }, "hold_headers": hold })),
    ]
}

/// These filters in one module.
fn composite(documents: &[(&'static str, Value)]) -> (&'static str, Value) {
    let members = documents.iter().map(|(name, document)| (name.replace('-', "_"), document.clone()));
    ("tidegate", Value::Object(members.collect()))
}

fn flows_through(documents: Vec<(&str, Value)>, hold: bool) {
    let server = Server::start();
    for (name, document) in documents {
        let envoy = start(name, &document, hold, server.port);
        let unary = call(&envoy, "unary", "0", &[6, 0, 40_000]);
        assert_eq!(statuses(&unary), ["OK"; 3], "{name}, hold_headers: {hold}: {unary:?}");
        let bidi = call(&envoy, "bidi", SILENCE, &[6, 40_000, 6]);
        assert_eq!(statuses(&bidi), ["OK"; 4], "{name}, hold_headers: {hold}: {bidi:?}");
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn calls_and_streams_pass_every_filter_at_the_gate_however_long_they_are_silent() {
    for hold in [true, false] {
        let mut documents = documents(hold);
        documents.pop();
        documents.push(composite(&documents));
        flows_through(documents, hold);
    }
}

#[test]
fn calls_and_streams_pass_degradation_and_all_filters_in_one_however_long_they_are_silent() {
    for hold in [true, false] {
        let mut documents = documents(hold);
        let all = composite(&documents);
        flows_through(vec![documents.pop().expect("degradation"), all], hold);
    }
}

#[test]
fn a_refusal_of_rate_limit_is_resource_exhausted_and_says_when_to_come_back() {
    let server = Server::start();
    let limits = |per: Value| {
        json!({ "limits": [{ "name": "per-client", "per": per,
        "requests": { "rate": "1/min", "burst": 1 } }] })
    };
    for per in [json!(["client"]), json!([]), json!(["client", "model"])] {
        let document = limits(per);
        for (name, document) in
            [("rate-limit", document.clone()), ("tidegate", json!({ "rate_limit": document.clone() }))]
        {
            let envoy = start(name, &document, true, server.port);
            assert_eq!(statuses(&call(&envoy, "unary", "0", &[6])), ["OK"], "{name} {document}");
            for kind in ["unary", "bidi"] {
                let refused = &call(&envoy, kind, "0", &[6])[0];
                assert_eq!(refused["status"], "RESOURCE_EXHAUSTED", "{name} {document}: {refused}");
                assert!(says(refused).starts_with("Rate limit 'per-client' reached: "), "{refused}");
                let told = |name: &str| refused["metadata"][name].as_str().map(str::to_owned);
                assert!(
                    told("retry-after-ms").is_some_and(|millis| millis.parse().is_ok_and(|n: u64| n > 0))
                );
                assert_eq!(told("x-ratelimit-limit-requests").as_deref(), Some("1"));
                assert!(told("grpc-retry-pushback-ms").is_some(), "{refused}");
            }
            assert_eq!(envoy.counter("rate_limit.throttled"), 2);
        }
    }
}

#[test]
fn a_refusal_of_input_limit_is_invalid_argument_at_the_first_message_that_is_too_long() {
    let server = Server::start();
    for hold in [true, false] {
        let document = json!({ "max_body": "1KiB", "hold_headers": hold });
        let unknown = start("input-limit", &document, hold, server.port);
        let refused = &call(&unknown, "unary", "0", &[6])[0];
        assert_eq!(refused["status"], "INVALID_ARGUMENT", "{refused}");
        says(refused);

        let document =
            json!({ "max_body": "1KiB", "pass_content_types": ["application/grpc"], "hold_headers": hold });
        for (name, document) in
            [("input-limit", document.clone()), ("tidegate", json!({ "input_limit": document.clone() }))]
        {
            let envoy = start(name, &document, hold, server.port);
            assert_eq!(statuses(&call(&envoy, "bidi", "0", &[1_024; 20])), ["OK"; 21], "{name}");
            let refused = &call(&envoy, "unary", "0", &[1_025])[0];
            assert_eq!(refused["status"], "INVALID_ARGUMENT", "{name}: {refused}");
            says(refused);
            assert_eq!(envoy.counter("input_limit.rejected.max_body"), 1);
            envoy.assert_no_vm_restarted();
        }
    }
}

#[test]
fn an_open_breaker_is_unavailable_to_grpc_callers() {
    let document = json!({ "breaker": { "min_requests": 5 } });
    for (name, document) in
        [("degradation", document.clone()), ("tidegate", json!({ "degradation": document }))]
    {
        let envoy = start(name, &document, false, NOBODY);
        for _ in 0..10 {
            let chat = envoy.connect().exchange(&post("/v1/chat/completions", &[], b"{}"));
            assert_eq!(chat.expect("an answer").status, 503, "{name}");
        }
        for kind in ["unary", "bidi"] {
            let refused = &call(&envoy, kind, "0", &[6])[0];
            assert_eq!(refused["status"], "UNAVAILABLE", "{name}: {refused}");
            assert!(says(refused).starts_with("The model is busy."), "{name}: {refused}");
            assert!(refused["metadata"]["retry-after-ms"].is_string(), "{name}: {refused}");
        }
    }
}

#[test]
fn calls_that_end_internal_open_the_breaker() {
    let server = Server::start();
    let document = json!({ "breaker": { "min_requests": 5 } });
    for (name, document) in
        [("degradation", document.clone()), ("tidegate", json!({ "degradation": document }))]
    {
        let envoy = start(name, &document, false, server.port);
        let outcomes = call(&envoy, "fail", "0", &[6; 12]);
        assert!(outcomes.iter().all(|outcome| outcome["status"] == "UNAVAILABLE"), "{name}: {outcomes:?}");
        let counted = |what: &str| envoy.counter(&format!("degradation.{what}"));
        assert_eq!(counted("breaker_opened"), 1, "{name}");
        assert!((5..=6).contains(&counted("failures")), "{name}");
    }
}

#[test]
fn nobody_hides_a_slow_body_over_http1_behind_the_media_type_of_grpc() {
    let server = Server::start();
    let document = json!({ "body": { "grace": "500ms" }, "hold_headers": true });
    let envoy = start("slow-client", &document, true, server.port);
    let mut connection = envoy.connect();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/grpc\r\n\
                te: trailers\r\ncontent-length: 100\r\n\r\n{";
    let answer = connection.exchange(head.as_bytes()).expect("an answer");
    let status = answer.header("grpc-status").expect("a status");
    assert_eq!((answer.status, status), (200, "4"), "{answer:?}");
    assert_eq!(envoy.counter("slow_client.rejected.rate"), 1);
}
