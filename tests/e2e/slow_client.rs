//! Bodies that trickle are answered 408, also when no byte comes, and hold nothing at the upstream.

use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, Connection, get, post};
use tidegate_tests::http2;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, wait_for};

fn slow_client(configuration: &Value) -> Value {
    let mut filter = module("slow-client.wasm", "slow-client", &configuration.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] =
        configuration["hold_headers"].clone();
    filter
}

fn impatient(hold_headers: bool) -> Value {
    slow_client(&json!({
        "body": { "grace": "1s", "min_rate": "1000B/s", "timeout": "4s" },
        "hold_headers": hold_headers,
    }))
}

fn start(filter: Value, upstream: &Upstream) -> Envoy {
    Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start()
}

fn begin(envoy: &Envoy, length: usize) -> Connection {
    let mut connection = envoy.connect();
    let head = format!("POST /v1/chat HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
    connection.send(head.as_bytes()).expect("sent");
    connection
}

fn drip(connection: &mut Connection, chunk: &[u8], every: Duration, chunks: usize) -> Option<Answer> {
    for _ in 0..chunks {
        if connection.send(chunk).is_err() {
            break;
        }
        thread::sleep(every);
    }
    connection.receive().ok()
}

#[test]
fn a_body_that_never_comes_is_answered_408_from_the_tick_and_the_upstream_sees_nothing() {
    let upstream = Upstream::start();
    let envoy = start(impatient(true), &upstream);
    let begun = Instant::now();
    let mut connections: Vec<Connection> = (0..50).map(|_| begin(&envoy, 1_000)).collect();
    for connection in &mut connections {
        let answer = connection.receive().expect("an answer");
        assert_eq!(answer.status, 408);
        assert_eq!(answer.json()["error"]["code"], "request_too_slow");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1), "answered after {took:?}");
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(envoy.stat("cluster.upstream.upstream_cx_total"), 0);
    assert_eq!(envoy.counter("slow_client.rejected.rate"), 50);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_drip_is_cut_by_its_rate_a_long_one_by_its_deadline_and_tiny_chunks_by_their_size() {
    let upstream = Upstream::start();
    let envoy = start(impatient(true), &upstream);
    let rejected = |what: &str| envoy.counter(&format!("slow_client.rejected.{what}"));

    let slow = drip(&mut begin(&envoy, 9_000), &[b'x'; 50], Duration::from_millis(100), 30);
    assert_eq!(slow.map(|answer| answer.status), Some(408));
    assert_eq!(rejected("rate"), 1);

    let begun = Instant::now();
    let endless = drip(&mut begin(&envoy, 90_000), &[b'x'; 400], Duration::from_millis(200), 30);
    assert_eq!(endless.map(|answer| answer.status), Some(408));
    assert_eq!(rejected("timeout"), 1);
    assert!(begun.elapsed() >= Duration::from_secs(4));

    let tiny = slow_client(&json!({
        "body": { "grace": "10s" }, "tiny_chunks": { "window": 16, "min_average": "16B" }, "hold_headers": true,
    }));
    let envoy = start(tiny, &upstream);
    let tiny = drip(&mut begin(&envoy, 9_000), b"xx", Duration::from_millis(20), 40);
    assert_eq!(tiny.map(|answer| answer.status), Some(408));
    assert_eq!(envoy.counter("slow_client.rejected.tiny_chunks"), 1);
    assert_eq!(upstream.seen().len(), 0);
}

#[test]
fn an_honest_slow_body_passes_byte_for_byte() {
    for hold_headers in [true, false] {
        let upstream = Upstream::start();
        let envoy = start(impatient(hold_headers), &upstream);
        let body: Vec<u8> = (0..6_000_u32).map(|n| b'a' + u8::try_from(n % 26).expect("a letter")).collect();
        let mut connection = begin(&envoy, body.len());
        for chunk in body.chunks(500) {
            connection.send(chunk).expect("sent");
            thread::sleep(Duration::from_millis(250));
        }
        assert_eq!(connection.receive().expect("an answer").status, 200);
        assert_eq!(upstream.seen()[0].body, body);

        let chunked =
            b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(connection.exchange(chunked).expect("an answer").status, 200);
        assert_eq!(connection.exchange(&post("/", &[], b"")).expect("an answer").status, 200);
        assert_eq!(connection.exchange(&get("/", &[])).expect("an answer").status, 200);
        let bodies: Vec<usize> = upstream.seen().iter().map(|seen| seen.body.len()).collect();
        assert_eq!(bodies, [6_000, 5, 0, 0]);
        assert_eq!(envoy.counter("slow_client.rejected.rate"), 0);
    }
}

#[test]
fn a_body_that_ends_with_trailers_passes_and_one_that_never_ends_is_cut_over_http2_too() {
    for hold_headers in [true, false] {
        let upstream = Upstream::start();
        let envoy = start(impatient(hold_headers), &upstream);
        let send = |body: &[u8], trailers: &[(&[u8], &[u8])]| {
            http2::exchange_with_trailers(envoy.front(), &http2::post(b"/v1/chat"), body, trailers)
                .map(|it| it.status)
        };
        assert_eq!(send(b"hello", &[(b"x-sum", b"1")]).expect("an answer"), 200);
        assert_eq!(upstream.seen()[0].body, b"hello");
        assert_eq!(send(b"hello", &[]).expect("an answer"), 408);
        assert_eq!(send(b"", &[]).expect("an answer"), 408);
        assert_eq!(upstream.seen().len(), 1);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn without_held_headers_a_slow_body_is_still_cut_though_the_upstream_has_seen_its_head() {
    let upstream = Upstream::start();
    let envoy = start(impatient(false), &upstream);
    let mut connection = begin(&envoy, 1_000);
    assert_eq!(connection.receive().expect("an answer").status, 408);
    assert_eq!(envoy.stat("cluster.upstream.upstream_cx_total"), 1);
    envoy.assert_no_vm_restarted();
}

#[test]
fn clients_that_leave_while_held_leave_nothing_behind() {
    let upstream = Upstream::start();
    let envoy = start(impatient(true), &upstream);
    for _ in 0..20 {
        drop((0..20).map(|_| begin(&envoy, 1_000)).collect::<Vec<_>>());
    }
    wait_for("Envoy to notice", PATIENCE, || {
        (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
    });
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(envoy.counter("slow_client.rejected.rate"), 0);
    assert_eq!(envoy.connect().exchange(&post("/", &[], b"fine")).expect("an answer").status, 200);
    envoy.assert_no_vm_restarted();
}
