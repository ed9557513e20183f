//! The breaker: exact on all workers, and quick to notice that the cluster is back.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use tidegate_tests::upstream::Gate;

fn breaker() -> Value {
    json!({ "window": "5s", "min_requests": 10, "error_ratio": 0.5, "open_for": "1s", "max_open_for": "2s", "probes": 2 })
}

fn open(envoy: &Envoy) {
    wait_for("the breaker to open", PATIENCE, || {
        ask(envoy, "anything");
        (envoy.counter("degradation.breaker_state") == 1).then_some(())
    });
}

#[test]
fn while_it_is_open_nothing_reaches_the_cluster_and_then_as_many_probes_as_are_configured() {
    let upstream = Upstream::scripted(|_| failing());
    let mut breaker = breaker();
    (breaker["open_for"], breaker["max_open_for"]) = (json!("5s"), json!("5s"));
    let envoy =
        start(json!({ "breaker": breaker, "tiers": { "default": { "message": "Busy." } } }), &upstream);
    let first = ask(&envoy, "first");
    assert_eq!((first.status, degraded(&first)), (503, Some("default")));
    assert_eq!(first.json()["error"]["message"], "Busy.");
    assert!(first.number("retry-after-ms") >= 1 && first.number("retry-after") >= 1);
    open(&envoy);
    let opened = Instant::now();
    wait_until_noticed(&envoy, &upstream);
    let reached = upstream.seen().len();
    assert!((10..50).contains(&reached), "{reached} reached the cluster");
    while opened.elapsed() < Duration::from_secs(2) {
        let refused = ask(&envoy, "while it is open");
        assert_eq!((refused.status, degraded(&refused)), (503, Some("default")));
        assert!((1..=11_000).contains(&refused.number("retry-after-ms")));
    }
    assert_eq!(upstream.seen().len(), reached);

    let gate = Gate::default();
    let held = gate.clone();
    upstream.follow(move |_| [vec![Step::Until(held.clone())], said("back")].concat());
    let go_on = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while go_on.load(Ordering::Relaxed) {
                    ask(&envoy, "is it back");
                }
            });
        }
        wait_for("the probes", PATIENCE, || (upstream.seen().len() == reached + 2).then_some(()));
        // No third one comes, however long the two take.
        thread::sleep(Duration::from_millis(250));
        assert_eq!(upstream.seen().len(), reached + 2, "probes while none has come back");
        assert_eq!(envoy.counter("degradation.probes"), 2);
        gate.open();
        wait_for("the breaker to close", PATIENCE, || {
            (envoy.counter("degradation.breaker_closed") == 1).then_some(())
        });
        go_on.store(false, Ordering::Relaxed);
    });
    assert_eq!(envoy.counter("degradation.breaker_state"), 0);
    assert_eq!((ask(&envoy, "now").status, envoy.counter("degradation.breaker_opened")), (200, 1));
    envoy.assert_no_vm_restarted();
}

#[test]
fn one_probe_that_fails_opens_it_for_twice_as_long() {
    let upstream = Upstream::scripted(|_| failing());
    let envoy = start(json!({ "breaker": breaker() }), &upstream);
    open(&envoy);
    wait_for("another opening", PATIENCE, || {
        ask(&envoy, "again");
        (envoy.counter("degradation.breaker_opened") == 2).then_some(())
    });
    let told = ask(&envoy, "how long").number("retry-after-ms");
    assert!(told > 1_000, "told to come back in {told} ms");
}

#[test]
fn clients_that_leave_and_requests_that_are_wrong_are_no_failures() {
    let upstream = Upstream::scripted(|seen| match seen.target.as_str() {
        "/slow" => [vec![Step::Wait(Duration::from_millis(400))], said("late")].concat(),
        "/wrong" => vec![Step::Send(answer(400, "", b"{}"))],
        "/load" => vec![Step::Send(answer(429, "retry-after: 7\r\n", b"{}"))],
        _ => said("fine"),
    });
    let envoy = start(json!({ "breaker": breaker() }), &upstream);
    for round in 1..=30 {
        let mut connection = envoy.connect();
        connection.send(&post("/slow", &[], &body("x", false))).expect("sent");
        wait_for("it to reach the cluster", PATIENCE, || (upstream.seen().len() == round).then_some(()));
    }
    wait_for("Envoy to notice", PATIENCE, || {
        (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
    });
    for (path, status) in [("/wrong", 400), ("/load", 429)] {
        for _ in 0..30 {
            let answer = ask_as(&envoy, "Bearer sk-1", path, &body("x", false));
            assert_eq!((answer.status, degraded(&answer)), (status, None));
        }
    }
    assert_eq!((envoy.counter("degradation.failures"), envoy.counter("degradation.overloads")), (0, 30));
    assert_eq!((envoy.counter("degradation.breaker_opened"), ask(&envoy, "fine").status), (0, 200));
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_model_that_fails_alone_is_given_up_alone() {
    let upstream = Upstream::scripted(|seen| {
        let sick = seen.body.windows(4).any(|word| word == b"sick");
        if sick { failing() } else { said("fine") }
    });
    let envoy = start(json!({ "breaker": breaker(), "models": ["sick", "well"] }), &upstream);
    let ask = |model: &str| ask_as(&envoy, "k", CHAT, format!("{{\"model\":\"{model}\"}}").as_bytes());
    wait_for("the breaker to open", PATIENCE, || {
        assert_eq!((ask("well").status, ask("another").status), (200, 200));
        ask("sick");
        (envoy.counter("degradation.breaker_opened") == 1).then_some(())
    });
    wait_for("all workers to notice", PATIENCE, || {
        let reached = upstream.seen().len();
        assert!((0..32).all(|_| ask("sick").status != 200));
        (upstream.seen().len() == reached).then_some(())
    });
    let reached = upstream.seen().len();
    assert_eq!((ask("sick").status, ask("well").status, ask("another").status), (503, 200, 200));
    assert_eq!(upstream.seen().len(), reached + 2);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_probe_whose_client_leaves_makes_room_for_another() {
    let upstream = Upstream::scripted(|_| failing());
    let envoy = start(json!({ "breaker": breaker() }), &upstream);
    open(&envoy);
    let reached = upstream.seen().len();
    upstream.follow(|_| [vec![Step::Wait(Duration::from_millis(300))], said("back")].concat());
    for gone in 1..=4 {
        let mut connection = envoy.connect();
        wait_for("a probe", PATIENCE, || {
            connection.send(&post(CHAT, &[], &body("x", false))).expect("sent");
            let probing = || upstream.seen().len() == reached + gone;
            for _ in 0..20 {
                if probing() {
                    return Some(());
                }
                thread::sleep(Duration::from_millis(5));
            }
            connection = envoy.connect();
            probing().then_some(())
        });
    }
    wait_for("the breaker to close", PATIENCE, || {
        ask(&envoy, "x");
        (envoy.counter("degradation.breaker_closed") == 1).then_some(())
    });
    assert_eq!(envoy.counter("degradation.breaker_opened"), 1);
}

#[test]
fn a_cluster_that_is_killed_under_load_and_comes_back_is_noticed_by_nobody_who_asks_again() {
    let upstream = Upstream::scripted(|_| said("the answer"));
    let configuration = json!({
        "timeout": "2s", "breaker": breaker(),
        "tiers": { "cached": { "ttl": "10m" }, "default": { "status": 200, "message": "Busy." } },
    });
    let envoy = start(configuration, &upstream);
    assert_eq!(ask(&envoy, "known").status, 200);
    let (go_on, asked, slowest) = (AtomicBool::new(true), AtomicUsize::new(0), AtomicUsize::new(0));
    let back = thread::scope(|scope| {
        for client in 0..100 {
            let (envoy, go_on, asked, slowest) = (&envoy, &go_on, &asked, &slowest);
            scope.spawn(move || {
                let mut connection = envoy.connect();
                for n in 0.. {
                    if !go_on.load(Ordering::Relaxed) {
                        return;
                    }
                    let known = n % 2 == 0;
                    let text = if known { "known".to_owned() } else { format!("{client} {n}") };
                    let request = post(CHAT, &[("authorization", "Bearer sk-1")], &body(&text, false));
                    let begun = Instant::now();
                    let answer = connection.exchange(&request).expect("an answer");
                    slowest.fetch_max(begun.elapsed().as_millis() as usize, Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed);
                    let said = answer.json()["choices"][0]["message"]["content"].clone();
                    let expected = if degraded(&answer) == Some("default") { "Busy." } else { "the answer" };
                    assert_eq!((answer.status, said), (200, json!(expected)), "{answer:?}");
                    assert!(!known || expected == "the answer", "a known question got {answer:?}");
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
        wait_for("load", PATIENCE, || (asked.load(Ordering::Relaxed) > 500).then_some(()));
        upstream.cut();
        wait_for("the breaker to open", PATIENCE, || {
            (envoy.counter("degradation.breaker_opened") > 0).then_some(())
        });
        thread::sleep(Duration::from_secs(3));
        let restarted = Instant::now();
        upstream.restart();
        wait_for("the breaker to close", PATIENCE, || {
            (envoy.counter("degradation.breaker_closed") > 0).then_some(())
        });
        let back = restarted.elapsed();
        go_on.store(false, Ordering::Relaxed);
        back
    });
    // Open for at most 2 s, and answered within 2 s; the rest is for a machine that has much else to do.
    assert!(back < Duration::from_secs(15), "closed {back:?} after the restart");
    assert!(slowest.load(Ordering::Relaxed) < 15_000, "somebody waited {slowest:?} ms");
    assert_eq!((ask(&envoy, "new").status, envoy.counter("degradation.breaker_state")), (200, 0));
    envoy.assert_no_vm_restarted();
}
