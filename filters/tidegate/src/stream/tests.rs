use crate::Tidegate;
use serde_json::{Value, json};
use tidegate_host::exchange::{Filter, Flow, Stream};
use tidegate_host::fake::FakeProxy;
use tidegate_host::plugin::Plugin;

const POST: [(&str, &str); 3] = [(":method", "POST"), (":path", "/v1/chat/completions"), ("x-api-key", "k")];
const LONG: &[u8] = br#"{"max_tokens":9000,"messages":[]}"#;
const CLAMPED: &[u8] = br#"{"max_tokens":4096,"messages":[]}"#;

fn filter(document: &Value) -> Tidegate {
    Tidegate::configure(document.to_string().as_bytes()).expect("it is right")
}

fn limits(burst: u32, exceed: &Value) -> Value {
    let requests = json!({ "rate": "1/s", "burst": burst });
    json!({ "limits": [{ "name": "a", "per": ["client"], "requests": requests, "exceed": exceed }] })
}

fn clamping() -> Value {
    json!({ "max_completion_tokens": { "limit": 4096, "exceed": "clamp" }, "hold_headers": true })
}

#[test]
fn a_refused_document_names_the_filter_and_what_is_wrong_in_its_own() {
    for (document, parts) in [
        (json!({}), ["found no filter", "rate_limit"]),
        (json!({ "rate_limits": {} }), ["rate_limits", "unknown field"]),
        (json!({ "slow_client": { "body": { "grace": "0s" } } }), ["slow_client.body.grace", "1ms"]),
        (json!({ "header_limit": 5 }), ["header_limit", "invalid type"]),
    ] {
        let error = Tidegate::configure(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn the_answer_of_one_passes_those_before_it_and_is_seen_by_none_behind_it() {
    let filter = filter(&json!({
        "rate_limit": limits(5, &json!("reject")), "input_limit": { "max_chars": 1 }, "retry_budget": {},
    }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
    exchange.request_goes_on.set(true);
    assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
    let Flow::Reply(reply) = exchange.receive(&filter, &mut stream, br#"{"prompt":"ab"}"#, true) else {
        panic!("refused");
    };
    let has = |name: &str| reply.headers.iter().any(|(found, _)| *found == name);
    assert!(reply.status == 400 && has("x-ratelimit-remaining-requests") && !has("retry-after"), "{reply:?}");
    assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 1);
    assert_eq!(proxy.counter("tidegate.input_limit.rejected.max_chars"), 1);
}

#[test]
fn what_has_effects_begins_when_the_body_was_read_and_not_before() {
    let filter = filter(&json!({ "input_limit": clamping(), "retry_budget": {} }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
    exchange.request_goes_on.set(true);
    assert_eq!(stream.on_request_headers(&exchange), Flow::Hold);
    assert_eq!(exchange.receive(&filter, &mut stream, &LONG[..9], false), Flow::Hold);
    assert_eq!(proxy.counter("tidegate.retry_budget.first_attempts"), 0);
    assert_eq!(exchange.receive(&filter, &mut stream, &LONG[9..], true), Flow::Continue);
    assert_eq!(proxy.counter("tidegate.retry_budget.first_attempts"), 1);
    assert_eq!(exchange.held_now(), CLAMPED);
}

#[test]
fn a_delay_holds_the_watch_over_slow_clients_back_and_no_change_of_the_body() {
    let filter = filter(&json!({
        "rate_limit": limits(1, &json!({ "delay": "30s" })), "slow_client": {}, "input_limit": clamping(),
    }));
    let proxy = FakeProxy::running(&filter);
    let first = proxy.exchange(&POST);
    assert_eq!(filter.stream().on_request_headers(&first), Flow::Continue);

    let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
    exchange.request_goes_on.set(true);
    assert_eq!(stream.on_request_headers(&exchange), Flow::Hold);
    let token = proxy.alarm.get().expect("a delay");
    assert_eq!(token.as_nanos(), 1_000_000_000);
    assert_eq!(exchange.receive(&filter, &mut stream, LONG, true), Flow::Hold);
    assert_eq!(exchange.held_now(), CLAMPED);
    let watched = || proxy.counter("tidegate.slow_client.admitted");
    assert_eq!(watched(), 0);
    proxy.now.set(token.as_nanos());
    assert_eq!(stream.on_alarm(&exchange), Flow::Continue);
    assert_eq!(watched(), 1);
    assert_eq!(proxy.alarm.get(), None);
}

#[test]
fn what_one_filter_holds_leaves_another_its_own_room_to_hold() {
    let mut limits = limits(1, &json!({ "delay": "30s" }));
    limits["max_held"] = json!(2);
    let filter = filter(&json!({ "rate_limit": limits, "slow_client": { "hold_headers": true } }));
    let proxy = FakeProxy::running(&filter);
    let begin = |goes_on: bool| {
        let (mut stream, exchange) = (filter.stream(), proxy.exchange(&POST));
        exchange.request_goes_on.set(goes_on);
        let flow = stream.on_request_headers(&exchange);
        (stream, exchange, flow)
    };
    let uploads = [begin(true)];
    assert_eq!(uploads[0].2, Flow::Hold);
    let [(mut first, gone, held), second, third] = [false; 3].map(begin);
    assert_eq!((held, second.2), (Flow::Hold, Flow::Hold));
    assert!(matches!(third.2, Flow::Reply(_)), "two are delayed, and no third");
    first.on_gone(&gone);
    assert_eq!(begin(false).2, Flow::Hold);
}

#[test]
fn a_filter_holds_as_many_requests_as_it_may_and_has_room_again_when_one_goes_on_or_leaves() {
    let filter = filter(&json!({ "degradation": { "hold_headers": true, "max_held": 1 } }));
    let proxy = FakeProxy::running(&filter);
    let begin = || {
        let (mut stream, exchange) = (filter.stream(), proxy.exchange(&POST));
        exchange.request_goes_on.set(true);
        let flow = stream.on_request_headers(&exchange);
        (stream, exchange, flow)
    };
    let (mut stream, mut exchange, held) = begin();
    assert_eq!((held, begin().2), (Flow::Hold, Flow::Continue));
    assert_eq!(exchange.receive(&filter, &mut stream, LONG, true), Flow::Continue);
    let (mut leaving, gone, held) = begin();
    assert_eq!((held, begin().2), (Flow::Hold, Flow::Continue));
    leaving.on_gone(&gone);
    assert_eq!(begin().2, Flow::Hold);
}

#[test]
fn a_response_that_is_held_holds_no_request() {
    let filter = filter(&json!({ "slow_client": {}, "degradation": { "hold_headers": true } }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
    exchange.request_goes_on.set(true);
    assert_eq!(stream.on_request_headers(&exchange), Flow::Hold);
    assert_eq!(exchange.receive(&filter, &mut stream, br#"{"stream":true}"#, true), Flow::Continue);
    exchange.respond(&[(":status", "200"), ("content-type", "text/event-stream")]);
    exchange.response_goes_on.set(true);
    assert_eq!(stream.on_response_headers(&exchange), Flow::Hold);
    assert_ne!(stream.on_request_body(&exchange, 1), Flow::Hold);
}

#[test]
fn what_is_refused_for_what_it_asks_is_charged_to_no_limit_on_its_model() {
    let mut rate_limit = limits(1, &json!("reject"));
    rate_limit["limits"][0]["when"] = json!({ "model": ["r1", ""] });
    let filter =
        filter(&json!({ "rate_limit": rate_limit, "slow_client": {}, "input_limit": { "max_chars": 1 } }));
    let proxy = FakeProxy::running(&filter);
    let send = |body: &[u8]| {
        let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
        exchange.request_goes_on.set(true);
        assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
        match exchange.receive(&filter, &mut stream, body, true) {
            Flow::Reply(reply) => reply.status,
            flow => {
                assert_eq!(flow, Flow::Continue);
                200
            }
        }
    };
    let statuses = [
        &br#"{"model":"r1","prompt":"ab"}"#[..],
        br#"{"model":"r1","prompt":"a""#,
        br#"["r1"]"#,
        br#"{"model":"r1","prompt":"a"}"#,
        br#"{"model":"r1","prompt":"a"}"#,
        br#"{"model":"r1","prompt":"ab"}"#,
        br#"{"model":"r2","prompt":"a"}"#,
    ]
    .map(send);
    assert_eq!(statuses, [400, 400, 400, 200, 429, 400, 200]);
}

#[test]
fn a_ring_that_no_filter_waits_for_lets_nothing_go() {
    let filter = filter(&json!({ "rate_limit": limits(1, &json!({ "delay": "5s" })), "retry_budget": {} }));
    let proxy = FakeProxy::running(&filter);
    assert_eq!(filter.stream().on_request_headers(&proxy.exchange(&POST)), Flow::Continue);
    let (mut stream, exchange) = (filter.stream(), proxy.exchange(&POST));
    let held = stream.on_request_headers(&exchange);
    assert_ne!(held, Flow::Continue);
    assert_eq!(stream.on_ring(&exchange), held);
    proxy.advance(1_000_000_000);
    assert_eq!(stream.on_alarm(&exchange), Flow::Continue);
}
