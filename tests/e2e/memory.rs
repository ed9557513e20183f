//! What clients send decides neither how much memory the proxy takes nor what it forgets.

use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::get;
use tidegate_tests::load::race;

const MIB: u64 = 1 << 20;

#[test]
fn a_million_credentials_take_the_table_and_no_more_and_a_throttled_client_stays_throttled() {
    let limit = json!({ "name": "per-client", "per": ["client"], "requests": { "rate": "1/h", "burst": 5 } });
    let envoy =
        Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit], "memory": "16MiB" }))])).start();
    let ask = |client: &str| {
        let authorization = format!("Bearer {client}");
        envoy.connect().exchange(&get("/", &[("authorization", &authorization)])).expect("an answer").status
    };
    let victim: Vec<u16> = (0..6).map(|_| ask("sk-throttled")).collect();
    assert_eq!(victim, [200, 200, 200, 200, 200, 429]);

    race(envoy.front(), 64, 100_000, |_| get("/", &[("authorization", "Bearer sk-throttled")]));
    let before = envoy.resident();
    let (flood, asked) = (1_000_000, AtomicUsize::new(0));
    let counts = race(envoy.front(), 64, flood, |n| {
        if n % 100_000 == 99_999 {
            assert_eq!(ask("sk-throttled"), 429, "forgotten after {n} other clients");
            asked.fetch_add(1, Ordering::Relaxed);
        }
        get("/", &[("authorization", &format!("Bearer sk-flood-{n}"))])
    });
    let grown = envoy.resident().saturating_sub(before);
    assert_eq!(asked.load(Ordering::Relaxed), 10);
    assert_eq!(counts.get(&200), Some(&flood), "{counts:?}");
    assert!(grown <= 16 * MIB + 8 * MIB, "resident memory grew by {grown} bytes");
    assert!(envoy.counter("rate_limit.evicted") > 0, "the table was never full, so this test proved nothing");
    assert_eq!(ask("sk-throttled"), 429);
    envoy.assert_no_vm_restarted();
}
