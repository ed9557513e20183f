//! Tracks the request head that a connection is in the middle of: its beginning and its size, from the bytes that a
//! network filter sees before Envoy's HTTP codec does. It follows every request of an HTTP/1 connection, and HTTP/2
//! with prior knowledge or ALPN, in constant memory and linear time, on any bytes.
//!
//! In progress are heads, new connections that have sent nothing, and the few bytes that frame a body (chunk sizes,
//! trailers, HTTP/2 frame headers). Bodies, silence between requests or chunks, and tunnels are not.
//!
//! If Envoy and this tracker disagreed, a slow head could pass for a body. Bytes that Envoy accepts are therefore read
//! as Envoy reads them. Bytes that it refuses or might read in two ways are a head that never ends, and its deadline
//! closes the connection unless Envoy does. Only CONNECT and upgrades end the tracking.

use crate::timestamp::Timestamp;
use http1::Http1;
use http2::{Http2, PREFACE};
pub use rule::{HeadRule, InvalidHeadRule, TooSlow};

mod http1;
mod http2;
mod rule;

/// The most bytes of a head requested at once.
const HEAD_WINDOW: usize = 4096;

/// The most framing bytes of a body requested at once.
const FRAME_WINDOW: usize = 256;

/// An incomplete head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The beginning of the head; on a new connection the time of its opening.
    pub since: Timestamp,
    /// The time of the head's first byte. `None` before that byte, for framing, which is too short to have a rate, and
    /// for bytes that are no recognisable request.
    pub paced_since: Option<Timestamp>,
    /// The bytes of the head so far.
    pub bytes: u64,
}

/// The state of one downstream connection.
///
/// While an HTTP/1 response is pending, Envoy keeps the bytes after its request in the read buffer and later shows that
/// part of the buffer again, together with newer bytes. This cannot be observed, but it is possible only if a read
/// ended within a request that began after another's end. The next read is then followed in both ways, as a
/// continuation and as a repetition, until both agree or Envoy must have refused one of them; while either is in
/// progress, so is the connection. Until that next read, such a request is not in progress: Envoy may not be reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    going_on: Reading,
    /// A second reading of the same connection, in case Envoy shows bytes again.
    starting_over: Option<Box<Reading>>,
}

/// One of the ways to read a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    protocol: Protocol,
    since: Timestamp,
    first: Timestamp,
    bytes: u64,
    /// The bytes of this read after the end of a request, if one has ended in it.
    tail: Option<u64>,
    /// True if the current head or frame began there.
    behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// The number of bytes so far, all of them the beginning of the HTTP/2 preface.
    Unknown(u8),
    Http1(Http1),
    Http2(Http2),
}

/// The part of a message that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A head.
    Head,
    /// The framing of a body, or bytes that cannot be understood.
    Frame,
    /// Anything else.
    Elsewhere,
}

/// The next bytes that a reading needs.
enum Need {
    /// At most this many bytes must be shown.
    Bytes(usize),
    /// This many bytes are only counted.
    Skip(u64),
    /// Further bytes have no effect.
    Nothing,
}

impl Tracker {
    /// Creates the tracker of a connection that was opened at `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self { going_on: Reading::new(Protocol::Unknown(0), now), starting_over: None }
    }

    /// Reads the `length` bytes that Envoy has for its codec at `now`. `show` returns bytes of the read from an offset,
    /// at most as many as requested. Body bytes are not requested.
    pub fn read<B: AsRef<[u8]>>(
        &mut self,
        length: usize,
        now: Timestamp,
        mut show: impl FnMut(usize, usize) -> Option<B>,
    ) {
        self.begin(length, now);
        let mut at: usize = 0;
        while let Some(left) = length.checked_sub(at).filter(|left| *left > 0) {
            let taken = match self.need() {
                Need::Bytes(wanted) => {
                    let wanted = wanted.min(left);
                    let shown = show(at, wanted);
                    let shown = shown.as_ref().map(AsRef::as_ref).unwrap_or_default();
                    let shown = shown.get(..wanted).unwrap_or(shown);
                    if shown.is_empty() {
                        return self.lose(now);
                    }
                    self.each(|reading| reading.feed(shown, now));
                    shown.len()
                }
                Need::Skip(count) => {
                    let count = usize::try_from(count).unwrap_or(left).min(left);
                    self.each(|reading| reading.skip(wide(count), now));
                    count
                }
                Need::Nothing => break,
            };
            at = at.saturating_add(taken);
        }
        self.settle();
    }

    /// Returns the head or frame in progress.
    pub fn progress(&self) -> Option<Progress> {
        let over = self.starting_over.as_ref().and_then(|over| over.progress());
        let both = self.going_on.progress().into_iter().chain(over);
        both.min_by_key(|progress| (progress.since, progress.bytes))
    }

    /// Returns true if no more heads can arrive: the connection is a tunnel (CONNECT, an upgrade), or Envoy refuses the
    /// tunnel and closes it.
    pub fn is_tunnel(&self) -> bool {
        self.starting_over.is_none()
            && matches!(&self.going_on.protocol, Protocol::Http1(http1) if http1.is_tunnel())
    }

    fn begin(&mut self, length: usize, now: Timestamp) {
        let mut restart = false;
        self.each(|reading| restart |= reading.begin(wide(length), now));
        if restart && self.starting_over.is_some() {
            self.lose(now);
        } else if restart {
            self.starting_over = Some(Box::new(Reading::new(Protocol::Http1(Http1::between()), now)));
        }
    }

    fn need(&self) -> Need {
        match (self.going_on.need(), self.starting_over.as_ref().map(|over| over.need())) {
            (need, None | Some(Need::Nothing)) | (Need::Nothing, Some(need)) => need,
            (Need::Skip(one), Some(Need::Skip(other))) => Need::Skip(one.min(other)),
            (Need::Bytes(wanted), _) | (_, Some(Need::Bytes(wanted))) => Need::Bytes(wanted),
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Reading)) {
        act(&mut self.going_on);
        if let Some(over) = &mut self.starting_over {
            act(over);
        }
    }

    /// Drops one way to read if Envoy must have refused it, or if both have reached the same state.
    fn settle(&mut self) {
        let Some(over) = &self.starting_over else { return };
        self.going_on = match &self.going_on {
            one if over.is_refused() => *one,
            one if one.is_refused() => **over,
            one if one.protocol == over.protocol => one.merged(over),
            _ => return,
        };
        self.starting_over = None;
    }

    fn lose(&mut self, now: Timestamp) {
        let since = self.progress().map_or(now, |progress| progress.since);
        *self = Self { going_on: Reading::new(Protocol::Http1(Http1::lost()), since), starting_over: None };
    }
}

impl Reading {
    const fn new(protocol: Protocol, now: Timestamp) -> Self {
        Self { protocol, since: now, first: now, bytes: 0, tail: None, behind: false }
    }

    /// Begins a read of `length` bytes. Returns true if it may repeat bytes of the last one: that would be everything
    /// after a request, and more.
    fn begin(&mut self, length: u64, now: Timestamp) -> bool {
        let unread = self.tail.is_some_and(|tail| tail <= length) && !self.is_between();
        if self.behind {
            (self.since, self.first) = (now, now);
        }
        (self.tail, self.behind) = (None, false);
        unread
    }

    fn feed(&mut self, bytes: &[u8], now: Timestamp) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = (self.stage(), self.is_between());
            let used = match self.need() {
                Need::Bytes(_) => self.advance(rest),
                Need::Skip(count) => self.pass(count.min(wide(rest.len()))),
                Need::Nothing => return,
            };
            self.count(used, before, now);
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    fn skip(&mut self, count: u64, now: Timestamp) {
        if matches!(self.need(), Need::Nothing) {
            return;
        }
        let before = (self.stage(), self.is_between());
        let used = self.pass(count);
        self.count(used, before, now);
    }

    /// Takes `count` bytes without seeing them.
    fn pass(&mut self, count: u64) -> usize {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.skip(count),
            Protocol::Http2(http2) => http2.skip(count),
            Protocol::Unknown(_) => {}
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Takes bytes up to the next change of stage and returns their number.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let (protocol, used) = match self.protocol {
            Protocol::Unknown(matched) => recognise(matched, bytes),
            Protocol::Http1(mut http1) => {
                let used = http1.advance(bytes);
                (Protocol::Http1(http1), used)
            }
            Protocol::Http2(mut http2) => {
                let used = http2.advance(bytes);
                (Protocol::Http2(http2), used)
            }
        };
        self.protocol = protocol;
        used
    }

    /// Counts `used` bytes, which changed the state that was `before`.
    fn count(&mut self, used: usize, before: (Stage, bool), now: Timestamp) {
        let (stage, between) = before;
        self.tail = match self.tail {
            _ if !between && self.is_between() => Some(0),
            tail => tail.map(|tail| tail.saturating_add(wide(used))),
        };
        match (stage, self.stage()) {
            (Stage::Elsewhere, Stage::Elsewhere) => {}
            (Stage::Elsewhere, _) => {
                (self.since, self.first, self.bytes) = (now, now, wide(used));
                self.behind = self.tail.is_some();
            }
            (_, Stage::Elsewhere) => (self.bytes, self.behind) = (0, false),
            _ => {
                if self.bytes == 0 {
                    self.first = now;
                }
                self.bytes = self.bytes.saturating_add(wide(used));
            }
        }
    }

    fn progress(&self) -> Option<Progress> {
        let paced = match self.stage() {
            Stage::Elsewhere => return None,
            Stage::Head => self.bytes > 0,
            Stage::Frame => false,
        };
        let progress =
            Progress { since: self.since, paced_since: paced.then_some(self.first), bytes: self.bytes };
        (!self.behind).then_some(progress)
    }

    fn stage(&self) -> Stage {
        match &self.protocol {
            Protocol::Unknown(_) => Stage::Head,
            Protocol::Http1(http1) => http1.stage(),
            Protocol::Http2(http2) => http2.stage(),
        }
    }

    fn need(&self) -> Need {
        let (skippable, window) = match &self.protocol {
            Protocol::Unknown(_) => (0, HEAD_WINDOW),
            Protocol::Http1(http1) if http1.is_final() => return Need::Nothing,
            Protocol::Http1(http1) if http1.is_between() || http1.stage() == Stage::Head => (0, HEAD_WINDOW),
            Protocol::Http1(http1) => (http1.skippable(), FRAME_WINDOW),
            Protocol::Http2(http2) => (http2.skippable(), FRAME_WINDOW),
        };
        if skippable > 0 { Need::Skip(skippable) } else { Need::Bytes(window) }
    }

    const fn is_between(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if http1.is_between())
    }

    const fn is_refused(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if http1.is_refused())
    }

    /// Merges this reading and `other`, which has reached the same state.
    fn merged(&self, other: &Self) -> Self {
        let older = if other.since < self.since { other } else { self };
        Self {
            tail: [self.tail, other.tail].into_iter().flatten().min(),
            behind: self.behind && other.behind,
            ..*older
        }
    }
}

/// Recognises the protocol of a new connection whose first bytes match the preface. A method that begins like the
/// preface is HTTP/1. Bytes that leave the preface later are neither protocol.
fn recognise(matched: u8, bytes: &[u8]) -> (Protocol, usize) {
    let (seen, expected) = PREFACE.split_at_checked(usize::from(matched)).unwrap_or((PREFACE, &[]));
    match (bytes, expected) {
        ([byte, ..], [next]) if byte == next => (Protocol::Http2(Http2::new()), 1),
        ([byte, ..], [next, ..]) if byte == next => (Protocol::Unknown(matched.saturating_add(1)), 1),
        _ if b"PRI".starts_with(seen) => {
            let mut http1 = Http1::new();
            http1.advance(seen);
            (Protocol::Http1(http1), 0)
        }
        _ => (Protocol::Http1(Http1::lost()), 0),
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
