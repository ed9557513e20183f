//! A table full of throttled clients, and a limit on all that others' junk is charged to.

use serde_json::json;
use tidegate_tests::bootstrap::{Listener, chains, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};
use tidegate_tests::load::race;
use tidegate_tests::upstream::Upstream;

const MADE_UP: usize = 4_000;
const SETS: usize = 71;

#[test]
fn newcomers_of_a_full_table_share_buckets_and_those_who_were_there_keep_theirs() {
    let upstream = Upstream::start();
    let limit = json!({ "name": "l", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } });
    let filter = rate_limit(&json!({ "memory": "32KiB", "limits": [limit] }));
    let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start();
    let known = get("/v1/models", &[("x-api-key", "known")]);
    assert_eq!(envoy.connect().exchange(&known).expect("an answer").status, 200);
    let answers =
        race(envoy.front(), 8, MADE_UP, |n| get("/v1/models", &[("x-api-key", &format!("made-up-{n}"))]));
    let of = |status| answers.get(&status).copied().unwrap_or_default();
    assert_eq!(of(200) + of(429), MADE_UP, "nobody is locked out without an answer to when");
    assert!((SETS * 14 - 1..=SETS * 15).contains(&of(200)), "{} admitted", of(200));
    assert!(envoy.counter("rate_limit.overflowed") > 0);
    assert_eq!(envoy.counter("rate_limit.saturated"), 0);
    assert_eq!(envoy.connect().exchange(&known).expect("an answer").status, 429, "it is remembered");
    envoy.assert_no_vm_restarted();
}

#[test]
fn what_a_later_filter_refuses_is_not_charged_to_a_limit_on_all() {
    let all = json!({ "name": "all", "per": [], "requests": { "rate": "1/h", "burst": 3 } });
    for mut filters in chains(&[
        ("rate-limit", json!({ "limits": [all] })),
        ("input-limit", json!({ "hold_headers": true })),
    ]) {
        for filter in &mut filters {
            filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
        }
        let upstream = Upstream::start();
        let envoy = Envoy::with(Listener::new(filters).to(upstream.port())).workers(2).start();
        let ask = |body: &[u8]| {
            let request = post("/v1/chat/completions", &[("content-type", "application/json")], body);
            envoy.connect().exchange(&request).expect("an answer").status
        };
        assert_eq!([(); 8].map(|()| ask(b"{")), [400; 8]);
        assert_eq!([(); 4].map(|()| ask(b"{}")), [200, 200, 200, 429]);
        assert_eq!(upstream.seen().len(), 3);
        envoy.assert_no_vm_restarted();
    }
}
