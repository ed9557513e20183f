//! The wait that a server names is kept, whatever its form, and put on an answer once; its limits are told where they
//! are tighter than ours.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use tidegate_tests::bootstrap::{Listener, chains, module, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, post};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, wait_for};

fn answering(status: u16, headers: &[(&str, String)]) -> Upstream {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = format!("HTTP/1.1 {status} Status\r\n{headers}content-length: 0\r\n\r\n").into_bytes();
    Upstream::answering(move |_| answer.clone())
}

fn start(filters: Vec<Value>, upstream: &Upstream) -> Envoy {
    Envoy::with(Listener::new(filters).to(upstream.port())).workers(2).start()
}

fn ask(envoy: &Envoy, key: &str, attempt: &str) -> Answer {
    let said = [("x-api-key", key), ("x-stainless-retry-count", attempt)];
    envoy.connect().exchange(&post("/v1/chat/completions", &said, b"{}")).expect("an answer")
}

/// The time so many seconds from now.
fn from_now(seconds: i32, format: &str) -> String {
    let when = format!("{seconds} seconds");
    let output = Command::new("date").args(["-u", "-d", &when, format]).env("LC_ALL", "C").output();
    String::from_utf8(output.expect("date runs").stdout).expect("text").trim().to_owned()
}

const HTTP: &str = "+%a, %d %b %Y %H:%M:%S GMT";
const RFC_3339: &str = "+%Y-%m-%dT%H:%M:%SZ";

#[test]
fn a_client_waits_at_least_what_the_server_named_in_whatever_form() {
    let budget = || module("retry-budget.wasm", "retry-budget", "{}");
    let degradation = || module("degradation.wasm", "degradation", "{}");
    // Dates are made when they are sent, and Envoy may take a while.
    type Header = (&'static str, fn() -> String);
    let cases: [&[Header]; 6] = [
        &[("retry-after", || from_now(20, HTTP))],
        &[
            ("date", || "Wed, 21 Oct 2015 07:28:00 GMT".to_owned()),
            ("retry-after", || "Wed, 21 Oct 2015 07:28:20 GMT".to_owned()),
        ],
        &[("anthropic-ratelimit-requests-reset", || from_now(20, RFC_3339))],
        &[("x-ratelimit-reset-requests", || "20s".to_owned())],
        &[("x-ratelimit-remaining", || "0".to_owned()), ("x-ratelimit-reset", || from_now(20, "+%s"))],
        &[("ratelimit", || "\"default\";r=0;t=20".to_owned())],
    ];
    for headers in cases {
        for filter in [budget(), degradation()] {
            let upstream = Upstream::answering(move |_| {
                let text: String =
                    headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value())).collect();
                format!("HTTP/1.1 503 Busy\r\n{text}content-length: 0\r\n\r\n").into_bytes()
            });
            let envoy = start(vec![filter], &upstream);
            let told = ask(&envoy, "k", "0");
            assert!((15_000..=26_000).contains(&told.number("retry-after-ms")), "{told:?}");
            assert_eq!((told.status, told.header("x-should-retry")), (503, None), "{told:?}");
        }
    }
    let upstream = answering(429, &[("retry-after", from_now(600, HTTP))]);
    let told = ask(&start(vec![budget()], &upstream), "k", "0");
    assert!(told.number("retry-after") > 500 && told.header("x-should-retry") == Some("false"), "{told:?}");
    let upstream = answering(429, &[("retry-after", "2 minutes".to_owned())]);
    let told = ask(&start(vec![budget()], &upstream), "k", "0");
    assert_eq!((told.header("retry-after"), told.header("retry-after-ms")), (Some("2 minutes"), None));
}

fn forced(force: bool) -> Value {
    json!({
        "hints": { "base": "1ms", "max": "60s" },
        "tiers": { "default": { "status": 503, "message": "Busy.", "force": force } },
    })
}

#[test]
fn one_wait_is_put_on_an_answer_once() {
    // A budget would put a second more on each.
    let budget = json!({ "min_retries_per_second": 1, "hints": { "base": "1ms" } });
    let upstream = answering(200, &[]);
    for filters in chains(&[("retry-budget", budget), ("degradation", forced(true))]) {
        let envoy = start(filters, &upstream);
        for n in 0..5 {
            let told = ask(&envoy, &format!("k{n}"), "0");
            assert_eq!((told.status, told.header("x-should-retry")), (503, None), "{told:?}");
            assert!(told.number("retry-after-ms") < 1_000, "{told:?}");
        }
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn whom_degradation_told_to_come_back_may_once_it_is_over() {
    let none =
        || ("retry-budget", json!({ "per": ["client", "cluster"], "ratio": 0, "min_retries_per_second": 0 }));
    let upstream = answering(200, &[]);
    let busy = chains(&[none(), ("degradation", forced(true))]);
    let well = chains(&[none(), ("degradation", forced(false))]);
    for (busy, well) in busy.into_iter().zip(well) {
        upstream.forget();
        let envoy = start(busy, &upstream);
        for (attempt, times) in [("0", 4), ("1", 4), ("2", 4)] {
            let refused = (0..times).map(|_| ask(&envoy, "k", attempt).status);
            assert_eq!(refused.collect::<Vec<_>>(), [503; 4], "attempt {attempt}");
        }
        envoy.reload(&Listener::new(well).to(upstream.port()));
        wait_for("the end of it", PATIENCE, || (ask(&envoy, "other", "0").status == 200).then_some(()));
        let mut counts = BTreeMap::new();
        (0..9).for_each(|_| *counts.entry(ask(&envoy, "k", "2").status).or_insert(0) += 1);
        assert_eq!(counts, BTreeMap::from([(200, 4), (429, 5)]));
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn the_limit_with_the_least_left_is_told_be_it_ours_or_the_servers() {
    let limits = json!({ "limits": [
        { "name": "all", "per": [], "requests": { "rate": "1/min", "burst": 20 } },
    ]});
    let of = |remaining: &str, reset: &str| {
        let theirs = [("limit", "50"), ("remaining", remaining), ("reset", reset)]
            .map(|(what, value)| (format!("x-ratelimit-{what}-requests"), value.to_owned()));
        let upstream = answering(200, &theirs.each_ref().map(|(name, value)| (name.as_str(), value.clone())));
        let told = ask(&start(vec![rate_limit(&limits)], &upstream), "k", "0");
        assert_eq!(told.headers.iter().filter(|(name, _)| name.ends_with("remaining-requests")).count(), 1);
        ["limit", "remaining", "reset"]
            .map(|what| told.header(&format!("x-ratelimit-{what}-requests")).map(str::to_owned))
    };
    let told = |limit: &str, remaining: &str, reset: &str| {
        [limit, remaining, reset].map(|value| Some(value.to_owned()))
    };
    assert_eq!(of("3", "9s"), told("50", "3", "9s"));
    assert_eq!(of("19", "2m30s"), told("50", "19", "2m30s"), "as many are left, and for longer");
    assert_eq!(of("19", "9s"), told("20", "19", "1m0s"));
    assert_eq!(of("49", "1h0m0s"), told("20", "19", "1m0s"));
    assert_eq!(of("many", "9s"), told("20", "19", "1m0s"));
}
