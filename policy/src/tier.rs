//! Decides how far responses are degraded: by less work, by the last good response, or by a default one. Each tier is a
//! switch with hysteresis. It turns on as soon as one of its signals reaches its threshold, and off when all of them
//! have stayed below a fraction of it (half, say) for a hold time. A cluster at its limit therefore does not make it
//! flap.
//!
//! Ratios and latencies are means over clients (see [`crate::health`]), so no client turns a tier on alone while others
//! are served. Measurements count only with enough requests in the window, so a tier that keeps all requests from the
//! cluster ends after its hold time and the cluster is tried again. A drill forces a tier on or off and leaves the
//! record unchanged.

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

/// The size of a record, in bytes.
pub const BYTES: usize = size_of::<[StoredTier; 3]>();

/// The thresholds of a tier, each above 0. Signals without a threshold are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// The ratio of failed requests.
    pub error_ratio: Option<Ratio>,
    /// The ratio of slow requests.
    pub slow_ratio: Option<Ratio>,
    /// The ratio of requests that the cluster refused as overload.
    pub overload_ratio: Option<Ratio>,
    /// The request rate, in requests per 1,000 seconds.
    pub request_rate: Option<u64>,
    /// The time to the first byte of a response, in nanoseconds.
    pub first_byte: Option<u64>,
    /// The time to the end of a response, in nanoseconds.
    pub total: Option<u64>,
    /// The number of consecutive slots with an anomalous time to the first byte.
    pub anomalous: Option<u32>,
    /// True if a breaker that is not closed turns the tier on.
    pub breaker: bool,
}

/// The rule of one measured tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierRule {
    at: Thresholds,
    leave: Ratio,
    hold: u64,
    min_requests: u32,
}

/// The reason why thresholds make no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTier {
    /// No signal has a threshold.
    NoSignal,
    /// A threshold is reached without any requests.
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

/// The control of one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// The tier is never on.
    #[default]
    Never,
    /// The measurements decide.
    Measured(TierRule),
    /// A drill: the tier is on or off, whatever is measured.
    Forced(bool),
}

/// One value for each tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tiers<T> {
    /// Less work per request.
    pub reduce: T,
    /// The last good response.
    pub cached: T,
    /// A default response.
    pub default: T,
}

/// The tiers that are on, in the store's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRecord {
    tiers: [StoredTier; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredTier {
    /// 1 for on, 2 for on with low signals, else off.
    state: u8,
    /// The time since which the signals are low.
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
    /// Missing tiers are off.
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
    /// Decides which tiers are on at `now`. The caller stores the returned record, if there is one and nobody has
    /// changed the stored one in the meantime.
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
    /// Creates a rule. The tier turns on when a signal reaches its threshold in `at`, and off when all signals have
    /// been below the fraction `leave` of theirs for `hold` nanoseconds. Measurements count only with at least
    /// `min_requests` in the window.
    pub fn new(at: Thresholds, leave: Ratio, hold: u64, min_requests: u32) -> Result<Self, InvalidTier> {
        let none = Thresholds::default();
        let silent = Signals { counts: Counts { requests: 1, ..Counts::default() }, ..Signals::default() };
        if at == none {
            Err(InvalidTier::NoSignal)
        } else if at.reached_by(&silent, 1, Phase::Closed) {
            Err(InvalidTier::ZeroThreshold)
        } else {
            Ok(Self { at, leave, hold, min_requests })
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
