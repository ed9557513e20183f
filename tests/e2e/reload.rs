//! A limit is changed under load: nothing fails, the state is kept, the new limit holds.

use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Connection, get};
use tidegate_tests::{PATIENCE, wait_for};

fn listener(burst: u32) -> Listener {
    let per_client =
        json!({ "name": "per-client", "per": ["client"], "requests": { "rate": "1/h", "burst": burst } });
    let all = json!({ "name": "all", "per": [], "requests": { "rate": "100000/s", "burst": 100_000 } });
    Listener::new([rate_limit(&json!({ "limits": [per_client, all] }))])
}

/// Ends the load when the test has seen enough, or has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_limit_changed_under_load_fails_no_request_keeps_its_state_and_holds() {
    let envoy = Envoy::with(listener(10)).start();
    let ask =
        |client: &str| envoy.connect().exchange(&get("/", &[("x-api-key", client)])).expect("an answer");
    assert_eq!((0..4).map(|_| ask("a").status).collect::<Vec<_>>(), [200; 4]);

    let (go, served) = (AtomicBool::new(true), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stop = Stop(&go);
        for client in 0..16 {
            let (envoy, go, served) = (&envoy, &go, &served);
            scope.spawn(move || {
                let mut connection = envoy.connect();
                let mut number = 0;
                while go.load(Ordering::Relaxed) {
                    number += 1;
                    let key = format!("{client}-{number}");
                    let answer =
                        connection.exchange(&get("/", &[("x-api-key", &key)])).expect("no request fails");
                    assert_eq!(answer.status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                    if answer.closes() {
                        connection = Connection::open(envoy.front());
                    }
                }
            });
        }
        for (update, burst) in [5, 20, 6].into_iter().enumerate() {
            envoy.reload(&listener(burst));
            wait_for("the new limit", PATIENCE, || {
                let probe = format!("probe-{update}-{}", served.load(Ordering::Relaxed));
                (ask(&probe).number("x-ratelimit-limit-requests") == u64::from(burst)).then_some(())
            });
            let at_least = served.load(Ordering::Relaxed) + 2_000;
            wait_for("more requests", PATIENCE, || {
                (served.load(Ordering::Relaxed) >= at_least).then_some(())
            });
        }
    });

    assert_eq!(ask("a").number("x-ratelimit-remaining-requests"), 1, "six, of which four were spent before");
    assert_eq!([ask("a").status, ask("a").status], [200, 429]);
    assert_eq!(envoy.stat("listener_manager.lds.update_rejected"), 0);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_limit_that_is_raised_admits_a_client_that_had_spent_the_old_one() {
    let with = |rate: &str, burst: u32| {
        let limit = json!({ "name": "a", "per": ["client"], "requests": { "rate": rate, "burst": burst } });
        Listener::new([rate_limit(&json!({ "limits": [limit] }))])
    };
    let envoy = Envoy::with(with("1/min", 60)).workers(2).start();
    let ask = || envoy.connect().exchange(&get("/", &[("x-api-key", "a")])).expect("an answer");
    let statuses: Vec<u16> = (0..61).map(|_| ask().status).collect();
    assert_eq!((statuses[59], statuses[60]), (200, 429));
    envoy.reload(&with("10/s", 20));
    wait_for("the new limit to admit", PATIENCE, || (ask().status == 200).then_some(()));
}
