//! HTTP/2 connections that cost their sender less than Envoy.

use super::{NO_SETTINGS, open, serves_on, wait_for_stat};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http2::{self, END_HEADERS, END_STREAM, frame, head};
use tidegate_tests::reference;
use tidegate_tests::upstream::Upstream;

fn request(number: u32) -> Vec<u8> {
    head(2 * number + 1, &http2::get(b"/v1/models", &[]), END_STREAM)
}

/// Sends what may be cut off on its way, and waits until the connection is.
fn ends(envoy: &Envoy, attack: &[u8]) {
    let mut connection = open(envoy, &NO_SETTINGS);
    let _ = connection.send(attack);
    connection.wait_for_end().expect("an end");
}

#[test]
fn floods_heads_without_end_and_too_many_streams_cost_a_client_its_connection_and_nobody_else() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);
    endless_heads(&envoy, &upstream);
    streams(&envoy);
    floods(&envoy);
    serves_on(&envoy);
}

/// Resets, answers to pings and settings, priorities, windows, and frames with nothing in them.
fn floods(envoy: &Envoy) {
    let many = |frame: Vec<u8>| frame.repeat(3_000);
    let reset = |n: u32| [request(n), frame(http2::RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
    let resets: Vec<u8> = (0..1_000).flat_map(reset).collect();
    let body = head(1, &http2::post(b"/v1/chat/completions"), 0);
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
        ends(envoy, &attack);
        wait_for_stat(envoy, counter, before + 1);
    }
}

/// In CONTINUATION frames, by one field named a thousand times, and over HTTP/1.1.
fn endless_heads(envoy: &Envoy, upstream: &Upstream) {
    let block = http2::block(&http2::get(b"/v1/models", &[]));
    let part = frame(http2::CONTINUATION, 0, 1, &http2::block(&[(b"a", b"b")]));
    ends(envoy, &[frame(http2::HEADERS, END_STREAM, 1, &block), part.repeat(10_000)].concat());

    let four_thousand = [&[0x40, 1, b'a', 127, 0xa1, 30], [b'v'; 4_000].as_slice()].concat();
    let indexed = [0xbe; 1_000];
    let bomb = [block, four_thousand, indexed.to_vec()].concat();
    let mut bomber = open(envoy, &NO_SETTINGS);
    bomber.send(&frame(http2::HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).expect("sent");
    assert_eq!(bomber.receive_one(http2::RST_STREAM).expect("a reset").stream, 1);

    let line = [b"a: ".as_slice(), &[b'v'; 1_000], b"\r\n"].concat();
    let endless = [b"GET / HTTP/1.1\r\nhost: test\r\n".as_slice(), &line.repeat(40)].concat();
    assert_eq!(envoy.connect().exchange(&endless).expect("an answer").status, 431);
    assert!(upstream.seen().is_empty());
}

/// More streams than a connection may have, before and after the client knows.
fn streams(envoy: &Envoy) {
    let streams: Vec<u8> =
        (0..101).flat_map(|n| head(2 * n + 1, &http2::post(b"/v1/chat/completions"), 0)).collect();
    let mut unaware = open(envoy, &NO_SETTINGS);
    unaware.send(&streams).expect("sent");
    let refused = unaware.receive_one(http2::RST_STREAM).expect("a reset");
    assert_eq!((refused.stream, refused.payload), (201, vec![0, 0, 0, 7]), "REFUSED_STREAM");

    let mut aware = open(envoy, &NO_SETTINGS);
    aware.receive_one(http2::SETTINGS).expect("settings");
    let _ = aware.send(&[frame(http2::SETTINGS, http2::ACK, 0, &[]), streams].concat());
    aware.wait_for_end().expect("an end");
}
