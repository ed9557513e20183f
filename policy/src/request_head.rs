//! Which request head a connection is in the middle of, since when and how much of it has come: from the bytes
//! that a network filter sees before Envoy's HTTP codec does. HTTP/1 with every request of a kept-alive
//! connection, HTTP/2 with prior knowledge or by ALPN. Constant memory, linear time, any bytes.
//!
//! In progress is what a server waits for with nothing to show for it: a head from its first byte to its last,
//! a new connection that has said nothing, the few bytes that frame a body (chunk sizes, trailers, an HTTP/2
//! frame's header). Not in progress: a body, the silence between requests or chunks, a tunnel.
//!
//! Where Envoy and this tracker could disagree, a slow head could pass for a body. So what Envoy accepts is
//! read as Envoy reads it, and what it refuses, or may read in two ways, is a head that never ends: the deadline
//! closes that connection if Envoy has not. Heads are left alone only after CONNECT or an upgrade.
//!
//! **Bytes are shown twice.** While an HTTP/1 response is under way, Envoy leaves what follows its request in
//! the read buffer, and shows the buffer from that request's end again, with what has come since, when it
//! goes on. Whether it did so cannot be seen, only that it may have: when a read ended inside a request that
//! had begun behind another's end. The next read is then followed both ways, as going on and as starting over,
//! until both agree or Envoy must have refused one of them; while either is in progress, the connection is. And
//! until that next read such a request is not in progress at all: Envoy may not be reading.

use crate::timestamp::Timestamp;
use http1::Http1;
use http2::{Http2, PREFACE};
pub use rule::{HeadRule, InvalidHeadRule, TooSlow};

mod http1;
mod http2;
mod rule;

/// The most bytes of a head asked for at once.
const HEAD_WINDOW: usize = 4096;

/// And of the few that come between a body's parts.
const FRAME_WINDOW: usize = 256;

/// A head that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When it began; on a new connection, when that was opened.
    pub since: Timestamp,
    /// When its first byte came. `None` before that, and for what is too short to have a rate or is no request
    /// that could be told.
    pub paced_since: Option<Timestamp>,
    /// How many bytes of it have come.
    pub bytes: u64,
}

/// What one downstream connection is in the middle of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    going_on: Reading,
    /// The same connection, if Envoy has shown it bytes again.
    starting_over: Option<Box<Reading>>,
}

/// One way to read a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    protocol: Protocol,
    since: Timestamp,
    first: Timestamp,
    bytes: u64,
    /// How many bytes of this read have come behind the end of a request, if one has ended in it.
    tail: Option<u64>,
    /// What is in progress began there.
    behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// So many bytes have come, all of them HTTP/2's preface.
    Unknown(u8),
    Http1(Http1),
    Http2(Http2),
}

/// Where in a connection the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A head is in progress.
    Head,
    /// In the few bytes that frame a body, or nowhere that can be told.
    Frame,
    /// Neither.
    Elsewhere,
}

/// What is to be done with the next bytes.
enum Need {
    /// Show at most so many.
    Bytes(usize),
    /// The number of bytes to pass over.
    Skip(u64),
    /// Nothing more is to be known.
    Nothing,
}

impl Tracker {
    /// A connection that was opened at `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self { going_on: Reading::new(Protocol::Unknown(0), now), starting_over: None }
    }

    /// Takes one read: the `length` bytes that Envoy has for its codec at `now`. `show` gives the bytes of the
    /// read from an offset, at most as many as asked for; body bytes are not asked for.
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

    /// The head that is in progress, if one is.
    pub fn progress(&self) -> Option<Progress> {
        let over = self.starting_over.as_ref().and_then(|over| over.progress());
        let both = self.going_on.progress().into_iter().chain(over);
        both.min_by_key(|progress| (progress.since, progress.bytes))
    }

    /// No head will come on this connection any more: it is a tunnel (CONNECT, an upgrade), or Envoy refuses to
    /// make it one and closes it.
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

    /// One way to read is enough if Envoy must have refused the other, or if both have come to the same.
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

    /// A read of `length` bytes begins. True if it may show again what the last one showed: that would be the
    /// whole of what came behind a request, and more.
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

    /// Takes `count` bytes that need not be seen.
    fn pass(&mut self, count: u64) -> usize {
        match &mut self.protocol {
            Protocol::Http1(http1) => http1.skip(count),
            Protocol::Http2(http2) => http2.skip(count),
            Protocol::Unknown(_) => {}
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Takes bytes up to the next change, and says how many.
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

    /// `used` bytes have come and changed what there was `before`.
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

    /// This one, and `other`, which has come to the same.
    fn merged(&self, other: &Self) -> Self {
        let older = if other.since < self.since { other } else { self };
        Self {
            tail: [self.tail, other.tail].into_iter().flatten().min(),
            behind: self.behind && other.behind,
            ..*older
        }
    }
}

/// What a new connection speaks, of whose bytes so many are the preface's first. A method that begins as the
/// preface does is HTTP/1; what goes on like the preface and is not is neither.
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
