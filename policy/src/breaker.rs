//! Whether requests reach a cluster at all. Closed, they do. Too many errors, or too many slow answers, among enough
//! requests trip it: open, none does but a scout now and then. When its time is up, or a scout is answered well, it is
//! half-open: probes go, few at first, then more ([`probes`]).
//! When a part of them failed that would trip it, it opens again for twice as long, up to a cap; when enough rounds went
//! well, it closes. A breaker that stayed closed for as long as that cap begins anew.
//!
//! Only answers since the breaker closed count, so what tripped it cannot trip it again. What they are counted by is the
//! clients that had them, so none trips it alone where others are served. Times further ahead than the rule can have put
//! them (the clock stepped back) are replaced by those it would put now.
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

/// The most probes that a first round can be asked to have.
pub const MAX_PROBES: u32 = 8;

/// When a breaker opens, and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRule {
    /// Requests in the window below which nothing trips it, at least 1.
    pub min_requests: u32,
    /// The part of them that failed which trips it, by clients, more than none.
    pub error_ratio: Ratio,
    /// The part of them that were slow which trips it, by clients, if any does, more than none.
    pub slow_ratio: Option<Ratio>,
    /// Nanoseconds that it is open the first time, more than none.
    pub open_for: u64,
    /// Nanoseconds that it is open at most, at least `open_for`.
    pub max_open_for: u64,
    /// How many probes the first round has, 1 to [`MAX_PROBES`].
    pub probes: u32,
    /// Nanoseconds after which a probe that has not come back makes room for another.
    pub probe_ttl: u64,
}

/// Why a rule makes no breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBreaker {
    /// It would open before the first request.
    ZeroRequests,
    /// It would open without an error, or without a slow answer.
    ZeroRatio,
    /// It would never be open.
    ZeroOpen,
    /// The longest time open is less than the first.
    CapBelowFirst,
    /// None, or more than [`MAX_PROBES`].
    Probes,
    /// Probes would be given up at once.
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

/// A breaker that can be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    rule: BreakerRule,
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Traffic flows.
    #[default]
    Closed,
    /// Nothing passes.
    Open,
    /// Probes pass.
    HalfOpen,
}

/// What a breaker says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Go.
    Admit,
    /// Go, and report what became of it.
    Probe(Probe),
    /// Do not go.
    Refuse {
        /// Nanoseconds until asking again may help, at least 1.
        wait: u64,
    },
}

/// A request that is to find out whether the cluster is back.
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
    /// What is missing is a breaker that never opened.
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
    /// What the breaker is doing. One that is open may be due to become half-open with the next request.
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}

impl Breaker {
    /// What it enforces.
    pub const fn rule(&self) -> &BreakerRule {
        &self.rule
    }

    /// A breaker of `rule`.
    pub fn new(rule: BreakerRule) -> Result<Self, InvalidBreaker> {
        let none = Ratio::default();
        match () {
            () if rule.min_requests == 0 => Err(InvalidBreaker::ZeroRequests),
            () if rule.error_ratio == none || rule.slow_ratio == Some(none) => Err(InvalidBreaker::ZeroRatio),
            () if rule.open_for == 0 => Err(InvalidBreaker::ZeroOpen),
            () if rule.max_open_for < rule.open_for => Err(InvalidBreaker::CapBelowFirst),
            () if !(1..=MAX_PROBES).contains(&rule.probes) => Err(InvalidBreaker::Probes),
            () if rule.probe_ttl == 0 => Err(InvalidBreaker::ZeroTtl),
            () => Ok(Self { rule }),
        }
    }

    /// What is said to `asker` at `now`, given how the cluster was `since` a time. The record that is returned is to be
    /// stored, if nobody has changed it meanwhile; only then is what was said true.
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

    /// The record after `probe` of `who` showed `outcome` at `now`, `slow` or not; `None` if it does not count any more.
    /// What says nothing makes room for another.
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

    /// Ends a round that has shown enough.
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
