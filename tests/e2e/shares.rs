//! The retry budget of a cluster is not one client's: one that only claims to retry takes nothing from those who do.

use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Connection, get};
use tidegate_tests::polite;
use tidegate_tests::upstream::{Seen, Upstream};

const CALLS: usize = 240;
const CLIENTS: usize = 20;
const EVERY: Duration = Duration::from_millis(50);

/// Three in ten of what honest clients ask fail, the same ones in each run.
fn unreliable(seen: &Seen) -> Vec<u8> {
    let number = |name| seen.header(name).and_then(|value| value.parse().ok()).unwrap_or(0_u64);
    let mixed =
        (number("x-call") * 3 + number("x-stainless-retry-count") + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let fails = seen.header("x-call").is_some() && (mixed >> 40) % 10 < 3;
    let status = if fails { "503 Busy" } else { "200 OK" };
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// How many of [`CALLS`] honest calls end well while somebody sends `attack(n)` each `pace`.
fn served(attack: impl Fn(usize) -> (String, &'static str) + Sync, pace: Option<Duration>) -> usize {
    let upstream = Upstream::answering(unreliable);
    let budget = json!({ "per": ["client", "cluster"], "ratio": 0.2 });
    let filter = module("retry-budget.wasm", "retry-budget", &budget.to_string());
    let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start();
    let (over, good) = (AtomicBool::new(false), AtomicUsize::new(0));
    let honest = |call: usize| {
        let (key, number) = (format!("honest-{}", call % CLIENTS), call.to_string());
        let request = |attempt: u16| {
            let attempt = attempt.to_string();
            let said =
                [("x-api-key", key.as_str()), ("x-call", &number), ("x-stainless-retry-count", &attempt)];
            get("/v1/models", &said)
        };
        if polite::call(envoy.front(), request).status == 200 {
            good.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let (Some(pace), begin) = (pace, Instant::now()) else { return };
            let mut connection = Connection::open(envoy.front());
            for n in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let (key, attempt) = attack(n);
                let said = [("x-api-key", key.as_str()), ("x-stainless-retry-count", attempt)];
                connection.exchange(&get("/v1/models", &said)).expect("an answer");
                let due = pace * u32::try_from(n).expect("small");
                thread::sleep(due.saturating_sub(begin.elapsed()));
            }
        });
        let begin = Instant::now();
        thread::scope(|scope| {
            for call in 0..CALLS {
                let due = EVERY * u32::try_from(call).expect("small");
                thread::sleep(due.saturating_sub(begin.elapsed()));
                scope.spawn(move || honest(call));
            }
        });
        over.store(true, Ordering::Relaxed);
    });
    envoy.assert_no_vm_restarted();
    good.into_inner()
}

#[test]
fn honest_clients_of_a_failing_cluster_are_served_whatever_others_claim() {
    let most = CALLS * 95 / 100;
    let alone = served(|_| unreachable!(), None);
    assert!(alone >= most, "{alone} of {CALLS}");

    let tenth = Duration::from_millis(100);
    let one_key = served(|_| ("liar".to_owned(), "1"), Some(tenth));
    let paying = served(|n| ("liar".to_owned(), if n % 10 == 0 { "0" } else { "1" }), Some(tenth));
    let names = served(|n| (format!("liar-{n}"), "1"), Some(Duration::from_millis(20)));
    assert!(one_key >= most && names >= most, "{one_key}, {names}");
    assert!(paying >= CALLS * 85 / 100, "it draws more than its share: {paying} of {CALLS}");
}
