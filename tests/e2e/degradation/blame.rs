//! Whose fault it is: what a client did wrong, what says nothing, and what is not read count against nobody.

use super::*;
use std::io::Write;
use std::net::TcpStream;
use tidegate_tests::http::{self, Connection};
use tidegate_tests::wait_for;

/// How many failures open the breaker: one more may pass on the other worker, which trusts for 20 ms what it has seen.
const AT_ONCE: std::ops::RangeInclusive<usize> = 10..=11;

fn strict() -> Value {
    json!({ "timeout": "20s", "breaker": { "window": "10s", "min_requests": 10, "error_ratio": 0.3 } })
}

fn each_way(mut configuration: Value, upstream: &Upstream, prove: impl Fn(&Envoy, bool)) {
    for hold in [true, false] {
        configuration["hold_headers"] = json!(hold);
        let envoy = start(configuration.clone(), upstream);
        prove(&envoy, hold);
        envoy.assert_no_vm_restarted();
    }
}

fn stream_of(envoy: &Envoy) -> Answer {
    ask_as(envoy, "Bearer sk-1", CHAT, &body("x", true))
}

fn is_untouched(envoy: &Envoy) {
    let failures = (
        envoy.counter("degradation.failures"),
        envoy.counter("degradation.overloads"),
        envoy.counter("degradation.breaker_opened"),
    );
    assert_eq!(failures, (0, 0, 0));
}

#[test]
fn a_stream_that_is_coded_passes_as_it_is() {
    let bytes = b"\x1f\x8b\x08\x00data: {\"error\":{}}\n\n\xff\xfe";
    let upstream = Upstream::scripted(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
        vec![Step::Send(
            [format!("{head}content-length: {}\r\n\r\n", bytes.len()).as_bytes(), bytes].concat(),
        )]
    });
    each_way(strict(), &upstream, |envoy, _| {
        for _ in 0..25 {
            let answer = stream_of(envoy);
            assert_eq!((answer.status, answer.body.as_slice()), (200, bytes.as_slice()));
        }
        is_untouched(envoy);
    });
}

#[test]
fn a_clients_own_error_within_a_stream_or_a_document_is_its_own_and_in_the_servers_words() {
    let wrong =
        r#"{"error":{"message":"maximum context length is 8192","type":"BadRequestError","code":400}}"#;
    let upstream = Upstream::start();
    each_way(strict(), &upstream, |envoy, _| {
        upstream.follow(move |_| vec![streaming(), role(), event(wrong), done(), end()]);
        for _ in 0..15 {
            let answer = stream_of(envoy);
            assert!(
                answer.status == 200 && answer.body.windows(wrong.len()).any(|part| part == wrong.as_bytes())
            );
        }
        let document =
            || vec![Step::Send(answer(200, "content-type: application/json\r\n", wrong.as_bytes()))];
        upstream.follow(move |_| document());
        for _ in 0..15 {
            assert_eq!(ask(envoy, "x").body, wrong.as_bytes());
        }
        is_untouched(envoy);
    });
}

#[test]
fn an_error_document_of_status_200_is_a_failure_and_is_replaced_where_it_is_held() {
    let failed =
        r#"{"object":"error","message":"CUDA out of memory","type":"InternalServerError","code":500}"#;
    let upstream = Upstream::scripted(move |_| {
        vec![Step::Send(answer(200, "content-type: application/json\r\n", failed.as_bytes()))]
    });
    each_way(strict(), &upstream, |envoy, hold| {
        let answer = ask(envoy, "x");
        assert_eq!(
            (answer.status, degraded(&answer).is_some()),
            if hold { (503, true) } else { (200, false) }
        );
        assert_eq!(envoy.counter("degradation.failures"), 1);
    });
}

#[test]
fn an_error_that_is_none_and_one_that_is_load_are_no_failures() {
    let upstream = Upstream::start();
    each_way(strict(), &upstream, |envoy, _| {
        for none in ["null", "{}", "\"\"", "false"] {
            let chunk = format!("{{\"error\":{none},\"choices\":[{{\"delta\":{{\"content\":\"Hi\"}}}}]}}");
            upstream.follow(move |_| vec![streaming(), event(&chunk), done(), end()]);
            assert_eq!(stream_of(envoy).status, 200, "{none}");
        }
        is_untouched(envoy);
        let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        upstream.follow(move |_| vec![streaming(), content("a"), event(busy), end()]);
        stream_of(envoy);
        upstream.follow(move |_| vec![streaming(), event(busy), end()]);
        assert_eq!(stream_of(envoy).status, 200);
        assert_eq!((envoy.counter("degradation.failures"), envoy.counter("degradation.overloads")), (0, 2));
    });
}

#[test]
fn a_list_of_models_that_is_answered_does_not_hide_that_chats_fail_and_is_not_kept_back() {
    let upstream = Upstream::scripted(|seen| if seen.target == CHAT { failing() } else { said("a model") });
    let envoy = start(strict(), &upstream);
    let models = || envoy.connect().exchange(&http::get("/v1/models", &[])).expect("an answer").status;
    for _ in 0..15 {
        assert_eq!((ask(&envoy, "x").status, models(), models()), (503, 200, 200));
    }
    assert_eq!((envoy.counter("degradation.breaker_opened"), models()), (1, 200));
    let reached = upstream.seen().iter().filter(|seen| seen.target == CHAT).count();
    assert!(AT_ONCE.contains(&reached), "{reached} chats reached a model that fails");
}

#[test]
fn requests_that_are_wrong_do_not_hide_that_the_right_ones_fail() {
    let upstream = Upstream::scripted(|seen| match seen.header("authorization") {
        Some("Bearer sk-1") => failing(),
        _ => vec![Step::Send(answer(401, "", b"{}"))],
    });
    let envoy = start(strict(), &upstream);
    wait_for("the breaker to open", PATIENCE, || {
        for _ in 0..3 {
            assert!(matches!(ask_as(&envoy, "Bearer made-up", CHAT, &body("x", false)).status, 401 | 503));
        }
        ask(&envoy, "x");
        (envoy.counter("degradation.breaker_opened") == 1).then_some(())
    });
    assert!(AT_ONCE.contains(&(envoy.counter("degradation.failures") as usize)));
}

#[test]
fn a_body_that_had_not_ended_when_the_server_hung_up_says_nothing_of_the_server() {
    let upstream = Upstream::start();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut head = [0; 1_024];
            let _ = std::io::Read::read(&mut &connection, &mut head);
            drop(connection);
        }
    });
    let mut configuration = strict();
    configuration["hold_headers"] = json!(false);
    let envoy = in_front_of(configuration, port);
    for _ in 0..20 {
        let mut connection = TcpStream::connect(envoy.front()).expect("a connection");
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n{{");
        connection.write_all(head.as_bytes()).expect("sent");
        let mut answer = [0; 64];
        let _ = std::io::Read::read(&mut connection, &mut answer);
    }
    is_untouched(&envoy);
    drop(upstream);
}

#[test]
fn a_hang_is_slow_though_every_client_leaves() {
    let upstream = Upstream::scripted(|_| vec![Step::Wait(Duration::from_secs(30)), Step::Close]);
    let slow = json!({ "after": "300ms", "ratio": 0.5 });
    let breaker = json!({ "window": "10s", "min_requests": 20, "slow": slow, "open_for": "60s" });
    let envoy = start(json!({ "timeout": "10s", "breaker": breaker }), &upstream);
    let leave_early = |connection: &mut Connection| {
        let reached = upstream.seen().len();
        connection.send(&post(CHAT, &[], &body("x", false))).expect("sent");
        std::thread::sleep(Duration::from_millis(700));
        upstream.seen().len() > reached
    };
    let mut reached = 0;
    for _ in 0..12 {
        let mut connections: Vec<_> = (0..10).map(|_| envoy.connect()).collect();
        std::thread::scope(|scope| {
            connections.iter_mut().for_each(|connection| {
                scope.spawn(|| leave_early(connection));
            });
        });
        reached = upstream.seen().len();
        drop(connections);
        wait_for("Envoy to notice", PATIENCE, || {
            (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
        });
    }
    assert!((20..=30).contains(&reached), "{reached} of 120 reached a cluster that hangs");
    assert_eq!((envoy.counter("degradation.breaker_opened"), envoy.counter("degradation.failures")), (1, 0));
}
