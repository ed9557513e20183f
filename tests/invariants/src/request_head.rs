//! Which head a connection is in the middle of: no byte is asked for twice, nothing beside one way to read it more is kept,
//! and what the tracker says is what a plain reading of the whole connection says: for HTTP/1 no head that Envoy is reading
//! passes for anything else, and what is written by the letter is followed to the byte; for HTTP/2 a head is in progress just
//! where its frames say.
//!
//! The first four bytes of an input choose where reads end, and which requests wait for their answers.

use crate::cuts::Numbers;
use crate::json::wide;
use envoy::{Envoy, Inside};
use tidegate_policy::request_head::{Progress, Tracker};
use tidegate_policy::timestamp::Timestamp;

#[path = "../../../policy/src/request_head/tests/envoy.rs"]
mod envoy;

const SEED: usize = 4;
const OPENED: u64 = 1_000;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// One way to read a connection more.
const MEMORY: u64 = 256;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Whatever a client sends.
pub fn http1_head(input: &[u8]) {
    let (mut numbers, bytes) = seeded(input);
    let longest = [1, 7, 60, 2_000][numbers.below(4)];
    let reads = numbers.parts(bytes, longest);
    survives(&reads, &mut numbers);
    hides_no_head(&reads, &mut numbers);
    follows_to_the_byte(bytes);
}

/// Whatever a client sends behind the preface.
pub fn http2_head(input: &[u8]) {
    let (mut numbers, frames) = seeded(input);
    let stream = [PREFACE, frames].concat();
    let longest = [1, 9, 40, 2_000][numbers.below(4)];
    let reads = numbers.parts(&stream, longest);
    survives(&reads, &mut numbers);
    let began = in_progress(&stream);
    let mut tracker = Tracker::new(at(OPENED));
    let mut end = 0;
    let mut times = vec![OPENED];
    for (now, read) in (2_000..).zip(&reads) {
        show(&mut tracker, read, now);
        times.extend(read.iter().map(|_| now));
        end += read.len();
        // A head that was begun in a read is as old as that read.
        let expected = began[end].map(|first| times[first]);
        assert_eq!(tracker.progress().map(|progress| progress.since), expected.map(at), "after {end}");
        assert!(!tracker.is_tunnel());
    }
}

fn seeded(input: &[u8]) -> (Numbers, &[u8]) {
    let (seed, bytes) = input.split_at(SEED.min(input.len()));
    (Numbers::of(seed), bytes)
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn show(tracker: &mut Tracker, read: &[u8], now: u64) {
    tracker.read(read.len(), at(now), |offset, most| read.get(offset..)?.get(..most));
}

/// The same is known however much of what it asks for the tracker is shown at a time.
fn survives(reads: &[&[u8]], numbers: &mut Numbers) {
    let mut whole = Tracker::new(at(OPENED));
    let mut piecemeal = whole.clone();
    let mut sent = 0;
    for (now, read) in (2_000..).zip(reads) {
        let (mut next, mut calls) = (0, 0);
        whole.read(read.len(), at(now), |offset, most| {
            assert!(next <= offset && most > 0 && offset + most <= read.len(), "{most} at {offset}");
            next = offset + most;
            calls += 1;
            read.get(offset..next)
        });
        assert!(calls <= read.len(), "{calls} for {} bytes", read.len());
        piecemeal.read(read.len(), at(now), |offset, most| {
            let most = most.min(numbers.below(40) + 1);
            read.get(offset..)?.get(..most)
        });
        assert_eq!(piecemeal, whole);
        sent += wide(read.len());
        if let Some(Progress { since, paced_since, bytes }) = whole.progress() {
            assert!(at(OPENED) <= since && since <= at(now), "since {since:?} at {now}");
            assert!(paced_since.is_none_or(|first| since <= first && first <= at(now)), "{paced_since:?}");
            assert!(bytes <= sent);
            assert!(paced_since.is_none() || bytes > 0);
        }
    }
    let measured = allocation_counter::measure(|| {
        let mut tracker = Tracker::new(at(OPENED));
        for read in reads {
            show(&mut tracker, read, 2_000);
        }
    });
    assert!(measured.bytes_max <= MEMORY, "it takes {} bytes", measured.bytes_max);
}

/// While Envoy, which stops reading while a request waits for its answer and then shows again what it has left, is in the
/// middle of a head, the tracker says so.
fn hides_no_head(reads: &[&[u8]], numbers: &mut Numbers) {
    let waits = (0..8).map(|_| numbers.below(2) == 0).collect();
    let (mut envoy, mut tracker) = (Envoy::new(waits), Tracker::new(at(OPENED)));
    let mut parts = reads.iter();
    for now in 2_000.. {
        let is_due = numbers.below(2) == 0 || parts.len() == 0;
        let answered = is_due && envoy.answer(|shown| show(&mut tracker, shown, now));
        match if answered { None } else { parts.next() } {
            Some(part) => envoy.read(part, |shown| show(&mut tracker, shown, now)),
            None if answered => {}
            None => break,
        }
        let excused = envoy.passed_an_end() || envoy.is_over() || envoy.inside() != Inside::Head;
        assert!(tracker.progress().is_some() || excused, "unseen: {envoy:?}");
        assert!(!tracker.is_tunnel() || envoy.is_over() || envoy.is_waiting(), "no tunnel: {envoy:?}");
    }
    assert!(!tracker.is_tunnel() || envoy.is_over(), "no tunnel: {envoy:?}");
}

/// As long as requests are written by the letter of the standard, and none asks for a tunnel, a head, or what frames a
/// body, is in progress from its first byte to its last.
fn follows_to_the_byte(bytes: &[u8]) {
    let mut tracker = Tracker::new(at(OPENED));
    let mut script = Script { bytes, in_progress: Vec::new() };
    while script.request().is_some() {}
    let (mut since, mut now) = (Some(OPENED), 2_000);
    for (byte, is_inside) in bytes.iter().zip(script.in_progress) {
        show(&mut tracker, &[*byte], now);
        since = since.or(Some(now)).filter(|_| is_inside);
        let found = tracker.progress().map(|progress| progress.since);
        assert_eq!(found, since.map(at), "at {now}, which is byte {}", now - 2_000);
        now += 1;
    }
}

/// Requests as RFC 9112 has them, and what is in progress after each of their bytes.
struct Script<'a> {
    bytes: &'a [u8],
    in_progress: Vec<bool>,
}

impl<'a> Script<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.in_progress.len()..]
    }

    /// So many bytes, in progress but for the last.
    fn part(&mut self, length: usize) {
        self.in_progress.extend((1..=length).map(|end| end < length));
    }

    /// So many bytes of a body, if there are as many.
    fn body(&mut self, length: usize) -> Option<()> {
        let known = length.min(self.rest().len());
        self.in_progress.extend(core::iter::repeat_n(false, known));
        (known == length).then_some(())
    }

    /// The length of lines up to an empty one, or of one line, each without its end.
    fn lines(&self, are_many: bool) -> Option<(Vec<&'a str>, usize)> {
        let end: &[u8] = if are_many { b"\r\n\r\n" } else { b"\r\n" };
        let length = self.rest().windows(end.len()).position(|window| window == end)? + end.len();
        let text = core::str::from_utf8(&self.rest()[..length]).ok()?;
        let lines: Vec<_> = text.trim_end_matches("\r\n").split("\r\n").collect();
        let is_plain = |line: &&str| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        (lines.iter().all(is_plain) && end.len() + lines.join("\r\n").len() == length)
            .then_some((lines, length))
    }

    fn request(&mut self) -> Option<()> {
        let (lines, length) = self.lines(true)?;
        let (first, fields) = lines.split_first()?;
        let words: Vec<_> = first.split(' ').collect();
        let [method, target, "HTTP/1.1"] = *words.as_slice() else { return None };
        if !["GET", "POST", "PUT", "DELETE"].contains(&method) || !target.starts_with('/') {
            return None;
        }
        let (mut lengths, mut is_chunked) = (None, false);
        for field in fields {
            let (name, value) = field.split_once(':')?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if name.len() < 2 || !name.bytes().all(is_name) {
                return None;
            }
            let value = value.trim_matches(' ');
            match &*name.to_ascii_lowercase() {
                "content-length" => {
                    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                    let length = value.parse::<usize>().ok().filter(|_| is_number)?;
                    lengths.replace(length).is_none().then_some(())?;
                }
                "transfer-encoding" => {
                    let is_first = !core::mem::replace(&mut is_chunked, true);
                    (is_first && value.eq_ignore_ascii_case("chunked")).then_some(())?;
                }
                "upgrade" => return None,
                _ => {}
            }
        }
        self.part(length);
        if is_chunked { self.chunks() } else { self.body(lengths.unwrap_or(0)) }
    }

    fn chunks(&mut self) -> Option<()> {
        loop {
            let (lines, length) = self.lines(false)?;
            let size = lines.first()?.split(';').next()?;
            if size.len() > 8 || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let size = usize::from_str_radix(size, 16).ok()?;
            if size == 0 {
                let (trailers, length) = self.lines(true)?;
                (trailers.len() == 1).then_some(())?;
                self.part(length);
                return Some(());
            }
            self.part(length);
            self.body(size)?;
            (self.rest().starts_with(b"\r\n")).then_some(())?;
            self.part(2);
        }
    }
}

/// After each number of bytes of a stream: at which byte what is in progress has begun, the first of all when the
/// connection did.
fn in_progress(stream: &[u8]) -> Vec<Option<usize>> {
    let mut began = vec![Some(0); PREFACE.len() + 1];
    let (mut rest, mut begin, mut is_open) = (&stream[PREFACE.len()..], Some(0), false);
    while let Some((header, payload)) = rest.split_at_checked(9) {
        let [high, middle, low, kind, flags, ..] = *header else { break };
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap();
        let here = began.len();
        began.extend((1..9).map(|_| begin.or(Some(here))));
        let is_head = matches!(kind, HEADERS | CONTINUATION);
        let inside = begin.or(is_head.then_some(here));
        is_open = if is_head { flags & END_HEADERS == 0 } else { is_open };
        let after = inside.or(Some(here)).filter(|_| is_open);
        let known = length.min(payload.len());
        began.extend((0..=known).map(|seen| if seen == length { after } else { inside }));
        (begin, rest) = (after, &payload[known..]);
        if known < length {
            return began;
        }
    }
    let here = began.len();
    began.extend(rest.iter().map(|_| begin.or(Some(here))));
    began
}
