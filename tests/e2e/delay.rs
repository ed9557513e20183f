//! `exceed: {delay: …}`: held requests go in order, each when its token is there; none leaks.

use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Connection, get, post};
use tidegate_tests::http2;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, wait_for};

fn delaying(rate: &str, burst: u32, delay: &str, max_held: u32) -> Value {
    rate_limit(&json!({ "max_held": max_held, "limits": [{
        "name": "smooth", "per": [], "requests": { "rate": rate, "burst": burst }, "exceed": { "delay": delay },
    }]}))
}

fn with_stop_iteration(mut filter: Value) -> Value {
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = json!(true);
    filter
}

#[test]
fn held_requests_reach_the_upstream_in_order_and_on_time() {
    for stop_iteration in [false, true] {
        let upstream = Upstream::start();
        let filter = delaying("5/s", 1, "10s", 1_024);
        let filter = if stop_iteration { with_stop_iteration(filter) } else { filter };
        let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).start();
        let mut connections: Vec<Connection> = (0..30).map(|_| envoy.connect()).collect();
        let begun = Instant::now();
        for (n, connection) in connections.iter_mut().enumerate() {
            let path = format!("/{n}");
            let request = if n % 2 == 0 { get(&path, &[]) } else { post(&path, &[], &vec![b'x'; 10_000]) };
            connection.send(&request).expect("sent");
            let decided = n as u64 + 1;
            wait_for("the request's decision", PATIENCE, || {
                let reached = n > 0 || !upstream.seen().is_empty();
                (reached && envoy.counter("rate_limit.admitted") == decided).then_some(())
            });
        }
        for connection in &mut connections {
            assert_eq!(connection.receive().expect("an answer").status, 200);
        }
        let seen = upstream.seen();
        let order: Vec<String> = seen.iter().map(|seen| seen.target.clone()).collect();
        assert_eq!(order, (0..30).map(|n| format!("/{n}")).collect::<Vec<_>>());
        assert!(
            seen.iter().enumerate().all(|(n, seen)| seen.body.len() == if n % 2 == 0 { 0 } else { 10_000 })
        );
        for (before, seen) in (0..).zip(&seen) {
            let time = seen.at - begun;
            let due = Duration::from_millis(200) * before;
            assert!(
                time + Duration::from_millis(1) >= due,
                "{before} before it at 5/s, but it came after {time:?}"
            );
        }
        assert!(envoy.counter("rate_limit.delayed") >= 20);
        assert_eq!(envoy.counter("rate_limit.throttled"), 0);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_held_request_whose_body_ends_with_trailers_is_let_go_whole_and_not_before() {
    for stop_iteration in [false, true] {
        let upstream = Upstream::start();
        let filter = delaying("20/min", 1, "10s", 16);
        let filter = if stop_iteration { with_stop_iteration(filter) } else { filter };
        let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start();
        let begun = Instant::now();
        for _ in 0..2 {
            let fields = http2::post(b"/v1/chat");
            let answer = http2::exchange_with_trailers(envoy.front(), &fields, b"hello", &[(b"x-sum", b"1")]);
            assert_eq!(answer.expect("an answer").status, 200);
        }
        assert!(begun.elapsed() >= Duration::from_millis(2_990), "both went on after {:?}", begun.elapsed());
        assert!(upstream.seen().iter().all(|seen| seen.body == b"hello"));
        assert_eq!((upstream.seen().len(), envoy.counter("rate_limit.delayed")), (2, 1));
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn no_request_waits_longer_than_the_delay_nor_are_more_held_than_allowed() {
    let envoy = Envoy::with(Listener::new([delaying("10/s", 1, "1s", 1_024)])).workers(2).start();
    let start = Instant::now();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || envoy.connect().exchange(&get("/", &[])).expect("an answer").status;
        let threads: Vec<_> = (0..40).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let took = start.elapsed();
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    // Whoever comes within `took` is admitted if its token is there a second later.
    let most = 12 + usize::try_from(took.as_millis() / 100).expect("small");
    assert!((11..=most).contains(&admitted), "one at once and ten a second: {admitted} within {took:?}");
    let delayed = envoy.counter("rate_limit.delayed");
    assert_eq!(
        (envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.throttled")),
        (admitted as u64, 40 - admitted as u64)
    );
    assert!(delayed >= 9, "{delayed} delayed");

    let few = Envoy::with(Listener::new([delaying("4/min", 1, "60s", 3)])).workers(1).start();
    let mut connections: Vec<Connection> = (0..10).map(|_| few.connect()).collect();
    connections.iter_mut().for_each(|connection| connection.send(&get("/", &[])).expect("sent"));
    wait_for("the refusals", PATIENCE, || (few.counter("rate_limit.throttled") == 6).then_some(()));
    assert_eq!((few.counter("rate_limit.admitted"), few.counter("rate_limit.delayed")), (4, 3));
}

#[test]
fn a_client_that_leaves_while_held_frees_its_place_and_reaches_no_upstream() {
    let upstream = Upstream::start();
    let filter = delaying("1/s", 1, "60s", 4);
    let envoy = Envoy::with(Listener::new([filter]).to(upstream.port())).workers(1).start();
    for round in 1..=10 {
        let mut connections: Vec<Connection> = (0..4).map(|_| envoy.connect()).collect();
        connections.iter_mut().for_each(|connection| connection.send(&get("/gone", &[])).expect("sent"));
        wait_for("four more decisions", PATIENCE, || {
            (envoy.counter("rate_limit.admitted") + envoy.counter("rate_limit.throttled") == round * 4)
                .then_some(())
        });
        drop(connections);
        wait_for("Envoy to notice", PATIENCE, || {
            (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
        });
    }
    assert_eq!(envoy.counter("rate_limit.throttled"), 0, "places of clients that left were not freed");
    assert!(upstream.seen().len() <= 2, "requests of clients that left went on: {:?}", upstream.seen());
    envoy.assert_no_vm_restarted();
}
