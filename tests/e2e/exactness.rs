//! A bucket admits what it holds, whoever races for it: four workers, 64 connections.

use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::get;
use tidegate_tests::load::{flood, race};

const CONNECTIONS: usize = 64;

#[test]
fn a_bucket_of_n_admits_n_of_20000_racing_requests_on_50_fresh_keys_in_a_row() {
    const BURST: usize = 100;
    const REQUESTS: usize = 20_000;
    let limit =
        json!({ "name": "per-client", "per": ["client"], "requests": { "rate": "10/d", "burst": BURST } });
    let envoy = Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit] }))])).start();
    for key in 0..50 {
        let authorization = format!("Bearer sk-{key}");
        let request = get("/v1/chat/completions", &[("authorization", &authorization)]);
        let counts = race(envoy.front(), CONNECTIONS, REQUESTS, |_| request.clone());
        assert_eq!(counts, BTreeMap::from([(200, BURST), (429, REQUESTS - BURST)]), "key {key}");
    }
    assert_eq!(envoy.counter("rate_limit.contended"), 0);
    envoy.assert_no_vm_restarted();
}

#[test]
fn over_ten_seconds_the_rate_is_kept_and_used() {
    const RATE: f64 = 1_000.0;
    // As much as refills while a busy machine lets nobody ask.
    const BURST: f64 = 2_000.0;
    let limit = json!({ "name": "all", "per": [], "requests": { "rate": "1000/s", "burst": 2_000 } });
    let envoy = Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit] }))])).start();
    let start = Instant::now();
    let counts =
        flood(envoy.front(), CONNECTIONS, || start.elapsed() < Duration::from_secs(10), |_| get("/", &[]));
    let most = BURST + RATE * start.elapsed().as_secs_f64() + 1.0;
    let least = 0.99 * (BURST + RATE * 10.0);
    let admitted = counts[&200] as f64;
    assert!(admitted <= most, "admitted {admitted}, at most {most}");
    assert!(admitted >= least, "admitted {admitted}, at least {least}");
}

#[test]
fn two_limits_that_race_admit_what_the_tighter_one_holds_and_charge_nobody_else() {
    let limits = json!({ "limits": [
        { "name": "per-client", "per": ["client"], "requests": { "rate": "10/d", "burst": 200 } },
        { "name": "cluster", "per": [], "requests": { "rate": "10/d", "burst": 300 } },
    ]});
    let envoy = Envoy::with(Listener::new([rate_limit(&limits)])).start();
    let race_as = |client: &str| {
        let authorization = format!("Bearer {client}");
        race(envoy.front(), CONNECTIONS, 10_000, |_| get("/", &[("authorization", &authorization)]))
    };
    assert_eq!(race_as("a")[&200], 200);
    assert_eq!(race_as("b")[&200], 100);
    assert_eq!(race_as("c").get(&200), None);

    let cluster = json!({ "limits": [limits["limits"][0]] });
    envoy.reload(&Listener::new([rate_limit(&cluster)]));
    let answer = || envoy.connect().exchange(&get("/", &[("authorization", "Bearer c")])).expect("an answer");
    tidegate_tests::wait_for("the new configuration", tidegate_tests::PATIENCE, || {
        (answer().status == 200).then_some(())
    });
    let left = answer().number("x-ratelimit-remaining-requests");
    assert!(
        left >= 190,
        "client c was charged by requests that the cluster limit refused: {left} of 200 left"
    );
}
