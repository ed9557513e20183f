//! A client that comes back because a filter of ours told it to is no retry against a failing cluster: however the
//! filters stand, the budget of retries lets it through, once for each refusal.

use crate::sdk::crowd;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_tests::bootstrap::{Listener, chains};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, get, post};
use tidegate_tests::load::race;
use tidegate_tests::upstream::{Step, Upstream};

fn limit(rate: &str, burst: u32) -> (&'static str, Value) {
    let limit =
        json!({ "name": "per-client", "per": ["client"], "requests": { "rate": rate, "burst": burst } });
    ("rate-limit", json!({ "limits": [limit] }))
}

/// As the reference configurations have it.
fn budget() -> (&'static str, Value) {
    let upstream = json!({ "retry_on": "connect-failure,refused-stream", "methods": ["GET", "POST"] });
    ("retry-budget", json!({ "per": ["client", "cluster"], "ratio": 0.2, "upstream": upstream }))
}

/// Nobody may retry anything.
fn none() -> (&'static str, Value) {
    ("retry-budget", json!({ "per": ["client", "cluster"], "ratio": 0, "min_retries_per_second": 0 }))
}

fn start(filters: Vec<Value>, upstream: &Upstream) -> Envoy {
    Envoy::with(Listener::new(filters).to(upstream.port())).workers(2).start()
}

#[test]
fn a_crowd_of_sdks_that_comes_back_as_its_limit_told_it_is_served() {
    for filters in chains(&[limit("10/s", 20), budget()]) {
        let upstream = Upstream::start();
        let envoy = start(filters, &upstream);
        let outcome = crowd(&envoy, 20, 40);
        let served = outcome["ok"].as_u64().expect("some are served");
        let gave_up = outcome["rate_limit_exceeded"].as_u64().unwrap_or(0);
        assert_eq!(served + gave_up, 800, "{outcome}");
        assert!(served >= 640, "so many would hardly be served by the limit alone: {outcome}");
        assert_eq!(envoy.counter("retry_budget.client_retries.refused"), 0);
        assert!(
            envoy.counter("retry_budget.returns") >= 200,
            "{} returns",
            envoy.counter("retry_budget.returns")
        );
        assert_eq!(upstream.seen().len() as u64, served);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_crowd_with_one_key_is_served_as_if_there_were_no_budget() {
    let upstream = Upstream::start();
    for filters in chains(&[limit("50/s", 50), budget()]) {
        let envoy = start(filters, &upstream);
        let outcome = crowd(&envoy, 1, 250);
        let served = outcome["ok"].as_u64().expect("some are served");
        let gave_up = outcome["rate_limit_exceeded"].as_u64().unwrap_or(0);
        assert!(served >= 150 && served + gave_up == 250, "{outcome}");
        assert_eq!(envoy.counter("retry_budget.client_retries.refused"), 0);
    }
}

#[test]
fn each_refusal_lets_one_return_through_and_no_more_whatever_a_client_says() {
    let per_slot = json!({
        "name": "per-slot", "per": ["client", "header:x-slot"], "requests": { "rate": "40/min", "burst": 40 },
    });
    for filters in chains(&[("rate-limit", json!({ "limits": [per_slot] })), none()]) {
        let upstream = Upstream::start();
        let envoy = start(filters, &upstream);
        let send = |key: &str, attempt: &str, requests: usize, slots: usize| {
            race(envoy.front(), 16, requests, |n| {
                let slot = format!("{attempt}-{}", n % slots);
                let said = [("x-api-key", key), ("x-stainless-retry-count", attempt), ("x-slot", &slot)];
                get("/v1/models", &said)
            })
        };
        assert_eq!(send("k", "0", 60, 1), BTreeMap::from([(200, 40), (429, 20)]));
        assert_eq!((envoy.counter("retry_budget.client_retries.refused"), upstream.seen().len()), (0, 40));
        assert_eq!(send("other", "1", 10, 1), BTreeMap::from([(429, 10)]), "with another client's vouchers");
        assert_eq!(send("k", "1", 100, 10), BTreeMap::from([(200, 20), (429, 80)]));
        assert_eq!(
            (envoy.counter("retry_budget.returns"), envoy.counter("retry_budget.client_retries.refused")),
            (20, 90)
        );
        assert_eq!(upstream.seen().len(), 60);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_return_that_is_refused_again_may_come_back_again() {
    let per_slot = json!({
        "name": "per-slot", "per": ["client", "header:x-slot"], "requests": { "rate": "1/min", "burst": 1 },
    });
    for filters in chains(&[("rate-limit", json!({ "limits": [per_slot] })), none()]) {
        let upstream = Upstream::start();
        let envoy = start(filters, &upstream);
        let send = |attempt: &str, slot: &str| {
            let said = [("x-api-key", "k"), ("x-stainless-retry-count", attempt), ("x-slot", slot)];
            envoy.connect().exchange(&get("/v1/models", &said)).expect("an answer")
        };
        let code = |answer: &Answer| (answer.status == 429).then(|| answer.json()["error"]["code"].clone());
        assert_eq!(code(&send("0", "a")), None);
        for attempt in ["0", "1", "2"] {
            let refused = send(attempt, "a");
            assert_eq!(code(&refused), Some(json!("rate_limit_exceeded")), "{attempt}");
            assert_eq!(refused.header("x-should-retry"), None);
        }
        assert_eq!(code(&send("3", "b")), None, "it was told to come back");
        assert_eq!(code(&send("1", "c")), Some(json!("retry_budget_exhausted")));
        assert_eq!(upstream.seen().len(), 2);
    }
}

#[test]
fn an_answer_of_ours_that_passes_the_budget_says_one_wait() {
    let waits = |base: &str, max: &str| json!({ "base": base, "max": max });
    let budget = ("retry-budget", json!({ "hints": waits("60s", "60s") }));
    let degradation = ("degradation", json!({ "hold_headers": false, "hints": waits("1ms", "1ms") }));
    for filters in chains(&[budget, degradation]).into_iter().take(1) {
        let upstream = Upstream::scripted(|_| {
            vec![Step::Send(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\nretry-after: 0\r\n\r\n".to_vec())]
        });
        let envoy = start(filters, &upstream);
        for _ in 0..8 {
            let chat = post("/v1/chat/completions", &[], br#"{"messages":[]}"#);
            let answer = envoy.connect().exchange(&chat).expect("an answer");
            assert_eq!((answer.status, answer.header("x-tidegate-degraded")), (503, Some("default")));
            assert_eq!((answer.number("retry-after-ms"), answer.number("retry-after")), (1, 1), "{answer:?}");
            assert_eq!(answer.header("x-should-retry"), None);
        }
        envoy.assert_no_vm_restarted();
    }
}
