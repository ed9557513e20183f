//! Decides whether requests reach a cluster. A closed breaker admits them. Too many errors or slow responses among
//! enough requests trip it: while open, it admits only an occasional scout. When its time is over or a scout succeeds,
//! it is half-open and admits probes, a few at first ([`probes`]). If too many of these fail, it opens again for twice
//! as long, up to a cap; after enough good rounds it closes. Once it has stayed closed for as long as that cap, the
//! open time starts over. Only responses since it closed count, so the cause of one trip cannot cause the next. Ratios
//! are means over clients, so no client trips it alone while others are served. Times that lie too far ahead, because
//! the clock stepped back, are replaced.
//!
//! Source: Nygard, "Release It!" (2007), chapter 5.

pub mod probes;

use crate::health::outcome::Outcome;
use crate::health::{Signals, Who};
use crate::ratio::Ratio;
use crate::record::{Record, take};
use crate::timestamp::Timestamp;
use core::fmt;
use probes::{Asker, Probes, Verdict};
use std::borrow::Cow;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The maximum number of probes in the first round.
pub const MAX_PROBES: u32 = 8;

/// The conditions under which a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRule {
    /// The minimum of requests in the window for a trip, at least 1.
    pub min_requests: u32,
    /// The ratio of failed requests that trips the breaker, as a mean over clients, above 0.
    pub error_ratio: Ratio,
    /// The ratio of slow requests that trips the breaker, as a mean over clients, above 0; `None` if slowness does not.
    pub slow_ratio: Option<Ratio>,
    /// The first open time, in nanoseconds, above 0.
    pub open_for: u64,
    /// The longest open time, in nanoseconds, at least `open_for`.
    pub max_open_for: u64,
    /// The number of probes in the first round, 1 to [`MAX_PROBES`].
    pub probes: u32,
    /// The time in nanoseconds after which an unfinished probe makes room for another.
    pub probe_ttl: u64,
}

/// The reason why a rule makes no breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBreaker {
    /// The breaker would open before the first request.
    ZeroRequests,
    /// The breaker would open without an error or a slow response.
    ZeroRatio,
    /// The breaker would never be open.
    ZeroOpen,
    /// The longest open time is less than the first.
    CapBelowFirst,
    /// The number of probes is 0 or above [`MAX_PROBES`].
    Probes,
    /// Probes would expire at once.
    ZeroTtl,
}

impl fmt::Display for InvalidBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroRequests => "a minimum of at least 1 request is accepted",
            Self::ZeroRatio => "a ratio above 0 is accepted",
            Self::ZeroOpen => "an open time above 0 is accepted",
            Self::CapBelowFirst => "a longest open time of at least the first one is accepted",
            Self::Probes => "from 1 to 8 probes are accepted",
            Self::ZeroTtl => "a time above 0 after which a probe is given up is accepted",
        })
    }
}

/// A breaker with a valid rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    rule: BreakerRule,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// All requests pass.
    #[default]
    Closed,
    /// No requests pass except scouts.
    Open,
    /// Probes pass.
    HalfOpen,
}

/// The decision on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The request passes.
    Admit,
    /// The request passes and its outcome must be reported.
    Probe(Probe),
    /// The request is refused.
    Refuse {
        /// Nanoseconds until a retry may pass, at least 1.
        wait: u64,
    },
}

/// A request that tests whether the cluster has recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub(crate) number: u32,
}

/// One breaker's state: phase (1), when it closed or will be half-open (8), how long it was last open (8); while it is not
/// closed, who asked and what probes showed (see [`probes`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakerRecord {
    phase: Phase,
    turn: Timestamp,
    open_for: u64,
    probes: Probes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Stored {
    /// 1 for open, 2 for half-open, else closed.
    phase: u8,
    turn: U64,
    open_for: U64,
}

impl Record for BreakerRecord {
    /// Missing bytes stand for a breaker that never opened.
    fn from_bytes(stored: &[u8]) -> Self {
        let mut rest = stored;
        let Stored { phase, turn, open_for } = take(&mut rest);
        let phase = match phase {
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            _ => Phase::Closed,
        };
        let probes = if phase == Phase::Closed { Probes::default() } else { Probes::from_bytes(rest) };
        Self { phase, turn: Timestamp::from_nanos(turn.get()), open_for: open_for.get(), probes }
    }

    /// A breaker that is closed takes 17 bytes.
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let phase = match self.phase {
            Phase::Closed => 0,
            Phase::Open => 1,
            Phase::HalfOpen => 2,
        };
        let head = Stored { phase, turn: self.turn.as_nanos().into(), open_for: self.open_for.into() };
        let mut bytes = head.as_bytes().to_vec();
        if self.phase != Phase::Closed {
            bytes.extend_from_slice(&self.probes.to_bytes());
        }
        Cow::Owned(bytes)
    }
}

impl BreakerRecord {
    /// Returns the breaker's phase. An open breaker may become half-open with the next request.
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}

impl Breaker {
    /// Returns the rule.
    pub const fn rule(&self) -> &BreakerRule {
        &self.rule
    }

    /// Creates a breaker.
    pub fn new(rule: BreakerRule) -> Result<Self, InvalidBreaker> {
        let none = Ratio::default();
        if rule.min_requests == 0 {
            Err(InvalidBreaker::ZeroRequests)
        } else if rule.error_ratio == none || rule.slow_ratio == Some(none) {
            Err(InvalidBreaker::ZeroRatio)
        } else if rule.open_for == 0 {
            Err(InvalidBreaker::ZeroOpen)
        } else if rule.max_open_for < rule.open_for {
            Err(InvalidBreaker::CapBelowFirst)
        } else if !(1..=MAX_PROBES).contains(&rule.probes) {
            Err(InvalidBreaker::Probes)
        } else if rule.probe_ttl == 0 {
            Err(InvalidBreaker::ZeroTtl)
        } else {
            Ok(Self { rule })
        }
    }

    /// Decides on the request of `asker` at `now`. `since` returns the health of the cluster since a time. The decision
    /// is valid only if the caller stores the returned record and nobody has changed it in the meantime.
    pub fn judge(
        &self,
        record: &BreakerRecord,
        asker: &Asker,
        since: impl FnOnce(Timestamp) -> Signals,
        now: Timestamp,
    ) -> (Option<BreakerRecord>, Ruling) {
        let mut next = record.clone();
        let ruling = match record.phase {
            Phase::Closed if record.turn > now => {
                next.turn = now;
                Ruling::Admit
            }
            Phase::Closed => {
                let signals = since(record.turn);
                if !self.trips(&signals) {
                    return (None, Ruling::Admit);
                }
                let lasted = now.nanos_since(record.turn) >= self.rule.max_open_for;
                next.open_for = if lasted { 0 } else { record.open_for };
                self.open(&mut next, now);
                if let Some(client) = &signals.alone {
                    next.probes.blame(client);
                }
                next.probes.note(&asker.who);
                match next.probes.scout(&self.rule, asker, now) {
                    Some(scout) => Ruling::Probe(scout),
                    None => Ruling::Refuse { wait: next.turn.nanos_since(now) },
                }
            }
            Phase::Open => {
                next.probes.note(&asker.who);
                match record.turn.nanos_since(now) {
                    0 => {
                        half_open(&mut next, now);
                        self.send(&mut next, asker, now)
                    }
                    wait if wait <= self.rule.max_open_for => match next.probes.scout(&self.rule, asker, now)
                    {
                        Some(scout) => Ruling::Probe(scout),
                        None => Ruling::Refuse { wait },
                    },
                    _ => {
                        next.turn = now.plus(self.rule.max_open_for);
                        Ruling::Refuse { wait: self.rule.max_open_for }
                    }
                }
            }
            Phase::HalfOpen => {
                next.probes.note(&asker.who);
                self.turn(&mut next, now);
                match next.phase {
                    Phase::HalfOpen => self.send(&mut next, asker, now),
                    Phase::Closed => Ruling::Admit,
                    Phase::Open => Ruling::Refuse { wait: next.turn.nanos_since(now) },
                }
            }
        };
        ((next != *record).then_some(next), ruling)
    }

    /// Returns the record after `probe` of `who` ended in `outcome` at `now`, `slow` or not, or `None` if the probe no
    /// longer counts. A probe that shows nothing makes room for another.
    pub fn report(
        &self,
        record: &BreakerRecord,
        (probe, who): (Probe, Who),
        (outcome, slow): (Outcome, bool),
        now: Timestamp,
    ) -> Option<BreakerRecord> {
        if record.phase == Phase::Closed {
            return None;
        }
        let counts_slow = slow && self.rule.slow_ratio.is_some();
        let failed = match outcome {
            Outcome::Failure | Outcome::Broken => Some(true),
            Outcome::Success | Outcome::Overload => Some(counts_slow),
            Outcome::GivenUp => counts_slow.then_some(true),
            Outcome::Ignored => None,
        };
        let mut next = record.clone();
        let counts = match record.phase {
            Phase::Open if failed == Some(false) => {
                half_open(&mut next, now);
                failed
            }
            Phase::Open => None,
            _ => failed,
        };
        if !next.probes.come_back(&self.rule, probe, (who, counts), now) {
            return None;
        }
        if record.phase == Phase::Open && failed == Some(true) {
            next.probes.doubt(&who);
        }
        self.turn(&mut next, now);
        Some(next)
    }

    /// Ends a round that has enough results.
    fn turn(&self, record: &mut BreakerRecord, now: Timestamp) {
        match record.probes.verdict(&self.rule, now) {
            Verdict::Pending => {}
            Verdict::Failed => self.open(record, now),
            Verdict::Recovered => {
                let open_for = record.open_for;
                *record = BreakerRecord { turn: now, open_for, ..BreakerRecord::default() };
            }
        }
    }

    fn trips(&self, signals: &Signals) -> bool {
        let Signals { counts, shares, .. } = signals;
        let slow = self.rule.slow_ratio.is_some_and(|ratio| shares.slow >= ratio.millionths());
        let failed = shares.errors >= self.rule.error_ratio.millionths();
        counts.requests >= self.rule.min_requests && (slow || failed)
    }

    fn open(&self, record: &mut BreakerRecord, now: Timestamp) {
        let doubled = record.open_for.saturating_mul(2);
        record.open_for = doubled.clamp(self.rule.open_for, self.rule.max_open_for);
        record.turn = now.plus(record.open_for);
        record.phase = Phase::Open;
        record.probes.begin_anew(&self.rule, record.open_for, now);
    }

    fn send(&self, record: &mut BreakerRecord, asker: &Asker, now: Timestamp) -> Ruling {
        match record.probes.send(&self.rule, asker, now) {
            Ok(probe) => Ruling::Probe(probe),
            Err(wait) => Ruling::Refuse { wait: wait.max(1) },
        }
    }
}

fn half_open(record: &mut BreakerRecord, now: Timestamp) {
    record.phase = Phase::HalfOpen;
    record.probes.begin(now);
}

#[cfg(test)]
mod tests;
