//! Retries are held to what first attempts pay for, those of clients and those of Envoy, and whoever is told of a
//! failure is told when to come back.

use crate::sdk::{run, sdks};
use crate::survival::hostile;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_tests::bootstrap::{Listener, NOBODY, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, get, post};
use tidegate_tests::load::race;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, wait_for};

const CONNECTIONS: usize = 32;

fn retry_budget(configuration: &Value) -> Listener {
    Listener::new([module("retry-budget.wasm", "retry-budget", &configuration.to_string())])
}

fn attempt(key: &str, attempt: &str) -> Vec<u8> {
    get("/v1/models", &[("x-api-key", key), ("x-stainless-retry-count", attempt)])
}

fn response(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Status\r\n{headers}content-length: 0\r\n\r\n").into_bytes()
}

fn failing(status: u16, headers: &'static [(&str, &str)]) -> Upstream {
    Upstream::answering(move |_| response(status, headers))
}

fn ask(envoy: &Envoy, request: &[u8]) -> Answer {
    envoy.connect().exchange(request).expect("an answer")
}

fn told(answer: &Answer) -> (u64, u64, Option<&str>) {
    let occurs = |name: &str| answer.headers.iter().filter(|(found, _)| found == name).count();
    assert_eq!((occurs("retry-after-ms"), occurs("retry-after")), (1, 1), "{answer:?}");
    assert!(occurs("x-should-retry") <= 1, "{answer:?}");
    (answer.number("retry-after-ms"), answer.number("retry-after"), answer.header("x-should-retry"))
}

#[test]
fn retries_that_race_for_a_budget_get_what_first_attempts_paid_for_and_not_one_more() {
    let configuration = json!({ "ttl": "60s", "ratio": 0.1, "min_retries_per_second": 0 });
    let envoy = Envoy::with(retry_budget(&configuration)).start();
    for client in 0..10 {
        let key = format!("sk-{client}");
        let first = race(envoy.front(), CONNECTIONS, 1_000, |_| attempt(&key, "0"));
        assert_eq!(first, BTreeMap::from([(200, 1_000)]));
        let retries = race(envoy.front(), CONNECTIONS, 2_000, |_| attempt(&key, "1"));
        assert_eq!(retries, BTreeMap::from([(200, 100), (429, 1_900)]), "{key}");
    }
    assert_eq!(
        (envoy.counter("retry_budget.first_attempts"), envoy.counter("retry_budget.attempts")),
        (10_000, 11_000)
    );
    assert_eq!(envoy.counter("retry_budget.client_retries.admitted"), 1_000);
    assert_eq!(envoy.counter("retry_budget.client_retries.refused"), 19_000);
    assert_eq!(envoy.counter("retry_budget.contended"), 0);
    envoy.assert_no_vm_restarted();
}

#[test]
fn clients_that_race_for_the_clusters_budget_and_for_their_own_are_held_to_both() {
    let configuration =
        json!({ "per": ["client", "cluster"], "ttl": "60s", "ratio": 0.1, "min_retries_per_second": 0 });
    let upstream = Upstream::start();
    let envoy = Envoy::with(retry_budget(&configuration).to(upstream.port())).start();
    let first = race(envoy.front(), CONNECTIONS, 2_000, |n| attempt(["a", "b", "c", "d"][n % 4], "0"));
    assert_eq!(first, BTreeMap::from([(200, 2_000)]));
    let greedy = race(envoy.front(), CONNECTIONS, 1_000, |_| attempt("a", "1"));
    assert_eq!(greedy, BTreeMap::from([(200, 50), (429, 950)]));
    let others = race(envoy.front(), CONNECTIONS, 3_000, |n| attempt(["b", "c", "d"][n % 3], "1"));
    assert_eq!(others, BTreeMap::from([(200, 150), (429, 2_850)]));
    assert_eq!(envoy.counter("retry_budget.contended"), 0);
    assert_eq!(upstream.seen().len(), 2_200);
}

#[test]
fn a_client_that_always_says_first_attempt_spends_nobody_elses_budget() {
    let configuration = json!({ "ttl": "60s", "ratio": 0.1, "min_retries_per_second": 0 });
    let envoy = Envoy::with(retry_budget(&configuration)).start();
    race(envoy.front(), CONNECTIONS, 100, |_| attempt("honest", "0"));
    race(envoy.front(), CONNECTIONS, 5_000, |_| attempt("liar", "0"));
    let honest = race(envoy.front(), CONNECTIONS, 100, |_| attempt("honest", "1"));
    assert_eq!(honest, BTreeMap::from([(200, 10), (429, 90)]));
    assert_eq!(ask(&envoy, &attempt("third", "1")).status, 429);
}

#[test]
fn a_refused_retry_is_told_to_stop_in_the_shape_that_the_sdks_read() {
    let upstream = Upstream::start();
    let envoy =
        Envoy::with(retry_budget(&json!({ "min_retries_per_second": 0 })).to(upstream.port())).start();
    let refused = ask(&envoy, &attempt("k", "1"));
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (429, Some("retry_budget_exhausted"))
    );
    let (millis, seconds, should_retry) = told(&refused);
    assert_eq!((seconds, should_retry), (millis.div_ceil(1_000), Some("false")));
    assert_eq!(upstream.seen().len(), 0);
    wait_for("the access log", PATIENCE, || {
        envoy.access_log().contains("429 tidegate.retry_budget.exhausted").then_some(())
    });
}

#[test]
fn every_failure_that_leaves_tells_when_to_come_back_and_at_last_to_stop() {
    let (reserve, behind_another) = (100, 20);
    let budget = || retry_budget(&json!({}));
    let upstreams = [408, 409, 429, 500, 502, 503, 504, 529].map(|status| (status, failing(status, &[])));
    let of = |listener: Listener| Envoy::with(listener).workers(1).start();
    let mut envoys: Vec<(u16, Envoy)> =
        upstreams.iter().map(|(status, upstream)| (*status, of(budget().to(upstream.port())))).collect();
    envoys.push((503, of(budget().to(NOBODY))));
    envoys.push((503, of(budget().to(1))));
    for (status, envoy) in envoys {
        for (number, most) in [("0", 1_000), ("1", 2_000)] {
            let answer = ask(&envoy, &attempt("k", number));
            let (millis, seconds, should_retry) = told(&answer);
            assert_eq!((answer.status, should_retry), (status, None));
            let told_within = reserve..=reserve + most + behind_another;
            assert!(told_within.contains(&millis) && seconds == millis.div_ceil(1_000), "{answer:?}");
        }
        assert_eq!(told(&ask(&envoy, &attempt("k", "2"))).2, Some("false"), "{status}");
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn an_upstreams_own_hint_is_kept_if_it_is_one_and_replaced_otherwise() {
    type Case = (&'static [(&'static str, &'static str)], std::ops::Range<u64>, Option<&'static str>);
    let cases: [Case; 9] = [
        (&[("retry-after", "7")], 7_000..12_001, None),
        (&[("retry-after-ms", "300"), ("retry-after", "5")], 300..5_301, None),
        (&[("retry-after", "3"), ("retry-after", "9")], 9_000..14_001, None),
        (&[("retry-after", "300")], 300_000..301_001, Some("false")),
        (&[("retry-after", "0")], 1..1_101, None),
        (&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], 1..1_101, None),
        (&[("retry-after", "-5"), ("retry-after-ms", "soon")], 1..1_101, None),
        (&[("x-should-retry", "true"), ("x-should-retry", "true")], 1..1_101, None),
        (&[("x-should-retry", "false"), ("retry-after", "2")], 2_000..7_001, Some("false")),
    ];
    for (headers, wait, stop) in cases {
        let upstream = failing(503, headers);
        let envoy = Envoy::with(retry_budget(&json!({})).to(upstream.port())).workers(1).start();
        let answer = ask(&envoy, &attempt("k", "0"));
        let (millis, seconds, should_retry) = told(&answer);
        assert!(wait.contains(&millis) && seconds == millis.div_ceil(1_000), "{headers:?}: {answer:?}");
        assert_eq!(should_retry, stop, "{headers:?}");
    }
}

#[test]
fn answers_that_nobody_retries_leave_as_they_came() {
    for status in [200, 302, 400, 401, 404, 413, 422] {
        let upstream = failing(status, &[("retry-after", "0"), ("x-should-retry", "false")]);
        let envoy = Envoy::with(retry_budget(&json!({})).to(upstream.port())).workers(1).start();
        let answer = ask(&envoy, &attempt("k", "0"));
        let header = |name| answer.header(name);
        assert_eq!(
            (answer.status, header("retry-after"), header("retry-after-ms")),
            (status, Some("0"), None)
        );
        assert_eq!(header("x-should-retry"), Some("false"));
    }
}

#[test]
fn envoys_own_retries_are_paid_for_too_and_no_client_can_order_more() {
    let configuration = json!({
        "ttl": "60s", "ratio": 0.5, "min_retries_per_second": 0,
        "upstream": { "retry_on": "5xx", "max_retries": 2 },
    });
    let upstream = failing(503, &[]);
    let envoy = Envoy::with(retry_budget(&configuration).trusting_clients().to(upstream.port())).start();
    let greedy =
        [("x-api-key", "k"), ("x-envoy-max-retries", "9"), ("x-envoy-retry-on", "5xx,retriable-4xx")];
    for _ in 0..20 {
        assert_eq!(ask(&envoy, &get("/", &greedy)).status, 503);
    }
    assert_eq!(upstream.seen().len(), 30);
    assert_eq!(
        (envoy.counter("retry_budget.upstream_retries"), envoy.counter("retry_budget.attempts")),
        (10, 30)
    );
    assert_eq!(ask(&envoy, &attempt("k", "1")).status, 429, "Envoy's retries were not withdrawn");
    for _ in 0..20 {
        assert_eq!(ask(&envoy, &post("/", &greedy, b"{}")).status, 503);
    }
    assert_eq!(upstream.seen().len(), 50, "a request that is not safe to repeat was repeated");
    let safe = [greedy.as_slice(), &[("idempotency-key", "1")]].concat();
    assert_eq!(ask(&envoy, &post("/", &safe, b"{}")).status, 503);
    assert_eq!(upstream.seen().len(), 53);
}

#[test]
fn retries_of_envoy_that_race_become_a_debt_that_is_paid_before_anything_else() {
    let configuration = json!({
        "ttl": "60s", "ratio": 0.1, "min_retries_per_second": 0,
        "upstream": { "retry_on": "5xx", "max_retries": 1 },
    });
    let upstream = failing(503, &[]);
    let envoy = Envoy::with(retry_budget(&configuration).to(upstream.port())).start();
    race(envoy.front(), CONNECTIONS, 3_000, |_| attempt("k", "0"));
    let retries = upstream.seen().len() - 3_000;
    assert_eq!(envoy.counter("retry_budget.upstream_retries"), u64::try_from(retries).expect("small"));
    assert!((300..=300 + CONNECTIONS).contains(&retries), "{retries} retries");
    assert_eq!(ask(&envoy, &attempt("k", "1")).status, 429);
}

#[test]
fn hostile_bytes_from_either_side_are_answered_and_every_worker_serves_on() {
    let configuration = json!({ "per": ["client", "cluster"], "upstream": {} });
    let mut bytes: Vec<u8> = b"HTTP/1.1 503 \xff\r\ncontent-length: 0\r\n".to_vec();
    for name in ["retry-after", "retry-after-ms", "x-should-retry"] {
        for value in [b"\xff\xfe".as_slice(), b"", b"9999999999999999999999999", b",,;\t", &[b'1'; 9_000]] {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
    }
    bytes.extend(b"\r\n");
    let upstream = Upstream::answering(move |_| bytes.clone());
    let envoy = Envoy::with(retry_budget(&configuration).to(upstream.port())).workers(2).start();
    let mut answered = 0;
    for request in hostile() {
        answered += usize::from(envoy.connect().exchange(&request).is_ok());
    }
    assert!(answered > 200, "only {answered} of the hostile requests were answered");
    let answer = ask(&envoy, &attempt("k", "0"));
    assert_eq!((answer.status, told(&answer).2), (503, Some("false")));
    envoy.assert_no_vm_restarted();
    assert!(!envoy.log().contains("kkkk"), "a credential is in the log");
}

#[test]
fn retries_of_clients_that_say_nothing_are_known_by_their_bodies() {
    for hold_headers in [true, false] {
        let upstream = failing(503, &[]);
        let configuration = json!({
            "min_retries_per_second": 0, "ratio": 0.5, "upstream": { "methods": ["POST"] },
            "silent_retries": { "window": "60s", "hold_headers": hold_headers },
        });
        let mut filter = module("retry-budget.wasm", "retry-budget", &configuration.to_string());
        filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = hold_headers.into();
        let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).start();
        let headers = [("x-api-key", "k")];
        let status = |body: &[u8]| ask(&envoy, &post("/v1/chat/completions", &headers, body)).status;
        assert_eq!(status(br#"{"model": "m", "prompt": "a"}"#), 503);
        assert_eq!(status(br#"{"prompt":"a","model":"m"}"#), 429);
        assert_eq!(status(br#"{"model": "m", "prompt": "b"}"#), 503);
        assert_eq!(status(br#"{"model": "m", "prompt": "b"}"#), 503, "two first attempts pay for a retry");
        assert_eq!(status(br#"{"model": "m", "prompt": "b"}"#), 429);
        assert_eq!(status(b"no json"), 503);
        assert_eq!(ask(&envoy, &get("/v1/models", &headers)).status, 503);
        assert_eq!(
            (
                envoy.counter("retry_budget.first_attempts"),
                envoy.counter("retry_budget.client_retries.refused")
            ),
            (4, 2)
        );
        let bodies = upstream.seen().iter().filter(|seen| !seen.body.is_empty()).count();
        assert_eq!(bodies, 4, "hold_headers: {hold_headers}");
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn the_sdks_come_back_when_they_are_told_and_stop_when_they_are_told() {
    /// What the server says, how often the SDK asks, and how many seconds it takes at least.
    type Row = (&'static [(&'static str, &'static str)], usize, f64);
    let rows: [Row; 5] = [
        (&[], 3, 0.0),
        (&[("retry-after", "1")], 3, 2.0),
        (&[("retry-after-ms", "300"), ("retry-after", "5")], 3, 0.6),
        (&[("x-should-retry", "false")], 1, 0.0),
        (&[("retry-after", "300")], 1, 0.0),
    ];
    for sdk in sdks() {
        for (headers, attempts, least) in rows {
            let upstream = failing(429, headers);
            let envoy = Envoy::with(retry_budget(&json!({})).to(upstream.port())).workers(2).start();
            let outcome = run(sdk, &envoy, 1);
            let seconds = outcome["seconds"].as_f64().expect("seconds");
            assert_eq!(outcome["calls"], json!(["RateLimitError"]), "{sdk}: {outcome}");
            assert_eq!(upstream.seen().len(), attempts, "{sdk} {headers:?}: {outcome}");
            assert!((least..60.0).contains(&seconds), "{sdk} {headers:?}: {outcome}");
            assert_eq!(
                envoy.counter("retry_budget.first_attempts"),
                1,
                "{sdk} does not say which attempt it makes"
            );
        }
    }
}

#[test]
fn an_sdk_whose_retry_is_beyond_the_budget_stops_with_our_words() {
    for sdk in sdks() {
        let upstream = failing(500, &[]);
        let scarce = retry_budget(&json!({ "min_retries_per_second": 0, "hints": { "base": "100ms" } }));
        let envoy = Envoy::with(scarce.to(upstream.port())).workers(2).start();
        let outcome = run(sdk, &envoy, 1);
        assert_eq!(outcome["calls"], json!(["RateLimitError"]), "{sdk}: {outcome}");
        assert_eq!(outcome["messages"][0]["code"], "retry_budget_exhausted", "{sdk}: {outcome}");
        assert_eq!(
            (upstream.seen().len(), envoy.counter("retry_budget.client_retries.refused")),
            (1, 1),
            "{sdk}"
        );
    }
}
