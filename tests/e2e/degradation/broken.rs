//! Answers that break after they have begun: the cluster's failure, if it was the cluster that ended them.

use super::*;
use tidegate_tests::wait_for;

const NEVER: u64 = 1_000_000;

fn counting(min_requests: u64, error_ratio: f64) -> Value {
    json!({ "timeout": "2s", "breaker": { "min_requests": min_requests, "error_ratio": error_ratio } })
}

fn truncated() -> Vec<Step> {
    let mut whole = answer(200, "content-type: application/json\r\n", b"{\"choices\":[]}");
    whole.pop();
    vec![Step::Send(whole), Step::Wait(Duration::from_millis(50)), Step::Close]
}

fn in_chunks(status: u16, steps: Vec<Step>) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    [vec![Step::Send(head.into_bytes()), event("{")], steps].concat()
}

fn pause() -> Step {
    Step::Wait(Duration::from_millis(50))
}

#[test]
fn an_answer_that_the_cluster_breaks_off_is_a_failure_wherever_it_breaks() {
    let breaking: [(&str, bool, Vec<Step>); 6] = [
        ("after content", true, vec![streaming(), role(), content("a"), pause(), Step::Close]),
        ("after its reason to end", true, vec![streaming(), content("a"), stop(), pause(), Step::Close]),
        ("before content", true, vec![streaming(), role(), pause(), Step::Close]),
        ("in a document", false, truncated()),
        ("between chunks", false, in_chunks(200, vec![pause(), Step::Close])),
        ("in a refusal", false, in_chunks(400, vec![pause(), Step::Close])),
    ];
    for hold in [true, false] {
        let upstream = Upstream::start();
        let mut configuration = counting(NEVER, 0.5);
        configuration["hold_headers"] = json!(hold);
        let envoy = start(configuration, &upstream);
        for (round, (what, stream, steps)) in breaking.clone().into_iter().enumerate() {
            upstream.follow(move |_| steps.clone());
            let broken = envoy.connect().exchange(&post(CHAT, &[], &body("x", stream)));
            match broken {
                Ok(own) => assert_eq!((own.status, what, hold), (502, "before content", true), "{own:?}"),
                Err(_) => assert!(what != "before content" || !hold),
            }
            let expected = round as u64 + 1;
            wait_for("Envoy to be done", PATIENCE, || {
                (envoy.counter("degradation.failures") >= expected).then_some(())
            });
            assert_eq!(envoy.counter("degradation.failures"), expected, "hold {hold}, {what}");
        }
        upstream.follow(|_| in_chunks(200, vec![pause(), event("}"), end()]));
        assert_eq!(ask(&envoy, "whole").status, 200);
        upstream.follow(|_| vec![streaming(), content("a"), pause(), stop(), done(), end()]);
        assert_eq!(ask_as(&envoy, "k", CHAT, &body("whole", true)).status, 200);
        assert_eq!(envoy.counter("degradation.failures"), breaking.len() as u64);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_client_that_leaves_an_answer_in_the_middle_is_no_failure() {
    let endless = |steps: Vec<Step>| [steps, vec![Step::Wait(Duration::from_secs(2)), end()]].concat();
    let leaving: [(bool, Vec<Step>); 3] = [
        (true, endless(vec![streaming(), content("a")])),
        (true, endless(vec![streaming(), role()])),
        (false, endless(in_chunks(200, Vec::new()))),
    ];
    let upstream = Upstream::start();
    let envoy = start(counting(NEVER, 0.5), &upstream);
    for (stream, steps) in leaving {
        upstream.follow(move |_| steps.clone());
        let received = || envoy.stat("cluster.upstream.upstream_cx_rx_bytes_total");
        let before = received();
        let mut connection = envoy.connect();
        connection.send(&post(CHAT, &[], &body("x", stream))).expect("sent");
        wait_for("its answer to begin", PATIENCE, || (received() > before).then_some(()));
        drop(connection);
        wait_for("Envoy to notice", PATIENCE, || {
            (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
        });
    }
    assert_eq!((envoy.counter("degradation.failures"), envoy.counter("degradation.admitted")), (0, 3));
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_cluster_that_breaks_all_its_streams_has_failed_them_all_and_not_half_of_them() {
    let upstream = Upstream::scripted(|_| vec![streaming(), content("a"), pause(), Step::Close]);
    let envoy = start(counting(5, 1.0), &upstream);
    for _ in 0..5 {
        assert!(envoy.connect().exchange(&post(CHAT, &[], &body("x", true))).is_err());
    }
    assert_eq!(ask(&envoy, "x").json()["error"]["code"], "cluster_unavailable");
    assert_eq!((envoy.counter("degradation.failures"), envoy.counter("degradation.breaker_opened")), (5, 1));
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_gigantic_answer_passes_and_a_stream_that_only_comments_is_not_held_without_end() {
    let upstream = Upstream::start();
    let mut configuration = counting(NEVER, 0.5);
    configuration["tiers"] = json!({ "cached": {} });
    let envoy = start(configuration, &upstream);
    let text = "y".repeat(32 << 20);
    let whole = answer(200, "content-type: application/json\r\n", format!("{{\"x\":\"{text}\"}}").as_bytes());
    upstream.follow(move |_| vec![Step::Send(whole.clone())]);
    let gigantic = ask(&envoy, "x");
    assert_eq!((gigantic.status, gigantic.body.len()), (200, (32 << 20) + 8));
    assert_eq!((envoy.counter("degradation.kept"), envoy.counter("degradation.failures")), (0, 0));

    let comment = event(&format!(": {}", "y".repeat(64 << 10)));
    let nothing =
        [vec![streaming()], vec![comment; 64], vec![content("late"), stop(), done(), end()]].concat();
    upstream.follow(move |_| nothing.clone());
    let long = ask_as(&envoy, "k", CHAT, &body("x", true));
    assert_eq!((long.status, envoy.counter("degradation.failures")), (200, 0));
    assert!(long.body.len() > 64 << 16 && long.body.ends_with(b"data: [DONE]\n\n"));
    envoy.assert_no_vm_restarted();
}
