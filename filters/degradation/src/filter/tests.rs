#![allow(clippy::indexing_slicing)]

use super::*;
use serde_json::{Value, json};
use tidegate_host::exchange::Fact;
use tidegate_host::fake::{FakeExchange, FakeProxy};
use tidegate_policy::timestamp::MILLISECOND;

const POST: [(&str, &str); 3] = [(":method", "POST"), (":path", "/v1/chat/completions"), ("x-api-key", "k")];
const BODY: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":900,"stream":true}"#;
const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];
const JSON: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];
const ROLE: &[u8] = b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const TEXT: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

fn event(error: &Value) -> Vec<u8> {
    format!("data: {}\n\n", json!({ "error": error })).into_bytes()
}

fn filter(document: &Value) -> Degradation {
    let mut document = document.clone();
    document["hold_headers"] = json!(true);
    Degradation::configure(document.to_string().as_bytes()).expect("it is right")
}

/// Returns a request that has been sent to the cluster, with its body.
fn sent<'a>(proxy: &'a FakeProxy, filter: &Degradation) -> (DegradationStream, FakeExchange<'a>) {
    let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
    exchange.request_goes_on.set(true);
    assert_eq!(stream.on_request_headers(&exchange), Flow::Hold);
    assert_eq!(exchange.receive(filter, &mut stream, BODY, true), Flow::Continue);
    exchange.know(Fact::ResponseDetails, b"via_upstream");
    (stream, exchange)
}

fn counted(proxy: &FakeProxy, what: &str) -> u32 {
    proxy.counter(&format!("tidegate.degradation.{what}"))
}

fn status(flow: Flow) -> u16 {
    match flow {
        Flow::Reply(reply) => reply.status,
        Flow::Keep | Flow::Continue => 0,
        Flow::Hold | Flow::HoldUntil(_) => 1,
    }
}

#[test]
fn a_response_is_held_until_it_has_content_and_then_only_checked_for_errors() {
    let filter = filter(&json!({}));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = sent(&proxy, &filter);
    assert!(proxy.alarm.get().is_some());
    assert_eq!(exchange.begin_response(&mut stream, &EVENTS, true), Flow::Hold);
    assert_eq!(exchange.send(&mut stream, ROLE, true), Flow::Keep);
    assert_eq!(exchange.send(&mut stream, TEXT, true), Flow::Continue);
    assert_eq!((proxy.alarm.get(), stream.reads_response().content), (None, false));
    let before = proxy.calls.made();
    assert_eq!(exchange.send(&mut stream, TEXT, true), Flow::Keep);
    assert_eq!(proxy.calls.made(), before + 1, "the bytes, and nothing else");
    exchange.send(&mut stream, DONE, false);
    stream.on_gone(&exchange);
    assert_eq!((counted(&proxy, "admitted"), counted(&proxy, "failures")), (1, 0));
}

#[test]
fn an_error_before_any_content_is_judged_by_its_cause() {
    for (error, expected, failures, overloads) in [
        (json!({ "code": 500 }), 503, 1, 0),
        (json!({ "code": 429 }), 0, 0, 1),
        (json!({ "code": 400 }), 0, 0, 0),
    ] {
        let filter = filter(&json!({}));
        let proxy = FakeProxy::running(&filter);
        let (mut stream, mut exchange) = sent(&proxy, &filter);
        exchange.begin_response(&mut stream, &EVENTS, true);
        assert_eq!(status(exchange.send(&mut stream, &event(&error), true)), expected, "{error}");
        assert_eq!(
            (counted(&proxy, "failures"), counted(&proxy, "overloads")),
            (failures, overloads),
            "{error}"
        );
    }
}

#[test]
fn an_error_in_the_midst_of_a_response_counts_once_and_passes() {
    let filter = filter(&json!({}));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = sent(&proxy, &filter);
    exchange.begin_response(&mut stream, &EVENTS, true);
    assert_eq!(exchange.send(&mut stream, TEXT, true), Flow::Continue);
    for _ in 0..2 {
        assert_eq!(exchange.send(&mut stream, &event(&json!({ "code": 500 })), true), Flow::Keep);
    }
    assert_eq!(counted(&proxy, "failures"), 1);
    exchange.send(&mut stream, DONE, false);
    exchange.know(Fact::ResponseDetails, b"upstream_reset_after_response_started{connection_termination}");
    stream.on_gone(&exchange);
    assert_eq!(counted(&proxy, "failures"), 1);
}

#[test]
fn a_stream_that_ends_without_content_is_a_failure_and_a_coded_one_passes_as_it_is() {
    let filter = filter(&json!({}));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = sent(&proxy, &filter);
    exchange.begin_response(&mut stream, &EVENTS, true);
    assert_eq!(status(exchange.send(&mut stream, b": ping\n\n", false)), 503);
    assert_eq!(counted(&proxy, "failures"), 1);

    let (mut stream, mut exchange) = sent(&proxy, &filter);
    let coded = [EVENTS[0], EVENTS[1], ("content-encoding", "gzip")];
    assert_eq!(exchange.begin_response(&mut stream, &coded, true), Flow::Hold);
    let before = proxy.calls.made();
    assert_eq!(exchange.send(&mut stream, &event(&json!({ "code": 500 })), true), Flow::Continue);
    let begun = proxy.calls.made() - before;
    exchange.send(&mut stream, TEXT, true);
    assert_eq!(
        (proxy.calls.made() - before, counted(&proxy, "failures")),
        (begun, 1),
        "not a byte is asked for"
    );
}

#[test]
fn a_failure_is_replaced_by_an_error_that_says_when_to_retry() {
    let filter = filter(&json!({ "hints": { "base": "1ms", "max": "1ms" } }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = sent(&proxy, &filter);
    let Flow::Reply(reply) = exchange.begin_response(&mut stream, &[(":status", "500")], true) else {
        panic!("replaced");
    };
    assert_eq!((reply.status, reply.details.as_str()), (503, "tidegate.degradation.failure"));
    assert!(reply.headers.contains(&("retry-after-ms", "1".to_owned())), "{reply:?}");
    assert!(reply.headers.contains(&("retry-after", "1".to_owned())), "{reply:?}");
    stream.on_gone(&exchange);
    assert_eq!(counted(&proxy, "failures"), 1, "once");
}

#[test]
fn a_response_that_is_late_is_a_504() {
    let filter = filter(&json!({ "timeout": "500ms" }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, exchange) = sent(&proxy, &filter);
    assert_eq!(proxy.alarm.get().map(|at| at.as_nanos()), Some(500 * MILLISECOND));
    assert_eq!(exchange.request_header("x-envoy-upstream-rq-timeout-ms"), Some(Some(b"0".to_vec())));
    proxy.advance(500 * MILLISECOND);
    assert_eq!(status(stream.on_alarm(&exchange)), 504);
    assert_eq!((counted(&proxy, "timeouts"), counted(&proxy, "failures")), (1, 1));
    assert_eq!(stream.on_alarm(&exchange), Flow::Keep);
}

#[test]
fn a_good_response_is_cached_and_sent_when_the_cluster_fails() {
    let filter = filter(&json!({ "tiers": { "cached": {} } }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = sent(&proxy, &filter);
    exchange.begin_response(&mut stream, &EVENTS, true);
    for chunk in [ROLE, TEXT] {
        exchange.send(&mut stream, chunk, true);
    }
    assert!(stream.reads_response().content, "it is gathered");
    exchange.send(&mut stream, DONE, false);
    assert_eq!(counted(&proxy, "kept"), 1);
    let (mut stream, mut exchange) = sent(&proxy, &filter);
    let Flow::Reply(reply) = exchange.begin_response(&mut stream, &[(":status", "500")], true) else {
        panic!("replaced");
    };
    assert_eq!((reply.status, reply.body), (200, [ROLE, TEXT, DONE].concat()));
}

#[test]
fn the_outcome_of_a_call_comes_from_its_trailers() {
    let grpc = [
        POST[0],
        (":path", "/inference.GRPCInferenceService/ModelInfer"),
        ("content-type", "application/grpc"),
    ];
    for (trailers, failures, overloads) in [("0", 0, 0), ("14", 1, 0), ("8", 0, 1)] {
        let filter = filter(&json!({}));
        let proxy = FakeProxy::running(&filter);
        let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&grpc));
        exchange.request_goes_on.set(true);
        assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
        exchange.begin_response(&mut stream, &[(":status", "200")], true);
        exchange.send(&mut stream, &[0; 5], true);
        exchange.end_response(&mut stream, &[("grpc-status", trailers)]);
        stream.on_gone(&exchange);
        assert_eq!(
            (counted(&proxy, "failures"), counted(&proxy, "overloads")),
            (failures, overloads),
            "{trailers}"
        );
    }
}

#[test]
fn a_response_without_inference_is_not_read() {
    let filter = filter(&json!({}));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) =
        (filter.stream(), proxy.exchange(&[(":method", "GET"), (":path", "/v1/models")]));
    stream.on_request_headers(&exchange);
    exchange.begin_response(&mut stream, &JSON, true);
    let before = proxy.calls.made();
    assert_eq!(exchange.send(&mut stream, b"{}", true), Flow::Keep);
    assert_eq!(proxy.calls.made(), before);
}
