#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::config::Config;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate_host::fake::{FakeExchange, FakeProxy};
use tidegate_host::reply::Reply;
use tidegate_host::store::ATTEMPTS;
use tidegate_limits::attempt;
use tidegate_limits::charges::MAX_KEY;
use tidegate_policy::timestamp::SECOND;

mod model;

fn filter(document: &Value) -> RateLimit {
    RateLimit::configure(document.to_string().as_bytes()).expect("it is right")
}

fn one(change: impl FnOnce(&mut Value)) -> RateLimit {
    let requests = json!({ "rate": "1/s", "burst": 2 });
    let mut document = json!({ "limits": [{ "name": "a", "per": ["client"], "requests": requests }] });
    change(&mut document);
    filter(&document)
}

fn ask(filter: &RateLimit, proxy: &FakeProxy, key: &str) -> Flow {
    filter.stream().on_request_headers(&proxy.exchange(&[(":path", "/v1/"), ("x-api-key", key)]))
}

fn reply(flow: Flow) -> Reply {
    match flow {
        Flow::Reply(reply) => reply,
        other => panic!("not refused: {other:?}"),
    }
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let found = reply.headers.iter().find(|(found, _)| *found == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name} in {reply:?}"))
}

#[test]
fn a_client_with_an_empty_bucket_is_told_when_to_retry() {
    let (filter, proxy) = (one(|_| {}), FakeProxy::default());
    assert_eq!([ask(&filter, &proxy, "k"), ask(&filter, &proxy, "k")], [Flow::Continue, Flow::Continue]);
    let refused = reply(ask(&filter, &proxy, "k"));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.details, "tidegate.rate_limit.a");
    assert_eq!(header(&refused, "retry-after-ms"), "1000");
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(header(&refused, "x-ratelimit-remaining-requests"), "0");
    proxy.advance(SECOND - 1);
    assert_ne!(ask(&filter, &proxy, "k"), Flow::Continue);
    proxy.advance(1);
    assert_eq!(ask(&filter, &proxy, "k"), Flow::Continue);
}

#[test]
fn refusing_a_known_throttled_client_costs_no_access_to_the_store() {
    let (filter, proxy) = (one(|_| {}), FakeProxy::default());
    (0..3).for_each(|_| drop(ask(&filter, &proxy, "k")));
    let loads = proxy.store.loads();
    assert_eq!(reply(ask(&filter, &proxy, "k")).status, 429);
    assert_eq!(proxy.store.loads(), loads);
    proxy.advance(SECOND);
    assert_eq!(ask(&filter, &proxy, "k"), Flow::Continue);
    assert_eq!(proxy.store.loads(), loads + 1);
}

#[test]
fn an_admitted_response_states_the_level_and_an_unlimited_one_does_not() {
    let filter = one(|d| d["limits"][0]["when"] = json!({ "path_prefix": "/v1/" }));
    let proxy = FakeProxy::default();
    let told = |path: &str| {
        let exchange: FakeExchange<'_> = proxy.exchange(&[(":path", path)]);
        let mut stream = filter.stream();
        assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
        stream.on_response_headers(&exchange);
        ["limit", "remaining", "reset"]
            .map(|what| exchange.response_header(&format!("x-ratelimit-{what}-requests")))
    };
    assert_eq!(told("/v1/chat"), ["2", "1", "1s"].map(|value| Some(value.to_owned())));
    assert_eq!(told("/health"), [None, None, None]);
    assert_eq!((proxy.store.loads(), proxy.store.swaps()), (1, 1));
}

#[test]
fn a_tighter_limit_of_the_upstream_is_left_as_it_is() {
    let filter = one(|_| {});
    let told = |remaining: &str, reset: &str| {
        let proxy = FakeProxy::default();
        let mut exchange = proxy.exchange(&[(":path", "/v1/"), ("x-api-key", "k")]);
        let mut stream = filter.stream();
        assert_eq!(stream.on_request_headers(&exchange), Flow::Continue);
        exchange
            .respond(&[("x-ratelimit-remaining-requests", remaining), ("x-ratelimit-reset-requests", reset)]);
        stream.on_response_headers(&exchange);
        exchange.response_header("x-ratelimit-remaining-requests")
    };
    let ours = Some("1".to_owned());
    for (remaining, reset, told_is) in [
        ("0", "1ms", None),
        ("1", "1m0s", None),
        ("1", "1s", ours.clone()),
        ("1", "?", ours.clone()),
        ("2", "1h0m0s", ours.clone()),
        ("-1", "1h0m0s", ours.clone()),
    ] {
        assert_eq!(told(remaining, reset), told_is, "{remaining} left, {reset}");
    }
}

fn returns(proxy: &FakeProxy) -> usize {
    let exchange = proxy.exchange(&[("x-api-key", "k")]);
    let client = attempt::client(&exchange, one(|_| {}).worker.config.rules.clients());
    (0..100).take_while(|_| attempt::take(&exchange, client)).count()
}

#[test]
fn a_first_attempt_that_is_refused_leaves_a_voucher_and_nothing_else_costs_a_look_at_the_store() {
    for (attempt, vouchers) in [(Some("0"), 3), (Some("1"), 0), (None, 0)] {
        let filter = one(|_| {});
        let proxy = FakeProxy::default();
        let headers = [("x-api-key", "k"), ("x-stainless-retry-count", attempt.unwrap_or_default())];
        let headers = &headers[..1 + usize::from(attempt.is_some())];
        let ask = || filter.stream().on_request_headers(&proxy.exchange(headers));
        assert!((0..2).all(|_| ask() == Flow::Continue));
        let refused = (0..3).filter(|_| ask() != Flow::Continue).count();
        assert_eq!((refused, proxy.store.swaps()), (3, 2 + vouchers), "{attempt:?}");
        assert_eq!(returns(&proxy), usize::try_from(vouchers).unwrap(), "{attempt:?}");
    }
}

#[test]
fn the_header_in_which_attempts_are_counted_may_be_another() {
    let filter = one(|d| d["retry_headers"] = json!([{ "name": "x-attempt", "first": 1 }]));
    let proxy = FakeProxy::default();
    for _ in 0..3 {
        let said = [("x-api-key", "k"), ("x-attempt", "1")];
        let _ = filter.stream().on_request_headers(&proxy.exchange(&said));
    }
    assert_eq!(returns(&proxy), 1);
}

#[test]
fn a_decision_that_loses_every_race_follows_the_failure_mode_and_is_counted() {
    for (mode, admits) in [("deny", false), ("allow", true)] {
        let filter = one(|d| d["failure_mode"] = json!(mode));
        let proxy = FakeProxy::running(&filter);
        let exchange = proxy.exchange(&[("x-api-key", "k")]);
        let charge = filter.worker.config.rules.due(&exchange, super::one).charges[0];
        proxy.store.lose_swap_of(&charge.key, ATTEMPTS, b"");
        let flow = filter.stream().on_request_headers(&exchange);
        if admits {
            assert_eq!(flow, Flow::Continue);
            assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 1);
        } else {
            let refused = reply(flow);
            assert_eq!((refused.status, refused.details.as_str()), (503, "tidegate.rate_limit.contended"));
            assert_eq!(header(&refused, "retry-after"), "1");
        }
        assert_eq!(proxy.counter("tidegate.rate_limit.contended"), 1);
    }
}

#[test]
fn a_lost_race_does_not_admit_twice() {
    let filter = one(|d| d["limits"][0]["requests"]["burst"] = json!(1));
    let proxy = FakeProxy::default();
    let exchange = proxy.exchange(&[("x-api-key", "k")]);
    let charge = filter.worker.config.rules.due(&exchange, super::one).charges[0];
    assert_eq!(ask(&filter, &proxy, "k"), Flow::Continue);
    let spent = proxy.store.load_entry(&charge.key);

    let proxy = FakeProxy::default();
    proxy.store.lose_swap_of(&charge.key, 1, &spent);
    assert_eq!(reply(ask(&filter, &proxy, "k")).status, 429);
}

#[test]
fn a_delayed_request_is_held_until_its_token_is_there() {
    let filter = one(|d| d["limits"][0]["exceed"] = json!({ "delay": "2s" }));
    let proxy = FakeProxy::running(&filter);
    let until = |n: u64| Flow::HoldUntil(Timestamp::from_nanos(n * SECOND));
    let flows = [(); 4].map(|()| ask(&filter, &proxy, "k"));
    assert_eq!(flows, [Flow::Continue, Flow::Continue, until(1), until(2)]);
    assert_eq!(header(&reply(ask(&filter, &proxy, "k")), "retry-after"), "3");
    assert_eq!(proxy.counter("tidegate.rate_limit.delayed"), 2);
}

#[test]
fn a_worker_that_can_hold_no_more_refuses_instead_and_promises_nothing() {
    let filter = one(|d| {
        d["limits"][0]["exceed"] = json!({ "delay": "9s" });
        d["max_held"] = json!(1);
    });
    let proxy = FakeProxy::default();
    assert_eq!([ask(&filter, &proxy, "k"), ask(&filter, &proxy, "k")], [Flow::Continue, Flow::Continue]);
    let exchange = proxy.exchange(&[("x-api-key", "k")]);
    let mut held = filter.stream();
    let until = |n: u64| Flow::HoldUntil(Timestamp::from_nanos(n * SECOND));
    assert_eq!(held.on_request_headers(&exchange), until(1));
    assert_eq!(header(&reply(ask(&filter, &proxy, "k")), "retry-after"), "2");
    held.on_gone(&exchange);
    assert_eq!(ask(&filter, &proxy, "k"), until(2));
}

#[test]
fn a_wait_of_more_than_a_minute_stops_the_client() {
    let filter = one(|d| d["limits"][0]["requests"] = json!({ "rate": "1/h", "burst": 1 }));
    let proxy = FakeProxy::default();
    assert_eq!(ask(&filter, &proxy, "k"), Flow::Continue);
    assert_eq!(header(&reply(ask(&filter, &proxy, "k")), "x-should-retry"), "false");
}

#[test]
fn newcomers_of_a_set_full_of_throttled_clients_share_a_bucket_and_none_of_those_is_forgotten() {
    let filter = filter(&json!({
        "memory": "32KiB",
        "limits": [{ "name": "a", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } }],
    }));
    let proxy = FakeProxy::running(&filter);
    let clients: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let admitted = clients.iter().filter(|client| ask(&filter, &proxy, client) == Flow::Continue).count();
    assert!(proxy.counter("tidegate.rate_limit.overflowed") > 0, "the table was never full");
    assert_eq!(proxy.counter("tidegate.rate_limit.saturated"), 0);
    assert!((71 * 14..=71 * 15).contains(&admitted), "{admitted} admitted");
    assert!(clients.iter().all(|client| reply(ask(&filter, &proxy, client)).status == 429));
    proxy.advance(3_600_000_000_000 - 1_000_000_000);
    assert!(clients.iter().all(|client| reply(ask(&filter, &proxy, client)).status == 429));
    assert!(proxy.store.entries() <= 71, "{} entries", proxy.store.entries());
}

#[test]
fn clients_without_room_do_not_charge_the_shared_limit() {
    for mode in ["deny", "allow"] {
        let filter = filter(&json!({ "memory": "32KiB", "failure_mode": mode, "limits": [
            { "name": "each", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } },
            { "name": "all", "per": [], "requests": { "rate": "10/h", "burst": 3_000 } },
        ]}));
        let proxy = FakeProxy::running(&filter);
        let admitted = (0..9_000).filter(|n| ask(&filter, &proxy, &n.to_string()) == Flow::Continue).count();
        assert!(proxy.counter("tidegate.rate_limit.overflowed") > 0, "{mode}: the table was never full");
        assert!(admitted <= 71 * 15, "{mode}: {admitted} admitted");
    }
}

#[test]
fn many_limits_on_one_identity_forget_nobody_while_there_is_room() {
    let limits: Vec<Value> = (0..40)
        .map(|n| json!({ "name": n.to_string(), "per": ["client"], "requests": { "rate": "1/h", "burst": 20 } }))
        .collect();
    let filter = filter(&json!({ "limits": limits }));
    let proxy = FakeProxy::running(&filter);
    for client in 0..64 {
        let admitted =
            (0..60).filter(|_| ask(&filter, &proxy, &client.to_string()) == Flow::Continue).count();
        assert_eq!(admitted, 20, "client {client}");
    }
    assert_eq!(proxy.counter("tidegate.rate_limit.evicted"), 0);
}

#[test]
fn values_of_several_headers_do_not_run_together() {
    let filter = one(|d| {
        d["limits"][0]["per"] = json!(["header:a", "header:b"]);
        d["limits"][0]["requests"]["burst"] = json!(1);
    });
    let proxy = FakeProxy::default();
    let headers: [&[(&str, &str)]; 6] = [
        &[("a", "1"), ("b", "2")],
        &[("a", "2"), ("b", "1")],
        &[("a", "1"), ("a", "2")],
        &[("b", "1"), ("b", "2")],
        &[("a", "12")],
        &[],
    ];
    for headers in headers {
        let flow = filter.stream().on_request_headers(&proxy.exchange(headers));
        assert_eq!(flow, Flow::Continue, "{headers:?}");
    }
}

#[test]
fn a_named_client_has_its_own_bucket_and_an_overlong_key_has_none() {
    let hash = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let long = "k".repeat(MAX_KEY + 1);
    let own = |key: &str| json!({ "sha256": hash(key), "requests": { "rate": "1/s", "burst": 3 } });
    let filter = one(|d| d["limits"][0]["overrides"] = json!([own("vip"), own(&long)]));
    let proxy = FakeProxy::default();
    let admitted = |key: &str| (0..9).filter(|_| ask(&filter, &proxy, key) == Flow::Continue).count();
    assert_eq!([admitted("vip"), admitted("other"), admitted(&long)], [3, 2, 2]);
}

#[test]
fn metrics_are_named_after_limits_and_never_after_clients() {
    let names = one(|_| {}).metrics();
    assert!(names.contains(&"tidegate.rate_limit.throttled.a".to_owned()));
    assert_eq!(names.len(), Counter::ALL.len() + 2);
}

proptest! {
    #[test]
    fn no_header_value_traps_and_every_request_is_answered(
        values in prop::collection::vec((0_usize..5, prop::collection::vec(any::<u8>(), 0..200)), 0..12),
    ) {
        let document = json!({ "address": { "trusted_hops": 1 }, "limits": [
            { "name": "a", "per": ["client", "address", "path", "method", "header:x-a"],
              "requests": { "rate": "1/s", "burst": 1 },
              "overrides": [{ "sha256": "0".repeat(64), "requests": { "rate": "1/s", "burst": 9 } }] },
        ]});
        let config = Config::read(document.to_string().as_bytes()).unwrap();
        let names = ["authorization", "x-api-key", "x-forwarded-for", "x-a", ":path"];
        let headers = values.into_iter().map(|(name, value)| (names[name], value)).collect();
        let proxy = FakeProxy::default();
        let exchange = proxy.exchange_of(headers);
        let filter = RateLimit { worker: Rc::new(Worker::new(config)) };
        prop_assert_eq!(filter.stream().on_request_headers(&exchange), Flow::Continue);
        let again = matches!(filter.stream().on_request_headers(&exchange), Flow::Reply(_));
        prop_assert!(again);
    }
}

#[test]
fn a_later_filters_refusal_refunds_the_shared_limit_only() {
    let filter = filter(&json!({ "limits": [
        { "name": "each", "per": ["client"], "requests": { "rate": "1/h", "burst": 5 } },
        { "name": "all", "per": [], "requests": { "rate": "1/h", "burst": 1 } },
    ]}));
    let proxy = FakeProxy::running(&filter);
    for (status, details, returned) in [
        ("400", "tidegate.input_limit.json", true),
        ("503", "tidegate.degradation.breaker", true),
        ("503", "via_upstream", false),
    ] {
        let mut exchange = proxy.exchange(&[("x-api-key", "k")]);
        let mut stream = filter.stream();
        assert_eq!(stream.on_request_headers(&exchange), Flow::Continue, "{details}");
        assert_eq!(reply(ask(&filter, &proxy, "other")).status, 429, "{details}: meanwhile it is spent");
        exchange.respond(&[(":status", status)]);
        exchange.know(tidegate_host::exchange::Fact::ResponseDetails, details.as_bytes());
        stream.on_response_headers(&exchange);
        if !returned {
            assert_eq!(reply(ask(&filter, &proxy, "other")).status, 429, "{details}");
        }
    }
    assert_eq!(proxy.counter("tidegate.rate_limit.admitted"), 3);
}
