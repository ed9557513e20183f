//! Request heads that trickle cost their connection, addresses have the connections that they may have and not one more,
//! and whoever does neither notices nothing.

use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use tidegate_tests::bootstrap::{Listener, connection_guard};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::Connection;
use tidegate_tests::http2;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, wait_for};

const REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: test\r\n\r\n";

fn strict() -> Value {
    json!({ "headers": { "timeout": "3s", "min_rate": "50B/s", "grace": "1s" } })
}

fn start(configuration: &Value) -> Envoy {
    Envoy::with(Listener::new([]).behind(connection_guard(configuration))).start()
}

/// Sends `pieces` one at a time until the other end closes, and says how long after the connection was opened.
fn closed_after(envoy: &Envoy, before: &[u8], pieces: &[&[u8]], pause: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(envoy.front()).expect("accepted");
    stream.set_nodelay(true).expect("set");
    stream.write_all(before).expect("sent");
    for piece in pieces {
        if stream.write_all(piece).is_err() || is_closed(&mut stream, pause) {
            return Some(begun.elapsed());
        }
    }
    is_closed(&mut stream, PATIENCE).then(|| begun.elapsed())
}

/// Whether the other end closes within `limit`. What it sends meanwhile is dropped.
fn is_closed(stream: &mut TcpStream, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        stream.set_read_timeout(Some(left)).expect("set");
        match stream.read(&mut [0; 4_096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => return true,
        }
    }
    false
}

/// Opens `count` connections, sends a request on each, and keeps those that are answered.
fn answered(front: SocketAddr, count: usize) -> Vec<Connection> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(move || {
                    let mut connection = Connection::try_open(front).ok()?;
                    let answer = connection.exchange(REQUEST).ok()?;
                    (answer.status == 200).then_some(connection)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[test]
fn slow_heads_close_their_connection_when_they_are_due_and_not_earlier() {
    // What is due by its rate must not wait for the timeout.
    let patient = start(&json!({ "headers": { "timeout": "60s", "min_rate": "50B/s", "grace": "1s" } }));
    let strict = start(&strict());
    let trickle: Vec<&[u8]> = vec![b"GE", b"T ", b"/ ", b"HT", b"TP", b"/1", b".1", b"\r\n", b"x:", b"yz"];
    let continuations = [b"x-padding: 1\r\n".as_slice(); 20];
    let pause = Duration::from_millis(300);
    let begun = b"GET / HTTP/1.1\r\nhost: test\r\n".as_slice();
    let cases = [
        ("a connection that says nothing", &strict, b"".as_slice(), vec![], 3_000),
        ("a first head that trickles", &patient, b"", trickle.clone(), 1_000),
        ("a second head that trickles", &patient, REQUEST, trickle, 1_000),
        ("a head fast enough that never ends", &strict, begun, continuations.to_vec(), 1_000),
        ("what is not HTTP", &strict, b"\x16\x03\x01\x02", vec![b"\x00\x01", b"\x02"], 0),
    ];
    thread::scope(|scope| {
        for (what, envoy, before, pieces, due) in &cases {
            scope.spawn(move || {
                let took = closed_after(envoy, before, pieces, pause);
                let due = Duration::from_millis(*due);
                assert!(took.is_some_and(|took| took >= due), "{what}: closed after {took:?}");
            });
        }
    });
    assert_eq!(
        (
            patient.counter("connection_guard.rejected.header_timeout"),
            patient.counter("connection_guard.rejected.header_rate")
        ),
        (0, 2)
    );
    assert!(strict.counter("connection_guard.rejected.header_timeout") >= 1);
    patient.assert_no_vm_restarted();
    strict.assert_no_vm_restarted();
}

#[test]
fn a_head_that_trickles_behind_a_pipelined_request_is_seen_when_its_turn_has_come() {
    let upstream = Upstream::start();
    let listener = Listener::new([]).to(upstream.port()).behind(connection_guard(&strict()));
    let envoy = Envoy::with(listener).start();
    let pipelined = [REQUEST, b"GET /v1/mod"].concat();
    let pieces: Vec<&[u8]> = vec![b"e", b"l", b"s", b" ", b"H", b"T", b"T", b"P"];
    let took = closed_after(&envoy, &pipelined, &pieces, Duration::from_millis(400));
    assert!(took.is_some(), "it was never closed");
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn http2_prefaces_and_header_blocks_that_drip_close_their_connection() {
    let envoy = start(&strict());
    let preface: Vec<&[u8]> = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".chunks(1).collect();
    let head = http2::open_head();
    let drip: Vec<Vec<u8>> = (0..20).map(|_| http2::continuation(b"\x00\x01a\x01b")).collect();
    let drip: Vec<&[u8]> = drip.iter().map(Vec::as_slice).collect();
    thread::scope(|scope| {
        for (what, before, pieces) in [("preface", &b""[..], &preface), ("CONTINUATION", &head, &drip)] {
            let envoy = &envoy;
            scope.spawn(move || {
                let took = closed_after(envoy, before, pieces, Duration::from_millis(500));
                assert!(took.is_some(), "{what}: it was never closed");
            });
        }
    });
    let fields = http2::get(b"/", &[]);
    assert_eq!(http2::exchange(envoy.front(), &fields).expect("an answer").status, 200);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_head_is_understood_wherever_it_is_cut_and_whatever_form_its_target_has() {
    let envoy = start(&strict());
    let heads: [&[u8]; 3] = [
        b"GET /v1/models HTTP/1.1\r\nhost: test\r\nx-a: b\r\n\r\n",
        b"GET http://test/v1/models?a=b HTTP/1.1\r\nhost: test\r\n\r\n",
        b"POST /v1/chat HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ];
    thread::scope(|scope| {
        for head in heads {
            let envoy = &envoy;
            scope.spawn(move || {
                let mut connection = envoy.connect();
                for cut in 1..head.len() {
                    let (first, second) = head.split_at(cut);
                    connection.send(first).expect("sent");
                    thread::sleep(Duration::from_millis(2));
                    let answer = connection.exchange(second).expect("an answer");
                    assert_eq!(answer.status, 200);
                    if answer.closes() {
                        connection = envoy.connect();
                    }
                }
            });
        }
    });
    assert_eq!(
        envoy.counter("connection_guard.rejected.header_timeout")
            + envoy.counter("connection_guard.rejected.header_rate"),
        0
    );
}

#[test]
fn idle_connections_streams_and_slow_bodies_are_left_alone() {
    let sse = slow_stream(Duration::from_secs(6));
    let strict = json!({ "headers": { "timeout": "1s", "min_rate": "500B/s", "grace": "500ms" } });
    let listener = Listener::new([]).to(sse.port()).behind(connection_guard(&strict));
    let envoy = Envoy::with(listener).start();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = TcpStream::connect(envoy.front()).expect("accepted");
            stream.write_all(b"GET /sse HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").expect("sent");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("the whole stream");
            assert!(text.contains("data: [DONE]"), "{text}");
        });
        scope.spawn(|| {
            let mut connection = envoy.connect();
            for _ in 0..2 {
                assert_eq!(connection.exchange(REQUEST).expect("an answer").status, 200);
                thread::sleep(Duration::from_secs(3));
            }
        });
        scope.spawn(|| {
            let mut connection = envoy.connect();
            connection.send(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 40\r\n\r\n").expect("sent");
            for _ in 0..40 {
                connection.send(b"x").expect("sent");
                thread::sleep(Duration::from_millis(100));
            }
            assert_eq!(connection.receive().expect("an answer").status, 200);
        });
    });
    assert_eq!(
        envoy.counter("connection_guard.rejected.header_timeout")
            + envoy.counter("connection_guard.rejected.header_rate"),
        0
    );
}

/// A server that answers `/sse` with an event a second for `time`, and all else at once.
fn slow_stream(time: Duration) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut buffer = [0; 4_096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..length]);
                    if seen.starts_with(b"POST") && !seen.ends_with(&[b'x'; 40]) {
                        continue;
                    }
                    let head =
                        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                    if seen.starts_with(b"GET /sse") {
                        let _ = stream.write_all(head.as_bytes());
                        for _ in 0..time.as_secs() {
                            let _ = stream.write_all(b"data: {}\n\n");
                            thread::sleep(Duration::from_secs(1));
                        }
                        let _ = stream.write_all(b"data: [DONE]\n\n");
                        return;
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                    seen.clear();
                }
            });
        }
    });
    address
}

#[test]
fn an_address_has_just_as_many_connections_as_it_may_have_on_four_workers() {
    let envoy = start(&json!({
        "max_connections_per_address": 60,
        "new_connections_per_address": { "rate": "100000/s", "burst": 100_000 },
    }));
    let mut open = answered(envoy.front(), 300);
    assert_eq!(open.len(), 60);
    assert_eq!(envoy.counter("connection_guard.rejected.too_many_connections"), 240);
    for round in 1..=5 {
        open.truncate(35);
        wait_for("the connections that were closed", PATIENCE, || {
            (envoy.stat("http.front.downstream_cx_active") == 35).then_some(())
        });
        open.extend(answered(envoy.front(), 100));
        assert_eq!(open.len(), 60, "round {round}");
    }
    for connection in &mut open {
        assert_eq!(connection.exchange(REQUEST).expect("an answer").status, 200);
    }
    envoy.assert_no_vm_restarted();
}

#[test]
fn an_address_opens_just_as_many_connections_as_its_bucket_holds() {
    let envoy = start(&json!({ "new_connections_per_address": { "rate": "1/h", "burst": 40 } }));
    assert_eq!(answered(envoy.front(), 200).len(), 40);
    assert_eq!(envoy.counter("connection_guard.rejected.too_many_new_connections"), 160);
}

#[test]
fn what_is_exempt_is_not_counted_and_shadow_closes_nothing() {
    for more in [json!({ "exempt": ["127.0.0.0/8"] }), json!({ "shadow": true })] {
        let mut configuration = json!({ "max_connections_per_address": 5 });
        configuration
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        let envoy = start(&configuration);
        assert_eq!(answered(envoy.front(), 50).len(), 50);
        let shadowed = if configuration["shadow"] == true { 45 } else { 0 };
        assert_eq!(envoy.counter("connection_guard.shadowed"), shadowed);
    }
}

#[test]
fn a_configuration_that_cannot_be_enforced_is_refused() {
    let listener = Listener::new([]).behind(connection_guard(&json!({ "max_connections": 5 })));
    let log = Envoy::with(listener).refused();
    assert!(log.contains("unknown field `max_connections`"), "{log}");
}
