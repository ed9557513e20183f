use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_host::fake::{FakeExchange, FakeProxy};
use tidegate_host::reply::ErrorObject;
use tidegate_limits::attempt::Return;
use tidegate_policy::timestamp::SECOND;

fn filter(document: Value) -> RetryBudget {
    RetryBudget::configure(document.to_string().as_bytes()).expect("it is right")
}

fn scarce(change: Value) -> RetryBudget {
    let mut document = json!({ "ratio": 0.5, "min_retries_per_second": 0 });
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    filter(document)
}

fn proxy(filter: &RetryBudget) -> FakeProxy {
    let proxy = FakeProxy::running(filter);
    proxy.now.set(100 * SECOND);
    proxy
}

fn send<'a>(
    filter: &RetryBudget,
    proxy: &'a FakeProxy,
    headers: &[(&str, &str)],
) -> (RetryBudgetStream, FakeExchange<'a>, Flow) {
    let exchange = proxy.exchange(&[&[(":method", "GET"), ("x-api-key", "k")], headers].concat());
    let mut stream = filter.stream();
    let flow = stream.on_request_headers(&exchange);
    (stream, exchange, flow)
}

fn attempt(filter: &RetryBudget, proxy: &FakeProxy, attempt: &str) -> u16 {
    match send(filter, proxy, &[("x-stainless-retry-count", attempt)]).2 {
        Flow::Continue => 200,
        Flow::Reply(reply) => reply.status,
        other => panic!("unexpected: {other:?}"),
    }
}

fn answered<'a>(
    filter: &RetryBudget,
    proxy: &'a FakeProxy,
    attempt: &str,
    response: &[(&str, &str)],
) -> FakeExchange<'a> {
    let (mut stream, mut exchange, flow) = send(filter, proxy, &[("x-stainless-retry-count", attempt)]);
    assert_eq!(flow, Flow::Continue);
    exchange.respond(response);
    assert_eq!(stream.on_response_headers(&exchange), Flow::Keep);
    exchange
}

fn told(exchange: &FakeExchange) -> (Option<u64>, Option<u64>, Option<String>) {
    let number = |name| exchange.response_header(name).map(|value| value.parse().expect("a number"));
    (number("retry-after-ms"), number("retry-after"), exchange.response_header("x-should-retry"))
}

fn asked_of_envoy(exchange: &FakeExchange) -> [Option<String>; 2] {
    [MAX_RETRIES, RETRY_ON].map(|name| {
        let set = exchange.request_header(name)?.expect("not taken out");
        Some(String::from_utf8(set).expect("text"))
    })
}

#[test]
fn first_attempts_pass_and_pay_for_retries_beyond_which_clients_are_told_to_stop() {
    let filter = scarce(json!({}));
    let proxy = proxy(&filter);
    assert_eq!(attempt(&filter, &proxy, "1"), 429);
    assert!((0..4).all(|_| attempt(&filter, &proxy, "0") == 200));
    assert_eq!(["1", "2", "1"].map(|retry| attempt(&filter, &proxy, retry)), [200, 200, 429]);
    assert_eq!(attempt(&filter, &proxy, "0"), 200);
    let counter = |what: &str| proxy.counter(&format!("tidegate.retry_budget.{what}"));
    assert_eq!((counter("first_attempts"), counter("attempts")), (5, 7));
    assert_eq!((counter("client_retries.admitted"), counter("client_retries.refused")), (2, 2));
}

#[test]
fn a_client_that_lies_pays_with_nobody_elses_budget() {
    let filter = scarce(json!({}));
    let proxy = proxy(&filter);
    assert!((0..1_000).all(|_| attempt(&filter, &proxy, "0") == 200));
    let other =
        |attempt| send(&filter, &proxy, &[("x-api-key", "other"), ("x-stainless-retry-count", attempt)]);
    let other = |attempt| matches!(other(attempt).2, Flow::Continue);
    assert!(!other("1"));
}

#[test]
fn the_highest_of_all_configured_headers_counts() {
    let headers = json!([{ "name": "x-retry" }, { "name": "x-attempt", "first": 1 }]);
    let filter = scarce(json!({ "retry_headers": headers }));
    let proxy = proxy(&filter);
    let passes = |headers: &[(&str, &str)]| send(&filter, &proxy, headers).2 == Flow::Continue;
    assert!(passes(&[("x-retry", "0"), ("x-attempt", "1")]));
    assert!(passes(&[("x-stainless-retry-count", "2")]));
    assert!(passes(&[("x-attempt", "2")]));
    assert!(!passes(&[("x-retry", "1"), ("x-attempt", "1")]));
    assert!(!passes(&[("x-retry", "0"), ("x-attempt", "7")]));
}

#[test]
fn the_proxys_retries_are_bounded_by_the_balance_whatever_the_client_says() {
    let filter = scarce(json!({ "upstream": { "retry_on": "5xx,reset", "max_retries": 3 } }));
    let proxy = proxy(&filter);
    let client_says = [("x-envoy-max-retries", "99"), ("x-envoy-retry-on", "retriable-4xx")];
    let all = Some("5xx,reset".to_owned());
    for most in ["0", "1", "1", "2", "2", "3", "3", "3"] {
        let (_, exchange, _) = send(&filter, &proxy, &client_says);
        let retry_on = all.clone().filter(|_| most != "0");
        assert_eq!(asked_of_envoy(&exchange), [Some(most.to_owned()), retry_on]);
    }
    let (_, exchange, _) = send(&filter, &proxy, &[(":method", "POST")]);
    assert_eq!(asked_of_envoy(&exchange), [Some("0".to_owned()), None]);
}

#[test]
fn the_proxys_retries_are_withdrawn_when_the_response_arrives() {
    let filter = scarce(json!({ "upstream": { "max_retries": 2 } }));
    let proxy = proxy(&filter);
    (0..9).for_each(|_| drop(send(&filter, &proxy, &[])));
    let (mut stream, mut exchange, _) = send(&filter, &proxy, &[]);
    exchange.know(Fact::Attempts, &3_u64.to_le_bytes());
    exchange.respond(&[(":status", "200")]);
    stream.on_response_headers(&exchange);
    assert_eq!(proxy.counter("tidegate.retry_budget.upstream_retries"), 2);
    assert_eq!(proxy.counter("tidegate.retry_budget.attempts"), 12);
    assert_eq!(["1"; 4].map(|retry| attempt(&filter, &proxy, retry)), [200, 200, 200, 429]);
}

#[test]
fn without_upstream_the_proxys_retries_are_left_alone() {
    let filter = filter(json!({}));
    let proxy = proxy(&filter);
    let (mut stream, mut exchange, _) = send(&filter, &proxy, &[]);
    assert_eq!(asked_of_envoy(&exchange), [None, None]);
    exchange.know(Fact::Attempts, &9_u64.to_le_bytes());
    exchange.respond(&[(":status", "200")]);
    stream.on_response_headers(&exchange);
    assert_eq!(proxy.counter("tidegate.retry_budget.upstream_retries"), 0);
}

#[test]
fn a_good_answer_leaves_as_it_is() {
    let filter = filter(json!({}));
    let proxy = proxy(&filter);
    for status in ["200", "204", "302", "400", "401", "404", "413", "422"] {
        let response = [(":status", status), ("retry-after", "0"), ("x-should-retry", "true")];
        let exchange = answered(&filter, &proxy, "0", &response);
        assert_eq!(told(&exchange), (None, None, None), "{status}");
        assert!(!exchange.response_header_removed("x-should-retry"));
    }
}

#[test]
fn a_failed_client_is_told_when_to_retry_and_after_the_last_attempt_to_stop() {
    let plenty = || filter(json!({ "ratio": 10 }));
    let proxy = proxy(&plenty());
    proxy.random.set(u64::MAX);
    for status in ["408", "409", "429", "500", "502", "503", "504", "529"] {
        let filter = plenty();
        let of = |attempt| told(&answered(&filter, &proxy, attempt, &[(":status", status)]));
        assert_eq!(of("0"), (Some(1_100), Some(2), None), "{status}");
        assert_eq!(of("1"), (Some(2_120), Some(3), None), "{status}");
        assert_eq!(of("2"), (Some(4_100), Some(5), Some("false".to_owned())), "{status}");
    }
}

#[test]
fn no_client_is_told_to_retry_before_the_reserve_can_pay() {
    let filter = filter(json!({}));
    let proxy = proxy(&filter);
    for attempt in ["0", "1"] {
        let (millis, _, should_retry) = told(&answered(&filter, &proxy, attempt, &[(":status", "503")]));
        assert_eq!((millis, should_retry), (Some(100), None));
        proxy.advance(millis.unwrap() * 1_000_000);
    }
    answered(&filter, &proxy, "2", &[(":status", "200")]);
    assert_eq!(proxy.counter("tidegate.retry_budget.client_retries.refused"), 0);
}

#[test]
fn a_valid_hint_of_the_upstream_is_kept() {
    let filter = filter(json!({ "hints": { "max": "30s" } }));
    let proxy = proxy(&filter);
    let of = |name, value| told(&answered(&filter, &proxy, "0", &[(":status", "503"), (name, value)]));
    let (millis, seconds, _) = of("retry-after", "7");
    assert_eq!((millis, seconds), (Some(7_000), Some(7)));
    for (value, stop) in [("30", None), ("31", Some("false")), ("7200", Some("false"))] {
        let (millis, _, should_retry) = of("retry-after", value);
        assert!(millis.unwrap() >= value.parse::<u64>().unwrap() * 1_000, "{value}");
        assert_eq!(should_retry.as_deref(), stop, "{value}");
    }
    proxy.wall_clock.set(1_445_412_480 * SECOND);
    for value in ["0", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let (millis, ..) = of("retry-after", value);
        assert!(millis.unwrap() <= 5_000, "{value}");
    }
    for (value, stop) in
        [("Wed, 21 Oct 2015 07:28:20 GMT", None), ("Wed, 21 Oct 2015 07:33:00 GMT", Some("false"))]
    {
        let (millis, _, should_retry) = of("retry-after", value);
        assert!(millis.unwrap() >= 20_000, "{value}");
        assert_eq!(should_retry.as_deref(), stop, "{value}");
    }
    let (millis, ..) = of("x-ratelimit-reset-requests", "9s");
    assert!(millis.unwrap() >= 9_000);
    assert_eq!(of("retry-after", "2 minutes"), (None, None, None));
    assert_eq!(of("x-should-retry", "false").2.as_deref(), Some("false"));
    assert_eq!(of("x-should-retry", "true").2, None);
}

fn refuse_first(proxy: &FakeProxy, clients: &RetryBudget, attempt: &str) {
    let exchange = proxy.exchange(&[("x-api-key", "k"), ("x-stainless-retry-count", attempt)]);
    let config = &clients.worker.config;
    let reply = Reply::error(429, NO_ERROR, String::new()).retry_after(core::time::Duration::from_secs(1));
    let returning = Return::of(&exchange, &config.clients, &config.retry_headers);
    returning.refused(&exchange, &reply);
}

const NO_ERROR: ErrorObject<'static> = ErrorObject { message: "", kind: "", param: None, code: "" };

#[test]
fn the_return_of_a_request_refused_by_another_filter_counts_as_a_first_attempt() {
    let filter = scarce(json!({}));
    let proxy = proxy(&filter);
    refuse_first(&proxy, &filter, "0");
    refuse_first(&proxy, &filter, "1");
    assert_eq!(["2", "1"].map(|number| attempt(&filter, &proxy, number)), [200, 429]);
    refuse_first(&proxy, &filter, "0");
    assert_eq!(["1", "1", "1"].map(|number| attempt(&filter, &proxy, number)), [200, 200, 429]);
    let counter = |what: &str| proxy.counter(&format!("tidegate.retry_budget.{what}"));
    assert_eq!(
        (counter("first_attempts"), counter("returns"), counter("client_retries.admitted")),
        (2, 2, 1)
    );
}

/// Sends an attempt that a later filter then refuses.
fn refused_behind(filter: &RetryBudget, proxy: &FakeProxy, attempt: &str, details: &str) {
    let (mut stream, mut exchange, flow) = send(filter, proxy, &[("x-stainless-retry-count", attempt)]);
    assert_eq!(flow, Flow::Continue);
    let headers = [(":status", "503"), ("retry-after-ms", "1500"), ("retry-after", "2")];
    exchange.respond(&headers);
    exchange.know(Fact::ResponseDetails, details.as_bytes());
    stream.on_response_headers(&exchange);
    assert_eq!(told(&exchange), (None, None, None), "one wait is put on an answer once");
}

#[test]
fn a_later_filters_refusal_reverses_deposit_and_withdrawal() {
    for per in [json!(["client"]), json!(["client", "cluster"])] {
        let filter = scarce(json!({ "per": per }));
        let proxy = proxy(&filter);
        (0..4).for_each(|_| refused_behind(&filter, &proxy, "0", "tidegate.degradation.breaker"));
        assert_eq!(attempt(&filter, &proxy, "1"), 429, "they paid for a retry");
        assert!((0..2).all(|_| attempt(&filter, &proxy, "0") == 200));
        refused_behind(&filter, &proxy, "1", "tidegate.rate_limit.cluster");
        assert_eq!(attempt(&filter, &proxy, "2"), 200, "the retry that was refused had spent the budget");
        refuse_first(&proxy, &filter, "0");
        refused_behind(&filter, &proxy, "1", "tidegate.degradation.breaker");
        assert_eq!(
            ["2", "3"].map(|number| attempt(&filter, &proxy, number)),
            [200, 429],
            "the voucher was lost"
        );
    }
}

#[test]
fn a_response_that_replaces_a_failure_counts_as_one() {
    let filter = scarce(json!({}));
    let proxy = proxy(&filter);
    (0..2).for_each(|_| refused_behind(&filter, &proxy, "0", "tidegate.degradation.failure"));
    assert_eq!(["1", "1"].map(|number| attempt(&filter, &proxy, number)), [200, 429]);
}

#[test]
fn a_client_without_a_first_attempt_cannot_use_the_clusters_reserve() {
    let filter = filter(json!({ "per": ["client", "cluster"] }));
    let proxy = proxy(&filter);
    assert_eq!(attempt(&filter, &proxy, "1"), 429);
    assert_eq!(["0", "1", "1"].map(|number| attempt(&filter, &proxy, number)), [200, 200, 429]);
}

#[test]
fn a_client_told_to_retry_after_the_ttl_may_and_so_may_one_that_failed_late() {
    for (late, asked) in [(0, "25"), (60, "1")] {
        let filter = filter(json!({ "per": ["client", "cluster"] }));
        let proxy = proxy(&filter);
        let headers = [("x-stainless-retry-count", "0")];
        let (mut stream, mut exchange, _) = send(&filter, &proxy, &headers);
        proxy.advance(late * SECOND);
        exchange.respond(&[(":status", "503"), ("retry-after", asked)]);
        stream.on_response_headers(&exchange);
        proxy.advance(told(&exchange).0.unwrap() * 1_000_000);
        assert_eq!(attempt(&filter, &proxy, "1"), 200);
        proxy.advance(30 * SECOND);
        assert_eq!(attempt(&filter, &proxy, "1"), 429);
    }
}

#[test]
fn in_shadow_it_counts_and_changes_nothing() {
    let filter = scarce(json!({ "shadow": true, "upstream": {} }));
    let proxy = proxy(&filter);
    let exchange = answered(&filter, &proxy, "1", &[(":status", "503")]);
    assert_eq!(told(&exchange), (None, None, None));
    assert_eq!(asked_of_envoy(&exchange), [None, None]);
    let counter = |what: &str| proxy.counter(&format!("tidegate.retry_budget.{what}"));
    assert_eq!((counter("shadowed"), counter("client_retries.refused"), counter("attempts")), (1, 0, 1));
}

#[test]
fn a_healthy_exchange_reads_the_store_once_and_writes_it_once() {
    let filter = filter(json!({}));
    let proxy = proxy(&filter);
    answered(&filter, &proxy, "0", &[(":status", "200")]);
    assert_eq!((proxy.store.loads(), proxy.store.swaps()), (1, 1));
}

proptest! {
    #[test]
    fn whatever_bytes_come_a_failure_is_told_a_wait_that_the_sdks_heed(
        attempt: Vec<u8>, key: Vec<u8>, status in 500..600_u16, own: Vec<u8>, random: u64,
    ) {
        let filter = filter(json!({ "upstream": {} }));
        let proxy = proxy(&filter);
        proxy.random.set(random);
        let request = [("x-stainless-retry-count", attempt.as_slice()), ("x-api-key", &key), ("idempotency-key", &key)];
        let mut exchange = proxy.exchange_of(request.into_iter().collect());
        let mut stream = filter.stream();
        prop_assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
        let own = String::from_utf8_lossy(&own);
        let status = status.to_string();
        exchange.respond(&[(":status", &status), ("retry-after", &own), ("retry-after-ms", &own), ("x-should-retry", &own)]);
        stream.on_response_headers(&exchange);
        let (millis, seconds, should_retry) = told(&exchange);
        let Some((millis, seconds)) = millis.zip(seconds) else {
            prop_assert!(own.bytes().any(|byte| byte.is_ascii_digit()) && millis == seconds, "{:?}", own);
            return Ok(());
        };
        prop_assert!(millis >= 1 && seconds == millis.div_ceil(1_000));
        prop_assert!(millis <= 60_000 || should_retry.as_deref() == Some("false"));
    }
}

fn silent(change: Value) -> RetryBudget {
    let mut silent = json!({ "window": "10s" });
    silent.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    scarce(json!({ "silent_retries": silent, "upstream": { "methods": ["POST"] } }))
}

fn post(filter: &RetryBudget, proxy: &FakeProxy, key: &str, body: &str, status: &str) -> u16 {
    let mut exchange = proxy.exchange(&[(":method", "POST"), (":path", "/v1/x"), ("x-api-key", key)]);
    exchange.request_goes_on.set(true);
    let mut stream = filter.stream();
    let begun = stream.on_request_headers(&exchange);
    assert!(matches!(begun, Flow::Continue | Flow::Hold));
    let (first, last) = body.split_at(body.len() / 2);
    assert_eq!(exchange.receive(filter, &mut stream, first.as_bytes(), false), Flow::Hold);
    match exchange.receive(filter, &mut stream, last.as_bytes(), true) {
        Flow::Continue => {}
        Flow::Reply(reply) => return reply.status,
        other => panic!("unexpected: {other:?}"),
    }
    exchange.respond(&[(":status", status)]);
    stream.on_response_headers(&exchange);
    stream.attempt
}

#[test]
fn a_silent_request_is_the_next_attempt_of_the_same_one_that_failed_here() {
    let filter = silent(json!({}));
    let proxy = proxy(&filter);
    let body = r#"{"model": "m", "prompt": "p"}"#;
    assert_eq!(post(&filter, &proxy, "k", body, "200"), 0);
    assert_eq!(post(&filter, &proxy, "k", body, "503"), 0);
    assert_eq!(post(&filter, &proxy, "k", r#"{"model": "m", "prompt": "q"}"#, "200"), 0);
    assert_eq!(post(&filter, &proxy, "other", body, "200"), 0);
    assert_eq!(post(&filter, &proxy, "k", r#"{"prompt":"p","model":"m"}"#, "503"), 1);
    assert_eq!(post(&filter, &proxy, "k", body, "503"), 429);
    assert!((0..4).all(|_| attempt(&filter, &proxy, "0") == 200));
    assert_eq!(post(&filter, &proxy, "k", body, "200"), 3, "a refusal is a failure too");
    assert_eq!(post(&filter, &proxy, "k", body, "503"), 0, "a failure explains one retry");
    proxy.advance(10 * SECOND);
    assert_eq!(post(&filter, &proxy, "k", body, "200"), 0, "the window is over");
}

#[test]
fn a_silent_request_without_json_is_a_first_attempt() {
    let filter = silent(json!({}));
    let proxy = proxy(&filter);
    for _ in 0..3 {
        assert_eq!(post(&filter, &proxy, "k", "no json", "503"), 0);
        assert_eq!(send(&filter, &proxy, &[]).2, Flow::Continue);
    }
    assert_eq!(proxy.counter("tidegate.retry_budget.first_attempts"), 6);
}

#[test]
fn a_silent_request_is_held_whole_only_if_its_headers_may_be() {
    for (hold_headers, flow) in [(true, Flow::Hold), (false, Flow::Continue)] {
        let filter = silent(json!({ "hold_headers": hold_headers }));
        let proxy = proxy(&filter);
        let mut exchange = proxy.exchange(&[(":method", "POST")]);
        exchange.request_goes_on.set(true);
        let mut stream = filter.stream();
        assert_eq!(stream.on_request_headers(&exchange), flow);
        let bounded = exchange.request_header(MAX_RETRIES).is_some();
        assert_eq!(bounded, !hold_headers, "bounded to none before its headers go on");
        assert_eq!(exchange.receive(&filter, &mut stream, b"{}", true), Flow::Continue);
        assert_eq!(exchange.request_header(MAX_RETRIES), Some(Some(b"0".to_vec())));
    }
}

#[test]
fn a_request_that_states_its_attempt_is_not_held() {
    let filter = silent(json!({ "hold_headers": true }));
    let proxy = proxy(&filter);
    let exchange = proxy.exchange(&[(":method", "POST"), ("x-stainless-retry-count", "0")]);
    exchange.request_goes_on.set(true);
    let mut stream = filter.stream();
    assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
    assert_eq!(stream.on_request_body(&exchange, 9), Flow::Keep);
    assert_eq!(stream.on_request_end(&exchange), Flow::Keep);
}

#[test]
fn a_grpc_call_is_a_first_attempt_and_never_held() {
    let filter = silent(json!({ "hold_headers": true }));
    let proxy = proxy(&filter);
    let exchange = proxy.exchange(&[(":method", "POST"), ("content-type", "application/grpc")]);
    exchange.request_goes_on.set(true);
    let mut stream = filter.stream();
    assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
    assert_eq!(stream.on_request_body(&exchange, 9), Flow::Keep);
    assert_eq!(proxy.counter("tidegate.retry_budget.first_attempts"), 1);
}
