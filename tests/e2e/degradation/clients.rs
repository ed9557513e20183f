//! One client's trouble is one client's; a cluster that fails for all is noticed as fast as ever.

use super::*;
use tidegate_tests::wait_for;

/// As a client of this address, which the one trusted proxy before Envoy tells.
fn ask_from(envoy: &Envoy, address: &str, key: &str, text: &str) -> Answer {
    let headers = [("authorization", key), ("x-forwarded-for", address)];
    envoy.connect().exchange(&post(CHAT, &headers, &body(text, false))).expect("an answer")
}

fn configuration() -> Value {
    json!({
        "address": { "trusted_hops": 2 },
        "breaker": { "window": "10s", "min_requests": 20, "error_ratio": 0.5, "open_for": "60s" },
        "tiers": { "reduce": { "at": { "error_ratio": 0.05, "overload_ratio": 0.2 }, "clamp_completion_tokens": 8 } },
    })
}

fn poisoned() -> Upstream {
    Upstream::scripted(|seen| match seen.header("authorization") {
        Some(key) if key.contains("poison") => failing(),
        Some(key) if key.contains("greedy") => vec![Step::Send(answer(429, "", b"{}"))],
        _ => said("fine"),
    })
}

/// What nine honest clients got beside attackers: how many answers were not as asked for.
fn harmed(attack: impl Fn(usize) -> (String, String), from_one_address: bool) -> usize {
    let upstream = poisoned();
    let envoy = start(configuration(), &upstream);
    let mut harmed = 0;
    for n in 0..180 {
        let (address, key) = attack(n);
        ask_from(&envoy, &address, &key, "x");
        let address = if from_one_address { "10.0.0.1".to_owned() } else { format!("10.0.0.{}", n % 9) };
        let honest = ask_from(&envoy, &address, &format!("Bearer sk-{}", n % 9), "x");
        harmed += usize::from(honest.status != 200 || degraded(&honest).is_some());
    }
    assert_eq!(envoy.counter("degradation.breaker_opened"), 0);
    envoy.assert_no_vm_restarted();
    harmed
}

#[test]
fn one_client_whose_requests_fail_makes_no_honest_answer_smaller() {
    let attacker = |_| ("10.9.9.9".to_owned(), "Bearer poison".to_owned());
    assert_eq!(harmed(attacker, false), 0);
}

#[test]
fn one_key_of_an_address_that_many_share_makes_no_honest_answer_smaller() {
    assert_eq!(harmed(|_| ("10.0.0.1".to_owned(), "Bearer poison".to_owned()), true), 0);
}

#[test]
fn made_up_keys_of_one_address_are_one_client() {
    assert_eq!(harmed(|n| ("10.9.9.9".to_owned(), format!("Bearer poison-{n}")), false), 0);
}

#[test]
fn a_servers_429_to_one_client_is_not_the_clusters_overload() {
    let attacker = |_| ("10.9.9.9".to_owned(), "Bearer greedy".to_owned());
    assert_eq!(harmed(attacker, false), 0);
}

#[test]
fn a_cluster_that_fails_for_all_is_given_up_after_as_many_requests_however_many_clients_there_are() {
    for clients in [1, 2, 7, 20] {
        let upstream = Upstream::scripted(|_| failing());
        let envoy = start(configuration(), &upstream);
        for n in 0..30 {
            let client = n % clients;
            ask_from(&envoy, &format!("10.0.0.{client}"), &format!("Bearer sk-{client}"), "x");
        }
        wait_for("what was seen", PATIENCE, || {
            (envoy.counter("degradation.breaker_opened") == 1).then_some(())
        });
        let reached = upstream.seen().len();
        assert!((20..=21).contains(&reached), "{reached} requests of {clients} clients");
    }
}
