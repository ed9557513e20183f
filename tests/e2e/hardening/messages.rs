//! Requests that two servers could read in two ways, or that would be more than a request.

use super::serves_on;
use std::thread;
use tidegate_tests::http::{get, post};
use tidegate_tests::load::race;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{http2, reference};

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
    ];
    let smuggled = get("/v1/files/smuggled", &[]);
    let refuse = |(fields, body, status): (&str, &str, u16)| {
        let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\n{fields}\r\n\r\n{body}");
        let mut connection = envoy.connect();
        connection.send(&[request.as_bytes(), &smuggled].concat()).expect("sent");
        let answer = connection.receive().expect("an answer");
        assert_eq!((answer.status, answer.closes()), (status, true), "{fields}");
        assert!(connection.receive().is_err(), "{fields}");
    };
    thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(move || refuse(case)))));
    assert!(upstream.seen().is_empty());

    let mut longer = envoy.connect();
    let request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}, you";
    assert_eq!(longer.exchange(request).expect("an answer").status, 200);
    assert!(longer.exchange(&smuggled).is_ok_and(|answer| answer.status == 400 && answer.closes()));
    let mut trailers = envoy.connect();
    let request = "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\n{ }\r\n0\r\nx-smuggled: 1\r\n\r\n";
    assert_eq!(trailers.exchange(request.as_bytes()).expect("an answer").status, 200);
    let mut agent = envoy.connect();
    let request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nsession_id: 1\r\ncontent_length: 5\r\n\r\nhello";
    assert_eq!(agent.exchange(request).expect("an answer").status, 200);
    assert!(agent.exchange(&smuggled).is_ok_and(|answer| answer.status == 400 && answer.closes()));
    let seen = upstream.seen();
    assert!(seen.iter().all(|seen| seen.header("session_id").or(seen.header("content_length")).is_none()));
    let bodies: Vec<Vec<u8>> = seen.into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"{}".to_vec(), b"{ }".to_vec(), Vec::new()]);
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
        assert!(connection.exchange(&get("/v1/files/through", &[])).is_err());
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
    let envoy = reference::start(&upstream, &[(r#""max_body": "64MiB""#, r#""max_body": "1MiB""#)]);
    let key = [("authorization", "Bearer sk-paths")];
    let ask = |path: &str| envoy.connect().exchange(&get(path, &key)).expect("an answer");
    for path in
        ["/v1/a/../files/b", "/v1/a/%2e%2e/files/b", "//v1//files/b", "/v1/a\\..\\files/b", "/./v1/files/b"]
    {
        assert_eq!(ask(path).status, 200, "{path}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.target == "/v1/files/b"), "{:?}", upstream.seen());
    for path in ["/v1%2ffiles/b", "/v1%5Cfiles/b"] {
        let answer = ask(path);
        assert_eq!((answer.status, answer.header("location")), (307, Some("/v1/files/b")));
    }
    for path in ["/%00", "/v1#admin"] {
        assert_eq!(ask(path).status, 400, "{path}");
    }

    let forged = |n| get("/v1/models", &[("x-forwarded-for", &format!("10.0.0.{n}"))]);
    let counts = race(envoy.front(), 10, 400, forged);
    assert!(counts.contains_key(&429), "{counts:?}");
    assert_eq!(
        envoy.connect().exchange(&post("/", &key, &vec![b'x'; 3 << 20])).expect("an answer").status,
        413
    );
    serves_on(&envoy);
}
