#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use envoy::{Envoy, Inside};
use proptest::prelude::*;
use proptest::sample::select;

mod envoy;

const OPENED: u64 = 1_000;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn opened() -> Tracker {
    Tracker::new(at(OPENED))
}

impl Tracker {
    /// Reads `bytes` at once.
    fn shown(&mut self, bytes: &[u8], now: u64) {
        self.read(bytes.len(), at(now), |offset, most| bytes.get(offset..)?.get(..most));
    }

    fn since(&self) -> Option<u64> {
        self.progress().map(|progress| progress.since.as_nanos())
    }
}

const GET: &[u8] = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/chat HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}").into_bytes()
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

fn http2(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE, &frame(4, 0, b""), &frames.concat()].concat()
}

#[test]
fn a_new_connection_is_in_progress_from_its_opening_and_has_a_rate_from_its_first_byte() {
    let mut tracker = opened();
    let silent = Progress { since: at(OPENED), paced_since: None, bytes: 0 };
    assert_eq!(tracker.progress(), Some(silent));
    tracker.shown(b"GET", 5_000);
    assert_eq!(tracker.progress(), Some(Progress { paced_since: Some(at(5_000)), bytes: 3, ..silent }));
    tracker.shown(&GET[3..GET.len() - 1], 6_000);
    let almost = Progress { paced_since: Some(at(5_000)), bytes: GET.len() as u64 - 1, ..silent };
    assert_eq!(tracker.progress(), Some(almost));
    tracker.shown(b"\n", 7_000);
    assert_eq!(tracker.progress(), None);
}

#[test]
fn every_head_of_a_kept_alive_connection_has_its_own_beginning() {
    let mut tracker = opened();
    for round in 1..5 {
        tracker.shown(GET, round * 10_000);
        assert_eq!(tracker.progress(), None);
        tracker.shown(b"G", round * 10_000 + 1);
        assert_eq!(tracker.since(), Some(round * 10_000 + 1));
        tracker.shown(b"ET /", round * 10_000 + 2);
        let head =
            Progress { since: at(round * 10_000 + 1), paced_since: Some(at(round * 10_000 + 1)), bytes: 5 };
        assert_eq!(tracker.progress(), Some(head));
        tracker.shown(&GET[5..], round * 10_000 + 3);
        assert_eq!(tracker.progress(), None);
    }
}

#[test]
fn a_slow_body_is_neither_shown_nor_a_head() {
    let mut tracker = opened();
    tracker.shown(&post("content-length: 1000000\r\n", ""), 2_000);
    for now in 0..999_999 {
        tracker.read(1, at(now), |_, _| -> Option<&[u8]> { panic!("a body byte was asked for") });
        assert_eq!(tracker.progress(), None);
    }
    tracker.shown(b"}", 10_000);
    tracker.shown(b"G", 20_000);
    assert_eq!(tracker.since(), Some(20_000));
}

#[test]
fn the_bytes_beyond_a_body_with_a_false_length_are_the_next_head() {
    let mut tracker = opened();
    tracker.shown(&post("content-length: 3\r\n", ""), 2_000);
    tracker.shown(b"{}}", 3_000);
    assert_eq!(tracker.progress(), None);
    tracker.shown(b"{", 4_000);
    assert_eq!(tracker.since(), Some(4_000));
    tracker.shown(GET, 5_000);
    assert_eq!(tracker.since(), Some(4_000), "Envoy has refused it");
}

#[test]
fn dripping_chunk_sizes_and_trailers_are_in_progress_without_a_rate() {
    let mut tracker = opened();
    tracker.shown(&post("transfer-encoding: chunked\r\n", ""), 2_000);
    assert_eq!(tracker.progress(), None);
    tracker.shown(b"5;ext", 3_000);
    assert_eq!(tracker.progress(), Some(Progress { since: at(3_000), paced_since: None, bytes: 5 }));
    tracker.shown(b"ension\r\nhello", 4_000);
    assert_eq!(tracker.progress(), None);
    tracker.shown(b"\r", 5_000);
    assert_eq!(tracker.since(), Some(5_000));
    tracker.shown(b"\n", 6_000);
    assert_eq!(tracker.progress(), None, "the next chunk may take its time");
    tracker.shown(b"0\r\n", 7_000);
    tracker.shown(b"x-check: 1\r\n", 8_000);
    assert_eq!(tracker.since(), Some(7_000));
    tracker.shown(b"\r\n", 9_000);
    assert_eq!(tracker.progress(), None);
}

#[test]
fn several_requests_in_one_read_are_all_followed() {
    let body = post("content-length: 5\r\n", "hello");
    let chunks = post("transfer-encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    let mut tracker = opened();
    tracker.shown(&[GET, &body, &chunks, GET].concat(), 2_000);
    assert_eq!(tracker.progress(), None);
    tracker.shown(b"G", 3_000);
    assert_eq!(tracker.since(), Some(3_000));
}

#[test]
fn a_head_after_another_request_counts_from_the_next_read() {
    let mut tracker = opened();
    tracker.shown(&[GET, b"GET / HT"].concat(), 2_000);
    assert_eq!(tracker.progress(), None, "Envoy may not be reading");
    tracker.shown(b"TP/1.1\r\n", 300_000);
    assert_eq!(tracker.since(), Some(300_000));
    tracker.shown(b"host: a\r\n\r\n", 300_001);
    assert_eq!(tracker.progress(), None);
}

#[test]
fn bytes_that_envoy_shows_again_count_once() {
    let second = post("content-length: 5\r\nx: y\r\n", "");
    for cut in 1..second.len() {
        let mut tracker = opened();
        tracker.shown(&[GET, &second[..cut]].concat(), 2_000);
        assert_eq!(tracker.progress(), None);
        tracker.shown(&second[..cut], 300_000);
        assert_eq!(tracker.since(), Some(300_000), "{cut}");
        tracker.shown(&second[cut..], 300_001);
        assert_eq!(tracker.progress(), None, "{cut}");
        tracker.shown(b"hello", 300_002);
        assert_eq!(tracker.progress(), None, "{cut}");
        tracker.shown(b"G", 300_003);
        assert_eq!(tracker.since(), Some(300_003), "{cut}");
    }
}

#[test]
fn sending_the_same_bytes_again_does_not_hide_a_head_in_a_body() {
    let part = post("content-length: 100\r\n", &"x".repeat(50));
    let mut tracker = opened();
    tracker.shown(&[GET, &part].concat(), 2_000);
    tracker.shown(&[part.as_slice(), &[b'x'; 50]].concat(), 3_000);
    for now in 4_000..4_050 {
        tracker.shown(b"G", now);
        assert!(tracker.progress().is_some());
    }
}

#[test]
fn a_tunnel_is_left_alone_for_good() {
    let upgrade = post("upgrade: websocket\r\nconnection: upgrade\r\n", "");
    let connect = b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_vec();
    for request in [upgrade, connect] {
        let mut tracker = opened();
        tracker.shown(&request, 2_000);
        assert!(tracker.is_tunnel());
        tracker.shown(b"\x81\x05hello", 3_000);
        assert!(tracker.is_tunnel());
        assert_eq!(tracker.progress(), None);
    }
}

#[test]
fn an_upgrade_that_envoy_ignores_does_not_end_the_tracking() {
    for fields in ["upgrade: x\r\n", "connection: upgrade\r\n", "upgrade: h2c\r\nconnection: upgrade\r\n"] {
        let mut tracker = opened();
        tracker.shown(&post(fields, ""), 2_000);
        assert!(!tracker.is_tunnel(), "{fields:?}");
        tracker.shown(b"G", 3_000);
        assert_eq!(tracker.since(), Some(3_000), "{fields:?}");
    }
}

#[test]
fn bytes_that_are_no_http_stay_in_progress_until_the_deadline() {
    for junk in [b"\x16\x03\x01\x02\0".as_slice(), b"SSH-2.0-x\r\n", b"\0", b"{}", b"PRI * HTTP/1.1\r\n\r\n"]
    {
        let mut tracker = opened();
        tracker.shown(junk, 2_000);
        tracker.shown(GET, 3_000);
        assert_eq!(tracker.since(), Some(OPENED), "{junk:?}");
    }
}

#[test]
fn dripping_empty_lines_between_requests_are_a_head() {
    let mut tracker = opened();
    tracker.shown(GET, 2_000);
    tracker.shown(b"\r\n", 3_000);
    assert_eq!(tracker.progress(), None);
    for now in 4_000..4_100 {
        tracker.shown(b"\n", now);
        assert_eq!(tracker.since(), Some(4_000));
    }
}

#[test]
fn the_end_of_the_previous_message_never_counts_as_progress() {
    for shown_at_once in [1, 2, 3, 100] {
        let mut tracker = opened();
        tracker.shown(GET, 2_000);
        let read = b"\r\nGET";
        tracker
            .read(read.len(), at(3_000), |offset, most| read.get(offset..)?.get(..most.min(shown_at_once)));
        let head = Progress { since: at(3_000), paced_since: Some(at(3_000)), bytes: 3 };
        assert_eq!(tracker.progress(), Some(head), "{shown_at_once} bytes at once");
        let mut tracker = opened();
        tracker.shown(&post("transfer-encoding: chunked\r\n", "1\r\nx"), 2_000);
        let read = b"\n5";
        tracker
            .read(read.len(), at(3_000), |offset, most| read.get(offset..)?.get(..most.min(shown_at_once)));
        let frame = Progress { since: at(3_000), paced_since: None, bytes: 1 };
        assert_eq!(tracker.progress(), Some(frame), "{shown_at_once} bytes at once");
    }
}

#[test]
fn methods_that_begin_like_the_preface_are_http1() {
    for method in ["P", "PR", "PRI", "POST", "PROPFIND", "PRIX"] {
        let request = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut tracker = opened();
        for byte in request.as_bytes() {
            tracker.shown(&[*byte], 2_000);
        }
        assert_eq!(tracker.progress().is_none(), method != "PRI", "{method}");
    }
}

#[test]
fn an_http2_connection_is_idle_after_its_first_frame_and_between_streams() {
    let opening = http2(&[]);
    let mut tracker = opened();
    for byte in &opening[..opening.len() - 1] {
        tracker.shown(&[*byte], 2_000);
        assert_eq!(tracker.since(), Some(OPENED));
    }
    tracker.shown(&opening[opening.len() - 1..], 2_000);
    assert_eq!(tracker.progress(), None);
    for other in
        [frame(0, 1, &[0; 5_000]), frame(6, 0, &[0; 8]), frame(8, 0, &[0; 4]), frame(0x2a, 0, b"grease")]
    {
        tracker.shown(&other[..12], 3_000);
        assert_eq!(tracker.progress(), None);
        tracker.shown(&other[12..], 3_000);
        assert_eq!(tracker.progress(), None);
    }
}

#[test]
fn http2_headers_and_their_continuations_are_one_head() {
    let mut tracker = opened();
    tracker.shown(&http2(&[frame(1, 0, b"ab")]), 2_000);
    assert_eq!(
        tracker.progress(),
        Some(Progress { since: at(2_000), paced_since: Some(at(2_000)), bytes: 11 })
    );
    for now in 3_000..3_100 {
        tracker.shown(&frame(9, 0, b"c"), now);
        assert_eq!(tracker.since(), Some(2_000));
    }
    tracker.shown(&[frame(9, 4, b"d"), frame(1, 4, b"next")].concat(), 4_000);
    assert_eq!(tracker.progress(), None);
}

#[test]
fn a_dripping_frame_header_is_in_progress_without_a_rate() {
    let mut tracker = opened();
    tracker.shown(&http2(&[]), 2_000);
    for (now, byte) in (3_000..).zip(&frame(0, 1, b"x")[..8]) {
        tracker.shown(&[*byte], now);
        assert_eq!(tracker.progress().map(|head| (head.since, head.paced_since)), Some((at(3_000), None)));
    }
}

#[test]
fn http2_payloads_are_not_shown() {
    let mut tracker = opened();
    tracker.shown(&http2(&[]), 2_000);
    let data = frame(0, 0, &[0; 16_384]);
    let mut asked = 0;
    tracker.read(data.len(), at(3_000), |offset, most| {
        asked += most;
        data.get(offset..)?.get(..most)
    });
    assert!(asked <= FRAME_WINDOW, "{asked}");
}

#[test]
fn a_read_that_shows_nothing_makes_a_head_that_never_ends() {
    let mut tracker = opened();
    tracker.shown(GET, 2_000);
    tracker.read(10, at(3_000), |_, _| None::<&[u8]>);
    assert_eq!(tracker.since(), Some(3_000));
    tracker.shown(GET, 4_000);
    assert_eq!(tracker.since(), Some(3_000));
}

#[test]
fn a_connection_costs_a_few_dozen_bytes() {
    assert!(size_of::<Tracker>() <= 112, "{}", size_of::<Tracker>());
}

#[test]
fn no_byte_of_a_megabyte_is_shown_more_than_once() {
    let opening = [Vec::new(), post("transfer-encoding: chunked\r\n", ""), post("x: ", ""), http2(&[])];
    let patterns: [&[u8]; 8] =
        [b"\n", b"a", b"a:b\r\n", b" ", b"\0", GET, b"1\r\nx\r\n", b"\r\nGET / HTTP/1.1\r\n"];
    for (opening, pattern) in opening.iter().flat_map(|opening| patterns.map(|pattern| (opening, pattern))) {
        let mut tracker = opened();
        let bytes = pattern.repeat((1 << 20) / pattern.len());
        tracker.shown(opening, 2_000);
        let mut asked = 0;
        tracker.read(bytes.len(), at(3_000), |offset, most| {
            asked += most;
            bytes.get(offset..)?.get(..most)
        });
        assert!(asked <= bytes.len());
    }
}

/// A request, with true for each byte after which a head or frame is incomplete.
#[derive(Clone, Debug, Default)]
struct Script {
    bytes: Vec<u8>,
    in_progress: Vec<bool>,
}

impl Script {
    /// Appends bytes that are in progress until the last one.
    fn part(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.in_progress.extend((1..=bytes.len()).map(|end| end < bytes.len()));
    }

    fn body(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.in_progress.extend(bytes.iter().map(|_| false));
    }

    fn append(&mut self, other: Self) {
        self.bytes.extend(other.bytes);
        self.in_progress.extend(other.in_progress);
    }
}

fn request_head(fields: &str) -> impl Strategy<Value = String> + use<> {
    let fields = fields.to_owned();
    let target = select(vec!["/", "/v1/chat/completions", "http://a/v1?x=y", "/%20"]);
    let line_end = select(vec!["\r\n", "\n"]);
    (select(vec!["GET", "POST", "PUT", "DELETE"]), target, line_end, "[a-z]{1,9}").prop_map(
        move |(method, target, end, value)| {
            let fields = fields.replace('\n', end);
            format!("{method} {target} HTTP/1.1{end}Host: a{end}X-{value}a: {value}{end} {value}{end}{fields}{end}")
        },
    )
}

fn plain() -> impl Strategy<Value = Script> {
    request_head("").prop_map(|head| {
        let mut script = Script::default();
        script.part(head.as_bytes());
        script
    })
}

fn sized() -> impl Strategy<Value = Script> {
    prop::collection::vec(any::<u8>(), 0..200).prop_flat_map(|body| {
        request_head(&format!("Content-Length: {}\n", body.len())).prop_map(move |head| {
            let mut script = Script::default();
            script.part(head.as_bytes());
            script.body(&body);
            script
        })
    })
}

fn chunked() -> impl Strategy<Value = Script> {
    let chunk = (prop::collection::vec(any::<u8>(), 1..60), "(;[a-z]{1,4}=\"[a-z ]{0,5}\")?");
    let trailers = select(vec!["", "x-sum: 1\r\n", "a: b\r\nContent-Length: 7\r\n"]);
    let parts = (request_head("transfer-ENCODING: Chunked\nExpect: 100-continue\n"), trailers);
    (parts, prop::collection::vec(chunk, 0..6)).prop_map(|((head, trailers), chunks)| {
        let mut script = Script::default();
        script.part(head.as_bytes());
        for (bytes, extension) in chunks {
            script.part(format!("{:x}{extension}\r\n", bytes.len()).as_bytes());
            script.body(&bytes);
            script.part(b"\r\n");
        }
        script.part(format!("0\r\n{trailers}\r\n").as_bytes());
        script
    })
}

fn request() -> impl Strategy<Value = Script> {
    prop_oneof![plain(), sized(), chunked()]
}

fn frames() -> impl Strategy<Value = Script> {
    let payload = || prop::collection::vec(any::<u8>(), 0..40);
    let other = (select(vec![0, 2, 3, 4, 6, 7, 8, 0x2a]), any::<u8>(), payload()).prop_map(
        |(kind, flags, payload)| {
            let (frame, mut script) = (frame(kind, flags, &payload), Script::default());
            script.part(&frame[..9]);
            script.body(&frame[9..]);
            script
        },
    );
    let head = (any::<bool>(), payload(), prop::collection::vec(payload(), 0..5)).prop_map(
        |(padded, first, more)| {
            let last = more.len();
            let flags = |index| if index == last { 4 } else { 0 } | if index == 0 && padded { 8 } else { 0 };
            let mut script = Script::default();
            let mut bytes = frame(1, flags(0), &first);
            for (index, payload) in (1..).zip(more) {
                bytes.extend(frame(9, flags(index), &payload));
            }
            script.part(&bytes);
            script
        },
    );
    prop::collection::vec(prop_oneof![other, head], 0..12).prop_map(|scripts| {
        let mut whole = Script::default();
        whole.part(&http2(&[]));
        scripts.into_iter().for_each(|script| whole.append(script));
        whole
    })
}

/// Reads of a hostile client: nearly valid requests with arbitrary boundaries, some of them repeated, and the beginning
/// of one that never ends.
fn hostile() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let first = prop_oneof![
        6 => select(vec!["GET / HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n"]),
        1 => select(vec!["GET /\r\n", "\nGET / HTTP/1.1\n", "CONNECT a:80 HTTP/1.1\r\n", "\r\n", "A:b /", "\0", ""]),
    ];
    let framing = select(vec![
        "content-length: 40\r\n",
        "content-length: 40\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
        "transfer-encoding: chun\rked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "Content-Length:\r\n 40\r\n",
        "content-length: 4\r\n 0\r\n",
        "content-length : 40\r\n",
        "content-length: +40\r\n",
        "content-length: 0\r\n",
        "upgrade: x\r\n",
        "upgrade: h2c\r\n",
        "upgrade: h2\rc\r\n",
        "upgrade:\r\n",
        "connection: upgrade\r\n",
        "connection: upgrade\r\n",
        "connection: keep-alive, upg\r\rrade\r\n",
    ]);
    let other = select(vec![
        "a: b\r\n",
        "a: b\n",
        "a: ",
        " folded\r\n",
        " \n",
        "x\n",
        "x",
        ":\n",
        "\r",
        "content-length: ",
        "\0",
    ]);
    let field = prop_oneof![3 => framing, 1 => other];
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("")];
    let body = select(vec![
        "",
        "",
        "",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "xxxxxxxx",
        "28\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n",
        "28;x\r\n",
        "0\r\n\r\n",
        "0\r\na: b\r\n\r\n",
        "1",
        "/POST / HTTP/1.1\r\ncontent-length: 40\r\n\r\n",
    ]);
    let message = (first, prop::collection::vec(field, 0..4), end, body)
        .prop_map(|(first, fields, end, body)| [vec![first], fields, vec![end, body]].concat());
    let word = |words: Vec<&'static str>| {
        let cuts = prop::collection::vec((0_u8..6, any::<usize>()), words.len());
        cuts.prop_map(move |cuts| words.iter().copied().zip(cuts).collect::<Vec<_>>())
    };
    let connection =
        prop::collection::vec(message.prop_flat_map(word), 1..5).prop_map(|messages| messages.concat());
    (connection, prop::option::weighted(0.3, any::<usize>()), 0_usize..30).prop_map(|(words, twice, drip)| {
        let mut reads = vec![Vec::new()];
        for (word, (cut, place)) in words {
            let (before, after) =
                word.as_bytes().split_at(if cut == 0 { place % (word.len() + 1) } else { word.len() });
            reads.last_mut().unwrap().extend(before);
            if cut < 2 {
                reads.push(Vec::new());
            }
            reads.last_mut().unwrap().extend(after);
        }
        if let Some(twice) = twice.map(|twice| twice % reads.len()) {
            let again = reads[twice].clone();
            reads.insert(twice + 1, again[again.len() / 2..].to_vec());
            reads.insert(twice + 1, again);
        }
        reads.extend(b"GET /aaaaaaaaaaaaaaaaaaaaaaaaa"[..drip].iter().map(|byte| vec![*byte]));
        reads.retain(|read| !read.is_empty());
        reads
    })
}

fn cuts(bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut parts) = (bytes, Vec::new());
    for size in sizes.iter().cycle() {
        let (part, more) = rest.split_at((*size).min(rest.len()));
        parts.push(part.to_vec());
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    parts
}

/// A connection of requests with a beginning each.
fn connection(requests: Vec<Script>) -> Script {
    let mut whole = Script::default();
    requests.into_iter().for_each(|script| whole.append(script));
    whole
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases * 4, ..ProptestConfig::default() })]

    #[test]
    fn a_connection_is_in_progress_at_exactly_the_bytes_of_its_script(
        script in prop_oneof![prop::collection::vec(request(), 1..5).prop_map(connection), frames()],
    ) {
        let mut tracker = opened();
        let mut since = Some(OPENED);
        for (index, byte) in script.bytes.iter().enumerate() {
            let now = 2_000 + index as u64;
            tracker.shown(&[*byte], now);
            since = since.or(Some(now)).filter(|_| script.in_progress[index]);
            prop_assert_eq!(tracker.since(), since, "after byte {}", index);
        }
    }

    #[test]
    fn http2_in_any_chunks_equals_http2_byte_by_byte(script in frames(), sizes in prop::collection::vec(1_usize..60, 1..20)) {
        let (mut tracker, mut end) = (opened(), 0);
        for part in cuts(&script.bytes, &sizes) {
            tracker.shown(&part, 2_000);
            end += part.len();
            prop_assert_eq!(tracker.progress().is_some(), script.in_progress[end - 1], "after {}", end);
        }
    }

    #[test]
    fn a_request_in_any_three_chunks_equals_the_same_byte_by_byte(script in request(), one: usize, two: usize) {
        let length = script.bytes.len();
        let (one, two) = (one % length, two % length);
        let mut tracker = opened();
        for (start, end) in [(0, one.min(two)), (one.min(two), one.max(two)), (one.max(two), length)] {
            tracker.shown(&script.bytes[start..end], 2_000);
            prop_assert!(end == 0 || tracker.progress().is_some() == script.in_progress[end - 1], "after {end}");
        }
    }

    #[test]
    fn pipelined_requests_in_any_chunks_are_followed_when_envoy_shows_them_again(
        scripts in prop::collection::vec(plain(), 1..8),
        sizes in prop::collection::vec(1_usize..150, 1..20),
        waits in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let script = connection(scripts);
        let mut envoy = Envoy::new(waits);
        let mut tracker = opened();
        for (now, part) in (2_000..).zip(cuts(&script.bytes, &sizes)) {
            envoy.read(&part, |shown| tracker.shown(shown, now));
        }
        while envoy.answer(|shown| tracker.shown(shown, 9_000)) {}
        prop_assert_eq!(envoy.inside(), Inside::Nothing);
        prop_assert_eq!(tracker.progress(), None);
        tracker.shown(b"G", 10_000);
        prop_assert_eq!(tracker.since(), Some(10_000));
    }

    #[test]
    fn no_client_can_disguise_a_head_that_envoy_is_reading(
        reads in hostile(),
        waits in prop::collection::vec(any::<bool>(), 1..9),
        answers in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let mut envoy = Envoy::new(waits);
        let mut tracker = opened();
        let mut parts = reads.into_iter();
        for (now, answered) in (2_000..).zip(answers.iter().cycle()) {
            let answered = (*answered || parts.len() == 0) && envoy.answer(|shown| tracker.shown(shown, now));
            match if answered { None } else { parts.next() } {
                Some(part) => envoy.read(&part, |shown| tracker.shown(shown, now)),
                None if answered => {}
                None => break,
            }
            let seen = tracker.progress().is_some();
            let excused = envoy.passed_an_end() || envoy.is_over() || envoy.inside() != Inside::Head;
            prop_assert!(seen || excused, "unseen: {:?}", envoy);
            prop_assert!(!tracker.is_tunnel() || envoy.is_over() || envoy.is_waiting(), "no tunnel: {:?}", envoy);
        }
        prop_assert!(!tracker.is_tunnel() || envoy.is_over(), "no tunnel: {:?}", envoy);
    }

    #[test]
    fn no_bytes_in_any_chunks_panic(
        bytes: Vec<u8>, reads in hostile(), sizes in prop::collection::vec(1_usize..80, 1..20), now: u64,
    ) {
        let mut tracker = opened();
        for part in reads.into_iter().chain(cuts(&bytes, &sizes)) {
            tracker.shown(&part, now);
            let _ = tracker.progress();
        }
    }
}
