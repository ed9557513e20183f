#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;

/// The state of a connection after some bytes.
#[derive(Debug, PartialEq, Eq)]
enum After {
    /// The beginning of a request.
    Request,
    /// A body with this many bytes left.
    Body(u64),
    /// An incomplete head or frame.
    Progress,
    Tunnel,
    Refused,
    Lost,
}

fn after(bytes: &[u8]) -> After {
    let mut http1 = Http1::new();
    let mut rest = bytes;
    while !rest.is_empty() && !http1.is_final() {
        let used = match http1.skippable() {
            0 => http1.advance(rest),
            left => {
                let left = left.min(rest.len() as u64);
                http1.skip(left);
                left as usize
            }
        };
        assert!(used > 0, "no progress in {:?}", http1.state);
        rest = &rest[used..];
    }
    match http1.state {
        State::Tunnel => After::Tunnel,
        State::Refused => After::Refused,
        State::Lost => After::Lost,
        _ if http1.is_between() => After::Request,
        _ if http1.stage() == Stage::Elsewhere => After::Body(http1.skippable()),
        _ => After::Progress,
    }
}

fn head(fields: &str) -> String {
    format!("POST /v1/chat HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn after_head(fields: &str) -> After {
    after(head(fields).as_bytes())
}

fn after_chunks(chunks: &str) -> After {
    after(format!("{}{chunks}", head("Transfer-Encoding: chunked\r\n")).as_bytes())
}

#[test]
fn a_head_ends_at_its_empty_line() {
    let whole = head("content-length: 0\r\n");
    for end in 1..whole.len() {
        assert_eq!(after(&whole.as_bytes()[..end]), After::Progress, "{end}");
    }
    assert_eq!(after(whole.as_bytes()), After::Request);
}

/// Every row was sent to Envoy 1.40, followed by a second request, which revealed the end of the first.
#[test]
fn heads_are_read_as_envoy_was_observed_to_read_them() {
    use After::{Body, Lost, Refused, Request, Tunnel};
    let rows = [
        ("", Request),
        ("x: 1\r\n y: content-length\r\n", Request),
        ("x: 1\r\n\ty\r\n", Request),
        ("x: 1\rContent-Length: 2\r\n", Request),
        ("x: 1\r\r\n", Request),
        ("content_length: 2\r\n", Request),
        ("\r x: 1\r\n", Refused),
        ("x: 1\r\n\rContent-Length: 2\r\n", Refused),
        ("x\r\n", Refused),
        (": x\r\n", Lost),
        ("expect: 100-continue\r\ncontent-length: 2\r\n", Body(2)),
        ("Content-LENGTH: 2\r\n", Body(2)),
        ("content-length: 002\r\n", Body(2)),
        ("content-length:\t2\t\r\n", Body(2)),
        ("content-length:\r\n 2\r\n", Body(2)),
        ("content-length: 2\r\n  \r\n", Body(2)),
        ("content-length: \r2\r\n", Body(2)),
        ("content-length: 18446744073709551615\r\n", Body(u64::MAX)),
        ("content-length: 18446744073709551616\r\n", Refused),
        ("content-length: 2\r\ncontent-length: 2\r\n", Refused),
        ("content-length: 2\r\ncontent-length: 3\r\n", Refused),
        ("content-length: 2, 2\r\n", Refused),
        ("content-length: +2\r\n", Refused),
        ("content-length: 1\r2\r\n", Refused),
        ("content-length: 1\r\n 2\r\n", Refused),
        ("content-length:\r\n", Refused),
        ("content-length : 2\r\n", Refused),
        ("content-length\t: 2\r\n", Refused),
        ("Transfer-ENCODING:\tCHUNKED \r\n", Body(0)),
        ("transfer-encoding:\r\n chunked\r\n", Body(0)),
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n", Body(0)),
        ("content-length: x\r\ntransfer-encoding: chunked\r\n", Body(0)),
        ("transfer-encoding: gzip, chunked\r\n", Lost),
        ("transfer-encoding: chunked, identity\r\n", Lost),
        ("transfer-encoding: identity\r\n", Lost),
        ("transfer-encoding:\r\n", Lost),
        ("transfer-encoding: chun\rked\r\n", Lost),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", Lost),
        ("transfer-encoding: chunked\r\ntransfer-encoding:\r\n", Lost),
        ("upgrade: x\r\n", Request),
        ("connection: upgrade\r\n", Request),
        ("upgrade: x\r\nconnection: up\r\nconnection: grade\r\n", Request),
        ("upgrade: h2c\r\nconnection: upgrade, http2-settings\r\n", Request),
        ("upgrade: websocket\r\nconnection: Upgrade\r\n", Tunnel),
        ("upgrade: x\r\nconnection: keep-alive,\tUPGRADE \r\n", Tunnel),
        ("upgrade: x\r\nconnection: keep-alive\r\nconnection: upgrade\r\n", Tunnel),
        ("upgrade: x\r\nconnection: keep-alive,\r\n upgrade\r\n", Tunnel),
        ("upgrade: x\r\nconnection: upg\rrade\r\n", Tunnel),
        ("upgrade: x\r\nconnection: upgrade\r\ncontent-length: 2\r\n", Tunnel),
        ("upgrade:\r\nconnection: upgrade\r\n", Tunnel),
        ("upgrade: h2c, x\r\nconnection: upgrade\r\n", Tunnel),
        ("upgrade: h2c\r\nupgrade:\r\nconnection: upgrade\r\n", Lost),
    ];
    for (fields, expected) in rows {
        assert_eq!(after_head(fields), expected, "{fields:?}");
    }
}

#[test]
fn request_lines_are_read_as_envoy_reads_them() {
    let rows = [
        ("GET / HTTP/1.1\nhost: a\n\n", After::Request),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n", After::Request),
        ("GET http://a/v1 HTTP/1.1\r\nhost: a\r\n\r\n", After::Request),
        ("GET  /\tHTTP/1.0  \r\n\r\n", After::Request),
        ("\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", After::Request),
        ("GET /\r\n", After::Request),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", After::Tunnel),
        ("connect a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", After::Refused),
        ("OPTIONS * HTTP/1.1\r\n\r\n", After::Request),
        ("GET https://a/ HTTP/2.0\r\n\r\n", After::Request),
        ("GET\r\n", After::Refused),
        ("GET v1 HTTP/1.1\r\n", After::Refused),
        ("GET http:/a HTTP/1.1\r\n", After::Refused),
        ("GET 1://a HTTP/1.1\r\n", After::Refused),
        ("GET a:80 HTTP/1.1\r\n", After::Refused),
        ("GET / x HTTP/1.1\r\n", After::Refused),
        ("GET / HTTP/1.11\r\n", After::Refused),
        ("GET / http/1.1\r\n", After::Refused),
        ("G(T / HTTP/1.1\r\n", After::Refused),
        ("\x16\x03\x01\x02", After::Refused),
        (" GET / HTTP/1.1", After::Refused),
        ("GET / HTTP/1.1\r\n host: a\r\n\r\n", After::Refused),
    ];
    for (bytes, expected) in rows {
        assert_eq!(after(bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn a_line_of_one_byte_may_end_a_head_for_envoy_and_is_not_trusted() {
    for line in ["x", " ", "\t", ":", "\x01"] {
        assert_eq!(after_head(&format!("{line}\n")), After::Lost, "{line:?}");
        assert_eq!(after(format!("GET / HTTP/1.1\r\n{line}\n").as_bytes()), After::Lost, "{line:?}");
    }
}

#[test]
fn chunks_are_read_to_the_end_of_the_trailers() {
    let rows = [
        ("", After::Body(0)),
        ("2", After::Progress),
        ("2\r\n", After::Body(2)),
        ("2;a=\"b\"\r\n", After::Body(2)),
        ("2 \t 9\n", After::Body(2)),
        ("00000000000000000000002\r\n", After::Body(2)),
        ("fFfFfFfFfFfFfFfF\r\n", After::Body(u64::MAX)),
        ("2\r\nab", After::Body(0)),
        ("2\r\nab\r", After::Progress),
        ("2\r\nab\r\n", After::Body(0)),
        ("2\r\nabstray\n", After::Body(0)),
        ("2\r\nab\r\n0\r\n", After::Progress),
        ("2\r\nab\r\n0\r\n\r\n", After::Request),
        ("0;x=y\r\n\n", After::Request),
        ("0\r\nContent-Length: 9\r\n", After::Progress),
        ("0\r\nContent-Length: 9\r\n\r\n", After::Request),
        ("0\r\na: b\n\n", After::Request),
        ("0\r\n\r\r\n", After::Progress),
        ("0\r\n\r\r\n\r\n", After::Request),
        ("\r\n", After::Refused),
        (" 2\r\n", After::Refused),
        ("+2\r\n", After::Refused),
        ("0x2\r\n", After::Refused),
        ("10000000000000000\r\n", After::Refused),
    ];
    for (chunks, expected) in rows {
        assert_eq!(after_chunks(chunks), expected, "{chunks:?}");
    }
}

#[test]
fn one_empty_line_between_requests_is_idle_and_more_are_a_head() {
    let first = head("");
    assert_eq!(after(format!("{first}\r\n").as_bytes()), After::Request);
    assert_eq!(after(format!("{first}\r\n\r").as_bytes()), After::Progress);
    assert_eq!(after(b"\r\n"), After::Progress);
}
