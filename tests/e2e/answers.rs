//! What a client gets: headers on admitted and refused answers alike, the OpenAI error shape, honest waits.

use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, get};
use tidegate_tests::{PATIENCE, wait_for};

fn start(limit: serde_json::Value) -> Envoy {
    Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit] }))])).start()
}

fn ask(envoy: &Envoy, client: &str) -> Answer {
    let authorization = format!("Bearer {client}");
    envoy.connect().exchange(&get("/v1/models", &[("authorization", &authorization)])).expect("an answer")
}

#[test]
fn admitted_and_refused_answers_tell_the_limit_what_remains_and_when_it_resets() {
    let envoy = start(
        json!({ "name": "per-client", "per": ["client"], "requests": { "rate": "6/min", "burst": 2 } }),
    );
    for remaining in [1, 0] {
        let answer = ask(&envoy, "a");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.number("x-ratelimit-limit-requests"), 2);
        assert_eq!(answer.number("x-ratelimit-remaining-requests"), remaining);
        assert!(answer.header("retry-after").is_none());
    }
    let refused = ask(&envoy, "a");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(refused.number("x-ratelimit-limit-requests"), 2);
    assert_eq!(refused.number("x-ratelimit-remaining-requests"), 0);
    let reset = refused.header("x-ratelimit-reset-requests").expect("a reset time");
    let left: f64 = reset.strip_suffix('s').and_then(|left| left.parse().ok()).expect("seconds");
    assert!(left > 10.0 && left <= 20.0, "a token of 10 s is missing, and most of another: {reset}");

    let (millis, seconds) = (refused.number("retry-after-ms"), refused.number("retry-after"));
    assert!((1..=20_000).contains(&millis), "one token takes 10 s, the jitter at most another: {millis}");
    assert_eq!(seconds, millis.div_ceil(1_000));
    assert!(refused.header("x-should-retry").is_none());

    let error = &refused.json()["error"];
    assert_eq!(error["type"], "rate_limit_error");
    assert_eq!(error["code"], "rate_limit_exceeded");
    assert!(error["param"].is_null());
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("per-client") && message.contains("6 requests per minute"), "{message}");

    assert_eq!(ask(&envoy, "b").status, 200, "another client has a bucket of its own");
    wait_for("the rule's name in the access log", PATIENCE, || {
        envoy.access_log().contains("429 tidegate.rate_limit.per-client").then_some(())
    });
    assert_eq!(envoy.counter("rate_limit.admitted"), 3);
    assert_eq!(envoy.counter("rate_limit.throttled"), 1);
    assert_eq!(envoy.counter("rate_limit.throttled.per-client"), 1);
}

#[test]
fn a_client_is_admitted_when_it_comes_back_as_told() {
    let envoy =
        start(json!({ "name": "per-client", "per": ["client"], "requests": { "rate": "2/s", "burst": 1 } }));
    for _ in 0..5 {
        // On a machine that is busy enough, more than one is admitted before one is refused.
        let refused = wait_for("a refusal", Duration::from_secs(30), || {
            Some(ask(&envoy, "a")).filter(|answer| answer.status != 200)
        });
        assert_eq!(refused.status, 429);
        std::thread::sleep(Duration::from_millis(refused.number("retry-after-ms")));
        assert_eq!(ask(&envoy, "a").status, 200, "it came back as it was told");
    }
}

#[test]
fn a_wait_of_more_than_a_minute_tells_the_client_to_stop() {
    let envoy =
        start(json!({ "name": "daily", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } }));
    assert_eq!(ask(&envoy, "a").status, 200);
    let refused = ask(&envoy, "a");
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert!(refused.number("retry-after") > 3_500);
}

#[test]
fn a_crowd_is_not_told_to_come_back_at_once() {
    let envoy = start(json!({ "name": "cluster", "per": [], "requests": { "rate": "5/s", "burst": 1 } }));
    let mut connection = envoy.connect();
    let waits: BTreeSet<u64> = (0..200)
        .map(|_| connection.exchange(&get("/", &[])).expect("an answer"))
        .filter(|answer| answer.status == 429)
        .map(|answer| answer.number("retry-after-ms"))
        .collect();
    let (first, last) = (waits.first().expect("a refusal"), waits.last().expect("a refusal"));
    assert!(last - first > 2_000, "200 clients at 5/s take 40 s, but all are told {first} to {last} ms");
}

#[test]
fn without_headers_on_admitted_only_refusals_tell_the_level() {
    let limit = json!({ "name": "all", "per": [], "requests": { "rate": "1/min", "burst": 1 } });
    let quiet = json!({ "limits": [limit], "headers_on_admitted": false });
    let envoy = Envoy::with(Listener::new([rate_limit(&quiet)])).start();
    let admitted = ask(&envoy, "a");
    assert_eq!((admitted.status, admitted.header("x-ratelimit-limit-requests")), (200, None));
    assert_eq!(ask(&envoy, "a").number("x-ratelimit-limit-requests"), 1);
}
