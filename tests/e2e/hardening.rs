//! What `envoy/hardening.md` says of the reference configuration, threat by threat, where no other test shows it.
//! Waits are shortened in the configuration's text; what is expected to happen is polled.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};
use tidegate_tests::http2::{self, Connection, END_HEADERS, END_STREAM, frame, head};
use tidegate_tests::load::race;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{http, reference, wait_for};

const SOON: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(100);
const NO_SETTINGS: [u8; 0] = [];
/// `SETTINGS_INITIAL_WINDOW_SIZE` of 0: not a byte of any answer.
const CLOSED_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// As they stand in the configuration, and short.
const HEADS: [&str; 2] = [
    r#""timeout": "10s", "min_rate": "50B/s", "grace": "2s""#,
    r#""timeout": "1s", "min_rate": "1B/s", "grace": "900ms""#,
];

fn open(envoy: &Envoy, settings: &[u8]) -> Connection {
    Connection::open(envoy.front(), settings).expect("a connection")
}

fn request(number: u32) -> Vec<u8> {
    head(2 * number + 1, &http2::get(b"/v1/models", &[]), END_STREAM)
}

fn wait_for_stat(envoy: &Envoy, name: &str, least: u64) {
    wait_for(&format!("{name} of {least}"), SOON, || (envoy.stat(name) >= least).then_some(()));
}

/// Sends what may be cut off on its way, and waits until the connection is.
fn ends(envoy: &Envoy, attack: &[u8]) {
    let mut connection = open(envoy, &NO_SETTINGS);
    let _ = connection.send(attack);
    connection.wait_for_end().expect("an end");
}

fn serves_on(envoy: &Envoy) {
    let honest = get("/v1/models", &[("authorization", "Bearer sk-honest")]);
    assert_eq!(envoy.connect().exchange(&honest).expect("an answer").status, 200);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_flood_of_frames_that_cost_their_sender_nothing_closes_its_connection() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    let many = |frame: Vec<u8>| frame.repeat(3_000);
    let reset = |n: u32| [request(n), frame(http2::RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
    let resets: Vec<u8> = (0..1_000).flat_map(reset).collect();
    let body = head(1, &http2::post(b"/v1/chat"), 0);
    let block = http2::block(&http2::get(b"/v1/models", &[]));
    let begun = frame(http2::HEADERS, END_STREAM, 1, &block);
    for (attack, counter) in [
        (resets, "http.front.downstream_rq_too_many_premature_resets"),
        (many(frame(http2::PING, 0, 0, &[0; 8])), "http2.outbound_control_flood"),
        (many(frame(http2::SETTINGS, 0, 0, &[])), "http2.outbound_control_flood"),
        (many(frame(http2::PRIORITY, 0, 1, &[0, 0, 0, 3, 1])), "http2.inbound_priority_frames_flood"),
        (many(frame(http2::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])), "http2.inbound_window_update_frames_flood"),
        ([body, many(frame(http2::DATA, 0, 1, &[]))].concat(), "http2.inbound_empty_frames_flood"),
        ([begun, many(frame(http2::CONTINUATION, 0, 1, &[]))].concat(), "http2.inbound_empty_frames_flood"),
    ] {
        let before = envoy.stat(counter);
        ends(&envoy, &attack);
        wait_for_stat(&envoy, counter, before + 1);
    }
    serves_on(&envoy);
}

#[test]
fn a_head_that_grows_without_end_is_refused() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    let block = http2::block(&http2::get(b"/v1/models", &[]));
    let part = frame(http2::CONTINUATION, 0, 1, &http2::block(&[(b"a", b"b")]));
    ends(&envoy, &[frame(http2::HEADERS, END_STREAM, 1, &block), part.repeat(10_000)].concat());

    let four_thousand = [&[0x40, 1, b'a', 127, 0xa1, 30], [b'v'; 4_000].as_slice()].concat();
    let indexed = [0xbe; 1_000];
    let bomb = [block, four_thousand, indexed.to_vec()].concat();
    let mut bomber = open(&envoy, &NO_SETTINGS);
    bomber.send(&frame(http2::HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).expect("sent");
    wait_for_stat(&envoy, "http2.header_overflow", 1);

    let line = [b"a: ".as_slice(), &[b'v'; 1_000], b"\r\n"].concat();
    let endless = [b"GET / HTTP/1.1\r\nhost: test\r\n".as_slice(), &line.repeat(40)].concat();
    assert_eq!(envoy.connect().exchange(&endless).expect("an answer").status, 431);
    assert!(upstream.seen().is_empty());
    serves_on(&envoy);
}

#[test]
fn more_streams_than_a_connection_may_have_are_refused() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    let streams: Vec<u8> = (0..101).flat_map(|n| head(2 * n + 1, &http2::post(b"/v1/chat"), 0)).collect();
    let mut unaware = open(&envoy, &NO_SETTINGS);
    unaware.send(&streams).expect("sent");
    let refused = unaware.receive_one(http2::RST_STREAM).expect("a reset");
    assert_eq!((refused.stream, refused.payload), (201, vec![0, 0, 0, 7]), "REFUSED_STREAM");

    let mut aware = open(&envoy, &NO_SETTINGS);
    aware.receive_one(http2::SETTINGS).expect("settings");
    let _ = aware.send(&[frame(http2::SETTINGS, http2::ACK, 0, &[]), streams].concat());
    aware.wait_for_end().expect("an end");
    serves_on(&envoy);
}

#[test]
fn what_drips_between_the_parts_of_a_message_is_a_head_in_progress_and_cut() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[(HEADS[0], HEADS[1])]);
    let block = http2::block(&http2::get(b"/v1/models", &[]));
    let part = frame(http2::CONTINUATION, 0, 1, &http2::block(&[(b"a", b"b")]));
    let chunked = b"POST /v1/chat HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    let preface =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(http2::SETTINGS, 0, 0, &[])].concat();
    let drips: [(Vec<u8>, &[u8]); 4] = [
        ([preface.clone(), frame(http2::HEADERS, END_STREAM, 1, &block)].concat(), &part),
        ([preface, head(1, &http2::post(b"/v1/chat"), 0), vec![0, 0]].concat(), b""),
        ([chunked.as_slice(), b"5;"].concat(), b"x"),
        ([chunked.as_slice(), b"5\r\nhello\r\n0\r\nx: "].concat(), b"x"),
    ];
    for (cut, (begun, drop)) in (1..).zip(drips) {
        let mut connection = envoy.connect();
        connection.send(&begun).expect("sent");
        let counter = "wasmcustom.tidegate.connection_guard.rejected.header_timeout";
        wait_for(&format!("the cut of drip {cut}"), SOON, || {
            let _ = connection.send(drop);
            thread::sleep(PACE);
            (envoy.stat(counter) == cut).then_some(())
        });
    }
    assert!(upstream.seen().is_empty());
    serves_on(&envoy);
}

#[test]
fn a_reader_that_takes_nothing_or_next_to_nothing_is_cut() {
    let upstream = Upstream::start();
    let envoy = reference::start(
        &upstream,
        &[
            ("int_value: 60000", "int_value: 2000"),
            ("stream_flush_timeout: 60s", "stream_flush_timeout: 2s"),
            ("max_stream_duration: 3600s", "max_stream_duration: 6s"),
        ],
    );
    let reset = |target: &[u8], drop: &[u8]| {
        let mut reader = open(&envoy, &CLOSED_WINDOW);
        reader.send(&head(1, &http2::get(target, &[]), END_STREAM)).expect("sent");
        while !drop.is_empty() && envoy.stat("http.front.downstream_rq_max_duration_reached") == 0 {
            let _ = reader.send(drop);
            thread::sleep(PACE);
        }
        reader.receive_one(http2::RST_STREAM).expect("a reset").stream
    };
    assert_eq!(reset(b"/v1/models", &[]), 1);
    wait_for_stat(&envoy, "http2.tx_flush_timeout", 1);
    assert_eq!(reset(b"/large", &frame(http2::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])), 1);

    let mut reader = TcpStream::connect(envoy.front()).expect("a connection");
    reader.write_all(&get("/large", &[])).expect("sent");
    let counter = "http.front.downstream_cx_destroy_remote_active_rq";
    wait_for_stat(&envoy, counter, 1);
    serves_on(&envoy);
}

#[test]
fn a_message_that_two_servers_could_end_at_different_bytes_is_refused_and_its_connection_closed() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    let cases = [
        ("content-length: 5\r\ntransfer-encoding: chunked", "0\r\n\r\n", 400),
        ("transfer-encoding: xchunked", "0\r\n\r\n", 501),
        ("transfer-encoding: chunked, identity", "0\r\n\r\n", 501),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity", "0\r\n\r\n", 501),
        ("transfer-encoding:\x0bchunked", "0\r\n\r\n", 400),
        ("content-length: 5\r\ncontent-length: 6", "hello", 400),
        ("content-length: +5", "hello", 400),
        ("content-length : 5", "hello", 400),
        ("transfer-encoding: chunked", "0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("content_length: 5", "hello", 400),
    ];
    let smuggled = get("/smuggled", &[]);
    let refuse = |(fields, body, status): (&str, &str, u16)| {
        let request = format!("POST /v1/chat HTTP/1.1\r\nhost: test\r\n{fields}\r\n\r\n{body}");
        let mut connection = envoy.connect();
        connection.send(&[request.as_bytes(), &smuggled].concat()).expect("sent");
        let answer = connection.receive().expect("an answer");
        assert_eq!((answer.status, answer.closes()), (status, true), "{fields}");
        assert!(connection.receive().is_err(), "{fields}");
    };
    thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(move || refuse(case)))));
    assert!(upstream.seen().is_empty());

    let mut longer = envoy.connect();
    let request = b"POST /v1/chat HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello, you";
    assert_eq!(longer.exchange(request).expect("an answer").status, 200);
    assert!(longer.exchange(&smuggled).is_ok_and(|answer| answer.status == 400 && answer.closes()));
    let mut trailers = envoy.connect();
    let request = "POST /v1/chat HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
                   2\r\nhi\r\n0\r\nx-smuggled: 1\r\n\r\n";
    assert_eq!(trailers.exchange(request.as_bytes()).expect("an answer").status, 200);
    let bodies: Vec<Vec<u8>> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"hello".to_vec(), b"hi".to_vec()]);
    serves_on(&envoy);
}

#[test]
fn no_request_makes_its_connection_a_tunnel() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    for (request, status) in [
        ("GET /v1/ws HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 403),
        ("CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n", 405),
    ] {
        let mut connection = envoy.connect();
        let answer = connection.exchange(request.as_bytes()).expect("an answer");
        assert_eq!((answer.status, answer.closes()), (status, true));
        assert!(connection.exchange(&get("/through", &[])).is_err());
    }
    let status =
        |fields: &[(&[u8], &[u8])]| http2::exchange(envoy.front(), fields).map(|answer| answer.status);
    let connect: [(&[u8], &[u8]); 2] = [(b":method", b"CONNECT"), (b":authority", b"other:443")];
    assert_eq!(status(&connect).expect("an answer"), 405);
    let extended = [http2::get(b"/v1/ws", &[]), vec![(b":protocol", b"websocket")]].concat();
    assert!(status(&extended).is_err());
    let trace = "TRACE / HTTP/1.1\r\nhost: test\r\n\r\n";
    assert_eq!(envoy.connect().exchange(trace.as_bytes()).expect("an answer").status, 405);
    let h2c = "GET /v1/models HTTP/1.1\r\nhost: test\r\nconnection: upgrade, http2-settings\r\n\
               upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    let mut ordinary = envoy.connect();
    assert_eq!(
        ordinary.exchange(h2c.as_bytes()).expect("an answer").status,
        200,
        "Java's and curl's clients"
    );
    assert_eq!(ordinary.exchange(&get("/v1/models", &[])).expect("an answer").status, 200);
    assert!(upstream.seen().iter().all(|seen| seen.target == "/v1/models"));
    serves_on(&envoy);
}

#[test]
fn a_path_reaches_the_server_in_one_form_and_an_address_cannot_be_made_up() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    let key = [("authorization", "Bearer sk-paths")];
    let ask = |path: &str| envoy.connect().exchange(&get(path, &key)).expect("an answer");
    for path in ["/v1/../admin", "/v1/%2e%2e/admin", "//admin", "/v1/..\\admin", "/./admin"] {
        assert_eq!(ask(path).status, 200, "{path}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.target == "/admin"), "{:?}", upstream.seen());
    for path in ["/v1%2fadmin", "/v1%5Cadmin"] {
        let answer = ask(path);
        assert_eq!((answer.status, answer.header("location")), (307, Some("/v1/admin")));
    }
    for path in ["/%00", "/v1#admin"] {
        assert_eq!(ask(path).status, 400, "{path}");
    }

    let forged = |n| get("/v1/models", &[("x-forwarded-for", &format!("10.0.0.{n}"))]);
    let counts = race(envoy.front(), 10, 100, forged);
    assert!(counts.contains_key(&429), "{counts:?}");
    assert_eq!(
        envoy.connect().exchange(&post("/", &key, &vec![b'x'; 3 << 20])).expect("an answer").status,
        413
    );
    serves_on(&envoy);
}

#[test]
fn connections_of_all_addresses_together_are_capped_and_idle_ones_go_first() {
    let upstream = Upstream::start();
    let envoy = reference::start(
        &upstream,
        &[
            ("max_active_downstream_connections: 20000", "max_active_downstream_connections: 10"),
            ("CONNECTION_IDLE, min_timeout: 5s", "CONNECTION_IDLE, min_timeout: 1s"),
        ],
    );
    let idle = |n: usize| {
        let mut connection = envoy.connect();
        let key = format!("Bearer sk-{n}");
        let request = get("/v1/models", &[("authorization", &key)]);
        assert_eq!(connection.exchange(&request).expect("an answer").status, 200);
        connection
    };
    let hoarded: Vec<http::Connection> = (0..9).map(idle).collect();
    wait_for_stat(&envoy, "http.front.downstream_cx_idle_timeout", 9);
    drop(hoarded);

    let flood: Vec<http::Connection> = (0..20).map(|_| envoy.connect()).collect();
    let SocketAddr::V4(front) = envoy.front() else { panic!("IPv4") };
    let name = format!("listener.{}_{}.downstream_global_cx_overflow", front.ip(), front.port());
    wait_for_stat(&envoy, &name, 10);
    assert!(envoy.stat("http.front.downstream_cx_active") <= 10, "and the administrator got in");
    drop(flood);
    wait_for("room", SOON, || (envoy.stat("http.front.downstream_cx_active") == 0).then_some(()));
    serves_on(&envoy);
}

#[test]
fn a_connection_that_is_idle_for_long_or_has_had_its_requests_is_closed() {
    let upstream = Upstream::start();
    let envoy = reference::start(
        &upstream,
        &[("  idle_timeout: 300s", "  idle_timeout: 1s"), ("per_connection: 10000", "per_connection: 2")],
    );
    let mut used = envoy.connect();
    let mut ask = || used.exchange(&get("/v1/models", &[])).expect("an answer").closes();
    assert_eq!([ask(), ask()], [false, true]);
    let mut idle = envoy.connect();
    assert_eq!(idle.exchange(&get("/v1/models", &[])).expect("an answer").status, 200);
    assert!(idle.receive().is_err());
    wait_for_stat(&envoy, "http.front.downstream_cx_idle_timeout", 1);
    serves_on(&envoy);
}
