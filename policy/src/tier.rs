//! How far answers are degraded: to less work, to the last good answer, to a default one. Each tier is a switch of its
//! own with hysteresis: on as soon as one of its signals reaches its threshold, off when all of them have stayed below
//! a part of it (half, say) for a hold time. So a cluster at the edge does not make it flap.
//!
//! Ratios and latencies are by clients (see [`crate::health`]), so no client turns a tier on alone where others are served.
//! What is measured counts only with enough requests in the window. A tier that keeps all requests from the cluster
//! therefore ends after its hold time, and the cluster is tried again. A drill forces a tier on or off, and
//! leaves the record as it is.

use crate::breaker::Phase;
use crate::health::Signals;
use crate::health::window::Counts;
use crate::ratio::Ratio;
use crate::record::{Fixed, Record};
use crate::timestamp::Timestamp;
use core::fmt;
use std::borrow::Cow;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// Bytes of a record.
pub const BYTES: usize = size_of::<[StoredTier; 3]>();

/// The signals that turn a tier on, each from a threshold above 0. Those that are absent are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// The part of requests that failed.
    pub error_ratio: Option<Ratio>,
    /// The part that was slow.
    pub slow_ratio: Option<Ratio>,
    /// The part that the cluster had no room for.
    pub overload_ratio: Option<Ratio>,
    /// Requests per 1,000 seconds.
    pub request_rate: Option<u64>,
    /// Nanoseconds until an answer begins.
    pub first_byte: Option<u64>,
    /// Nanoseconds until an answer ends.
    pub total: Option<u64>,
    /// Slots in a row that began to answer later than is ordinary.
    pub anomalous: Option<u32>,
    /// A breaker that is not closed.
    pub breaker: bool,
}

/// When one tier is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierRule {
    at: Thresholds,
    leave: Ratio,
    hold: u64,
    min_requests: u32,
}

/// Why thresholds make no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTier {
    /// No signal is looked at.
    NoSignal,
    /// A signal of nothing would turn it on.
    ZeroThreshold,
}

impl fmt::Display for InvalidTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSignal => "at least one signal is accepted",
            Self::ZeroThreshold => "a threshold above 0 is accepted",
        })
    }
}

/// Where one tier is switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// Never on.
    #[default]
    Never,
    /// By what is measured.
    Measured(TierRule),
    /// For a drill: on or off, whatever is measured.
    Forced(bool),
}

/// One value for each tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tiers<T> {
    /// Less work.
    pub reduce: T,
    /// The last good answer.
    pub cached: T,
    /// A default answer.
    pub default: T,
}

/// Which tiers are on, as the bytes that the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRecord {
    tiers: [StoredTier; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredTier {
    /// 1 for on, 2 for calm, else off.
    state: u8,
    /// Since when its signals are low.
    since: U64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    On,
    Calm {
        since: Timestamp,
    },
}

impl Default for TierRecord {
    fn default() -> Self {
        Self { tiers: Fixed::first_of(&[]) }
    }
}

impl Record for TierRecord {
    /// What is missing is off.
    fn from_bytes(stored: &[u8]) -> Self {
        Self { tiers: Fixed::first_of(stored) }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.tiers.as_bytes())
    }
}

impl TierRecord {
    fn states(&self) -> Tiers<State> {
        let [reduce, cached, default] = self.tiers.map(|tier| match tier.state {
            1 => State::On,
            2 => State::Calm { since: Timestamp::from_nanos(tier.since.get()) },
            _ => State::Off,
        });
        Tiers { reduce, cached, default }
    }
}

impl Tiers<State> {
    fn pack(&self) -> TierRecord {
        let tiers = [self.reduce, self.cached, self.default].map(|state| match state {
            State::Off => StoredTier { state: 0, since: U64::ZERO },
            State::On => StoredTier { state: 1, since: U64::ZERO },
            State::Calm { since } => StoredTier { state: 2, since: since.as_nanos().into() },
        });
        TierRecord { tiers }
    }
}

impl Tiers<Switch> {
    /// Which tiers are on at `now`, given how the cluster is. The record that is returned is to be stored, if nobody
    /// has changed it meanwhile; none is while nothing changes.
    pub fn judge(
        &self,
        record: &TierRecord,
        signals: &Signals,
        breaker: Phase,
        now: Timestamp,
    ) -> (Option<TierRecord>, Tiers<bool>) {
        let old = record.states();
        let next = |switch: Switch, state| match switch {
            Switch::Measured(rule) => rule.next(state, signals, breaker, now),
            Switch::Never | Switch::Forced(_) => state,
        };
        let on = |switch, state| match switch {
            Switch::Never => false,
            Switch::Measured(_) => state != State::Off,
            Switch::Forced(on) => on,
        };
        let new = Tiers {
            reduce: next(self.reduce, old.reduce),
            cached: next(self.cached, old.cached),
            default: next(self.default, old.default),
        };
        let active = Tiers {
            reduce: on(self.reduce, new.reduce),
            cached: on(self.cached, new.cached),
            default: on(self.default, new.default),
        };
        ((new != old).then(|| new.pack()), active)
    }
}

impl TierRule {
    /// On when a signal is `at` its threshold, off when all have been below the part `leave` of theirs for `hold`
    /// nanoseconds. With less than `min_requests` in the window nothing that is measured counts.
    pub fn new(at: Thresholds, leave: Ratio, hold: u64, min_requests: u32) -> Result<Self, InvalidTier> {
        let none = Thresholds::default();
        let silent = Signals { counts: Counts { requests: 1, ..Counts::default() }, ..Signals::default() };
        match () {
            () if at == none => Err(InvalidTier::NoSignal),
            () if at.reached_by(&silent, 1, Phase::Closed) => Err(InvalidTier::ZeroThreshold),
            () => Ok(Self { at, leave, hold, min_requests }),
        }
    }

    fn next(&self, state: State, signals: &Signals, breaker: Phase, now: Timestamp) -> State {
        let high = |at: &Thresholds| at.reached_by(signals, self.min_requests, breaker);
        let since = match state {
            State::Off if high(&self.at) => return State::On,
            State::Off => return State::Off,
            _ if high(&self.at.scaled(self.leave)) => return State::On,
            State::On => now,
            State::Calm { since } => since.min(now),
        };
        if now.nanos_since(since) >= self.hold { State::Off } else { State::Calm { since } }
    }
}

impl Thresholds {
    fn reached_by(&self, signals: &Signals, min_requests: u32, breaker: Phase) -> bool {
        let (counts, shares) = (&signals.counts, &signals.shares);
        let ratio = |at: Option<Ratio>, share| at.is_some_and(|at| share >= at.millionths());
        let level = |at: Option<u64>, value| at.is_some_and(|at| value >= at);
        let measured = ratio(self.error_ratio, shares.errors)
            || ratio(self.slow_ratio, shares.slow)
            || ratio(self.overload_ratio, shares.overloads)
            || level(self.request_rate, signals.request_rate())
            || level(self.first_byte, signals.first_byte)
            || level(self.total, signals.total)
            || self.anomalous.is_some_and(|at| signals.anomalous >= at);
        (self.breaker && breaker != Phase::Closed) || (measured && counts.requests >= min_requests.max(1))
    }

    fn scaled(&self, part: Ratio) -> Self {
        let whole = |at: u64| part.of(at).max(1);
        let count = |at: u32| u32::try_from(whole(u64::from(at))).unwrap_or(at);
        let ratio = |at: Ratio| Ratio::from_millionths(count(at.millionths())).unwrap_or(at);
        Self {
            error_ratio: self.error_ratio.map(ratio),
            slow_ratio: self.slow_ratio.map(ratio),
            overload_ratio: self.overload_ratio.map(ratio),
            request_rate: self.request_rate.map(whole),
            first_byte: self.first_byte.map(whole),
            total: self.total.map(whole),
            anomalous: self.anomalous.map(count),
            breaker: self.breaker,
        }
    }
}

#[cfg(test)]
mod tests;
