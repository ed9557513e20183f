use crate::Tidegate;
use serde_json::{Value, json};
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Fact, Filter, Flow, Stream};
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

#[test]
fn an_answer_of_one_says_its_wait_once_however_long_another_would_have_clients_wait() {
    let waits = |base: &str, max: &str| json!({ "base": base, "max": max });
    let filter = filter(&json!({
        "retry_budget": { "hints": waits("60s", "60s") },
        "degradation": { "hold_headers": true, "hints": waits("1ms", "1ms") },
    }));
    let proxy = FakeProxy::running(&filter);
    proxy.random.set(u64::MAX / 2);
    let send = |status: &str| {
        let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
        exchange.request_goes_on.set(true);
        stream.on_request_headers(&exchange);
        assert_eq!(exchange.receive(&filter, &mut stream, LONG, true), Flow::Continue);
        exchange.know(Fact::ResponseDetails, b"via_upstream");
        let flow = exchange.begin_response(&mut stream, &[(":status", status)], true);
        (flow, exchange.response_header("retry-after-ms"))
    };
    let (Flow::Reply(reply), None) = send("500") else { panic!("it is replaced") };
    let said = |name: &str| -> Vec<&str> {
        reply.headers.iter().filter(|(found, _)| *found == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!((said("retry-after-ms"), said("retry-after")), (vec!["1"], vec!["1"]), "{reply:?}");
    let (flow, wait) = send("429");
    assert_eq!(flow, Flow::Continue);
    let wait: u64 = wait.expect("the budget says it").parse().expect("a number");
    assert!(wait > 10_000, "what is the cluster's own has the wait of the budget: {wait}");
}

#[test]
fn a_response_is_read_once_and_only_as_far_as_a_filter_wants() {
    let filter = filter(&json!({ "retry_budget": {}, "degradation": { "hold_headers": true } }));
    let proxy = FakeProxy::running(&filter);
    let (mut stream, mut exchange) = (filter.stream(), proxy.exchange(&POST));
    exchange.request_goes_on.set(true);
    stream.on_request_headers(&exchange);
    assert_eq!(stream.reads_response(), ResponseNeeds::NONE, "its request is held");
    assert_eq!(exchange.receive(&filter, &mut stream, LONG, true), Flow::Continue);
    assert!(stream.reads_response().content && !stream.reads_response().usage);
    let events = [(":status", "200"), ("content-type", "text/event-stream")];
    assert_eq!(exchange.begin_response(&mut stream, &events, true), Flow::Hold);
    let text = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    assert_eq!(exchange.send(&mut stream, text, true), Flow::Continue);
    let calls = proxy.calls.made();
    exchange.send(&mut stream, text, true);
    assert_eq!(proxy.calls.made(), calls + 1, "the bytes, for whoever asks");
    let silent = self::filter(&json!({ "retry_budget": {} }));
    assert_eq!(silent.stream().reads_response(), ResponseNeeds::NONE);
}
