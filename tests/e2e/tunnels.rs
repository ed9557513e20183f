//! Tunnels are no bodies: a realtime session lives through every filter, however long it is silent, its handshake is a
//! request like others, and nobody hides a body in an upgrade.

use serde_json::{Value, json};
use std::thread;
use std::time::Duration;
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Connection, post};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::websocket::{CLOSE, TEXT, echo, handshake, masked, unmasked};
use tidegate_tests::{PATIENCE, wait_for};
use tidegate_tests::{http2, reference};

const REALTIME: &str = "/v1/realtime?model=small";

/// Longer than what any of these filters gives a body, or an answer.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Every filter, as impatient as can be.
fn documents(hold: bool) -> Vec<(&'static str, Value)> {
    let model =
        json!({ "name": "model", "per": ["client", "model"], "requests": { "rate": "100/s", "burst": 100 } });
    vec![
        ("header-limit", json!({})),
        ("rate-limit", json!({ "limits": [model], "hold_headers": hold })),
        (
            "slow-client",
            json!({ "body": { "grace": "500ms", "timeout": "1s" }, "tiny_chunks": { "window": 1, "min_average": "4KiB" },
                    "hold_headers": hold }),
        ),
        ("input-limit", json!({ "max_body": "64B", "hold_headers": hold })),
        (
            "retry-budget",
            json!({ "silent_retries": { "window": "10s", "hold_headers": hold }, "upstream": {} }),
        ),
        (
            "degradation",
            json!({ "timeout": "500ms", "tiers": { "reduce": { "clamp_completion_tokens": 1,
            "at": { "error_ratio": 0.05 } }, "cached": {} }, "hold_headers": hold }),
        ),
    ]
}

/// Each filter alone, and all of them in the composite.
fn filters(hold: bool) -> Vec<(&'static str, Value)> {
    let mut filters = documents(hold);
    let members = filters.iter().map(|(name, document)| (name.replace('-', "_"), document.clone()));
    let all = Value::Object(members.collect());
    filters.push(("tidegate", all));
    filters.into_iter().map(|(name, document)| (name, filter(name, &document, hold))).collect()
}

fn filter(name: &str, document: &Value, hold: bool) -> Value {
    let mut filter = module(&format!("{name}.wasm"), name, &document.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = hold.into();
    filter
}

fn start(filter: Value, upstream: u16) -> Envoy {
    Envoy::with(Listener::new([filter]).to(upstream).upgrading()).workers(2).start()
}

/// A client's side of one session.
struct Session(Connection);

impl Session {
    fn open(envoy: &Envoy, name: &str) -> Self {
        let mut connection = envoy.connect();
        let answer = connection.exchange(&handshake("GET", REALTIME, &[])).expect("an answer");
        assert_eq!(answer.status, 101, "{name}: {}", String::from_utf8_lossy(&answer.body));
        Self(connection)
    }

    fn talk(&mut self, opcode: u8, text: &[u8]) -> std::io::Result<Vec<u8>> {
        self.0.send(&masked(opcode, text))?;
        self.0.receive_exact(unmasked(opcode, text).len())
    }

    /// Says something, is silent for long, and says something larger and something small.
    fn live(&mut self, name: &str) {
        for message in [b"{}".to_vec(), vec![b'x'; 20_000], b"not json".to_vec()] {
            let heard = self.talk(TEXT, &message).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(heard, unmasked(TEXT, &message), "{name}");
            thread::sleep(SILENCE);
        }
        let heard = self.talk(CLOSE, &1_000_u16.to_be_bytes());
        assert!(heard.is_ok(), "{name}: the session was not ended in order");
    }
}

/// Opens a session with HTTP/2's extended CONNECT and lives it.
fn live_over_http2(name: &str, envoy: &Envoy) {
    let mut connection = http2::Connection::open(envoy.front(), &[]).expect("connected");
    let fields: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", b"http"),
        (b":path", REALTIME.as_bytes()),
        (b":authority", b"test"),
        (b"sec-websocket-version", b"13"),
    ];
    connection.send(&http2::head(1, &fields, 0)).expect("sent");
    let opened = connection.receive_one(http2::HEADERS).expect("an answer");
    assert_eq!(http2::status(&opened.payload), Some(200), "{name}");
    assert_eq!(opened.flags & http2::END_STREAM, 0, "{name}");
    for message in [b"{}".as_slice(), b"not json"] {
        connection.send(&http2::frame(http2::DATA, 0, 1, &masked(TEXT, message))).expect("sent");
        let heard = connection.receive_one(http2::DATA).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(heard.payload, unmasked(TEXT, message), "{name}");
        thread::sleep(SILENCE);
    }
}

/// Lives a session through each filter, and through all of them, at the same time.
fn each(hold: bool, live: fn(&str, &Envoy)) {
    let filters = filters(hold).into_iter();
    let envoys: Vec<(&str, Envoy)> =
        filters.map(|(name, filter)| (name, start(filter, echo().port()))).collect();
    thread::scope(|scope| {
        let sessions = envoys.iter().map(|(name, envoy)| {
            let session = scope.spawn(move || {
                live(name, envoy);
                envoy.assert_no_vm_restarted();
            });
            (name, session)
        });
        let sessions: Vec<_> = sessions.collect();
        for (name, session) in sessions {
            assert!(session.join().is_ok(), "{name}, hold_headers: {hold}");
        }
    });
}

#[test]
fn a_session_lives_through_every_filter_and_through_all_of_them_however_long_it_is_silent() {
    for hold in [true, false] {
        each(hold, |name, envoy| Session::open(envoy, name).live(name));
    }
}

#[test]
fn a_session_over_http2_lives_as_well() {
    each(true, live_over_http2);
}

#[test]
fn a_handshake_is_charged_once_as_a_request_without_a_model() {
    let document = json!({ "hold_headers": true, "limits": [
        { "name": "model", "per": ["model"], "requests": { "rate": "1/h", "burst": 2 } },
    ]});
    let envoy = start(filter("rate-limit", &document, true), echo().port());
    for _ in 0..2 {
        Session::open(&envoy, "rate-limit").talk(TEXT, b"{}").expect("an echo");
    }
    let refused = envoy.connect().exchange(&handshake("GET", REALTIME, &[])).expect("an answer");
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (429, Some("rate_limit_exceeded"))
    );
    assert_eq!((envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.throttled")), (2, 1));
}

#[test]
fn a_delayed_handshake_opens_when_its_turn_has_come() {
    for hold in [true, false] {
        let document = json!({ "limits": [{ "name": "smooth", "per": [],
            "requests": { "rate": "20/min", "burst": 1 }, "exceed": { "delay": "30s" } }] });
        let envoy = start(filter("rate-limit", &document, hold), echo().port());
        for _ in 0..2 {
            Session::open(&envoy, "rate-limit").talk(TEXT, b"{}").expect("an echo");
        }
        assert_eq!((envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.delayed")), (2, 1));
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_handshake_that_the_server_refuses_has_an_answer_like_any_other() {
    let refusal = "HTTP/1.1 503 X\r\ncontent-length: 4\r\nretry-after: 7\r\n\r\nfull";
    for (name, filter) in filters(true) {
        let upstream = Upstream::answering(move |_| refusal.as_bytes().to_vec());
        let envoy = start(filter, upstream.port());
        let answer = envoy.connect().exchange(&handshake("GET", REALTIME, &[])).expect("an answer");
        assert_eq!(answer.status, 503, "{name}");
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn nobody_hides_a_body_in_an_upgrade() {
    let upstream = Upstream::start();
    let document = json!({ "max_chars": 16, "hold_headers": true });
    for name in ["input-limit", "tidegate"] {
        let document =
            if name == "tidegate" { json!({ "input_limit": document.clone() }) } else { document.clone() };
        let envoy = start(filter(name, &document, true), upstream.port());
        let body = json!({ "messages": [{ "role": "user", "content": "x".repeat(1_000) }] }).to_string();
        let length = body.len().to_string();
        let headers = [("content-length", length.as_str()), ("content-type", "application/json")];
        let status = |head: Vec<u8>| {
            let mut connection = envoy.connect();
            connection.send(&[head, body.clone().into_bytes()].concat()).expect("sent");
            connection.receive().map_or(0, |answer| answer.status)
        };
        assert_eq!(status(handshake("POST", "/v1/chat/completions", &headers)), 400, "{name}");
        let without_connection = |method: &str| {
            format!(
                "{method} /v1/chat/completions HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\n\
                     content-length: {length}\r\n\r\n"
            )
        };
        assert_eq!(status(without_connection("POST").into_bytes()), 400, "{name}");
        assert_eq!(status(without_connection("GET").into_bytes()), 400, "{name}");
        let plain = envoy.connect().exchange(&post("/v1/chat/completions", &[], body.as_bytes()));
        assert_eq!(plain.expect("an answer").status, 400, "{name}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[test]
fn what_a_client_sends_before_its_tunnel_is_open_reaches_no_server() {
    let upstream = Upstream::start();
    let envoy = start(filter("input-limit", &json!({ "hold_headers": true }), true), upstream.port());
    let (mut connection, length) = (envoy.connect(), "60000");
    let head = handshake("GET", "/v1/chat/completions", &[("content-length", length)]);
    connection.send(&[head, vec![b'x'; 60_000]].concat()).expect("sent");
    wait_for("all of it to come", PATIENCE, || {
        let came = envoy.stat("http.front.downstream_cx_rx_bytes_total");
        (came > 60_000 && envoy.stat("cluster.upstream.upstream_rq_active") == 1).then_some(())
    });
    assert!(envoy.stat("cluster.upstream.upstream_cx_tx_bytes_total") < 2_000);
}

/// As shipped, but for the lines that `docs/operate/hardening.md` says to write.
fn reference_with_websockets(changes: &[(&str, &str)]) -> Envoy {
    let [upgrades, allowed] = reference::block("envoy.yaml", "upgrade_configs:");
    let [no_route, route] = reference::block("envoy.yaml", "- match: { path: /v1/realtime }");
    let lines = [(upgrades.as_str(), allowed.as_str()), (&no_route, &route)];
    reference::start(&echo(), &[&lines, changes].concat())
}

#[test]
fn a_session_lives_through_the_reference_configuration_once_websockets_are_allowed() {
    let envoy = reference_with_websockets(&[
        ("allow_connect: false", "allow_connect: true"),
        (r#""grace": "5s""#, r#""grace": "1s""#),
    ]);
    let name = "the reference";
    Session::open(&envoy, name).live(name);
    live_over_http2(name, &envoy);
    let elsewhere = envoy.connect().exchange(&handshake("GET", "/v1/chat/completions", &[]));
    assert_eq!(elsewhere.expect("an answer").status, 403, "a route that has no sessions");
    envoy.assert_no_vm_restarted();
}

#[test]
fn sessions_are_bounded_by_their_silence_and_their_number_by_the_address() {
    let envoy = reference_with_websockets(&[
        (r#""max_connections_per_address": 512"#, r#""max_connections_per_address": 2"#),
        (
            "idle_timeout: 300s\n                  max_stream",
            "idle_timeout: 2s\n                  max_stream",
        ),
    ]);
    let mut sessions = [(); 2].map(|()| Session::open(&envoy, "the reference"));
    let one_more = envoy.connect().exchange(&handshake("GET", REALTIME, &[]));
    assert!(one_more.is_err(), "{one_more:?}");
    for session in &mut sessions {
        assert!(session.0.receive_exact(1).is_err(), "it was silent and stayed");
    }
    wait_for("their places", PATIENCE, || {
        let answer = envoy.connect().exchange(&handshake("GET", REALTIME, &[]));
        answer.is_ok_and(|answer| answer.status == 101).then_some(())
    });
}

#[test]
fn sessions_that_end_in_order_count_for_nothing_at_the_breaker() {
    for name in ["degradation", "tidegate"] {
        let document = json!({ "breaker": { "min_requests": 10 } });
        let document = if name == "tidegate" { json!({ "degradation": document }) } else { document };
        let envoy = start(filter(name, &document, false), echo().port());
        for _ in 0..30 {
            let mut session = Session::open(&envoy, name);
            session.talk(TEXT, b"{}").expect("an echo");
            session.talk(CLOSE, &1_000_u16.to_be_bytes()).expect("the end");
        }
        wait_for("the sessions to end", PATIENCE, || {
            (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
        });
        assert_eq!(envoy.counter("degradation.failures"), 0, "{name}");
        let chat = envoy.connect().exchange(&post("/v1/chat/completions", &[], b"{}")).expect("an answer");
        assert_eq!(chat.status, 200, "{name}");
    }
}
