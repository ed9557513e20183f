//! Whether requests reach a cluster at all. Closed, they do. Too many errors, or too many slow answers, among enough
//! requests trip it: open, none does. When its time is up it is half-open: as many requests as there are to be probes
//! go, the others do not. When all of them passed it recovers; one that failed opens it again for twice
//! as long, up to a cap. A breaker that stayed closed for as long as that cap begins anew.
//!
//! A probe is a lease: one whose worker died is given to another request when it expires, and what it says after that
//! is not heard. Only answers since the breaker closed count, so what tripped it cannot trip it again. Times
//! further ahead than the rule can have put them (the clock stepped back) are replaced by those it would put now.
//!
//! Source: Nygard, "Release It!" (2007), chapter 5.

use crate::health::outcome::Outcome;
use crate::health::window::Counts;
use crate::packed::{Reader, Writer};
use crate::ratio::Ratio;
use crate::timestamp::Timestamp;
use core::fmt;

/// The most probes that a breaker can be asked to send.
pub const MAX_PROBES: u32 = 8;

const BYTES: usize = 121;

/// When a breaker opens, and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRule {
    /// Requests in the window below which nothing trips it, at least 1.
    pub min_requests: u32,
    /// The part of them that failed which trips it, more than none.
    pub error_ratio: Ratio,
    /// The part of them that were slow which trips it, if any does, more than none.
    pub slow_ratio: Option<Ratio>,
    /// Nanoseconds that it is open the first time, more than none.
    pub open_for: u64,
    /// Nanoseconds that it is open at most, at least `open_for`.
    pub max_open_for: u64,
    /// How many probes must pass, 1 to [`MAX_PROBES`].
    pub probes: u32,
    /// Nanoseconds after which a probe that has not come back is given up: more than a request may take.
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
    number: u32,
}

/// One breaker's state, as the bytes that the store holds: phase (1), when it closed or will be half-open (8), how
/// long it was last open (8), probes passed and sent (4 each), leases of number (4) and expiry (8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerRecord {
    bytes: [u8; BYTES],
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    phase: Phase,
    turn: Timestamp,
    open_for: u64,
    passed: u32,
    sent: u32,
    leases: [Lease; 8],
}

#[derive(Clone, Copy, Debug, Default)]
struct Lease {
    number: u32,
    expires: Timestamp,
}

impl Default for BreakerRecord {
    fn default() -> Self {
        Self { bytes: [0; BYTES] }
    }
}

impl BreakerRecord {
    /// From the store's bytes. What is missing is a breaker that never opened.
    pub fn from_bytes(stored: &[u8]) -> Self {
        Self { bytes: Reader::new(stored).bytes() }
    }

    /// For the store.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the breaker is doing. One that is open may be due to become half-open with the next request.
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    fn state(&self) -> State {
        let mut from = Reader::new(&self.bytes);
        let phase = match from.u8() {
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            _ => Phase::Closed,
        };
        let turn = Timestamp::from_nanos(from.u64());
        let (open_for, passed, sent) = (from.u64(), from.u32(), from.u32());
        let lease = |_| Lease { number: from.u32(), expires: Timestamp::from_nanos(from.u64()) };
        State { phase, turn, open_for, passed, sent, leases: [(); 8].map(lease) }
    }
}

impl State {
    fn pack(&self) -> BreakerRecord {
        let mut into = Writer::<BYTES>::default();
        let phase: u8 = match self.phase {
            Phase::Closed => 0,
            Phase::Open => 1,
            Phase::HalfOpen => 2,
        };
        into.put([phase]).put(self.turn.as_nanos().to_le_bytes()).put(self.open_for.to_le_bytes());
        into.put(self.passed.to_le_bytes()).put(self.sent.to_le_bytes());
        for lease in &self.leases {
            into.put(lease.number.to_le_bytes()).put(lease.expires.as_nanos().to_le_bytes());
        }
        BreakerRecord { bytes: into.finish() }
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

    /// What is said to a request at `now`, given what answers `since` a time were. The record that is returned is to
    /// be stored, if nobody has changed it meanwhile; only then is what was said true.
    pub fn judge(
        &self,
        record: &BreakerRecord,
        since: impl FnOnce(Timestamp) -> Counts,
        now: Timestamp,
    ) -> (Option<BreakerRecord>, Ruling) {
        let state = record.state();
        match state.phase {
            Phase::Closed if state.turn > now => (Some(State { turn: now, ..state }.pack()), Ruling::Admit),
            Phase::Closed if self.trips(&since(state.turn)) => {
                let lasted = now.nanos_since(state.turn) >= self.rule.max_open_for;
                let open_for = if lasted { 0 } else { state.open_for };
                self.refuse(self.opened(State { open_for, ..state }, now), now)
            }
            Phase::Closed => (None, Ruling::Admit),
            Phase::Open => match state.turn.nanos_since(now) {
                0 => self.send(
                    State { phase: Phase::HalfOpen, passed: 0, leases: [Lease::default(); 8], ..state },
                    now,
                ),
                wait if wait <= self.rule.max_open_for => (None, Ruling::Refuse { wait }),
                _ => self.refuse(State { turn: now.plus(self.rule.max_open_for), ..state }, now),
            },
            Phase::HalfOpen if state.passed >= self.rule.probes => {
                (Some(closed(state, now).pack()), Ruling::Admit)
            }
            Phase::HalfOpen => self.send(state, now),
        }
    }

    /// The record after `probe` showed `outcome` at `now`, `slow` or not; `None` if it is not waited for any more.
    /// What says nothing lets another request be the probe.
    pub fn report(
        &self,
        record: &BreakerRecord,
        probe: Probe,
        outcome: Outcome,
        slow: bool,
        now: Timestamp,
    ) -> Option<BreakerRecord> {
        let mut state = record.state();
        if state.phase != Phase::HalfOpen {
            return None;
        }
        let held = |lease: &&mut Lease| lease.number == probe.number && self.is_held(lease, now);
        *state.leases.iter_mut().find(held)? = Lease::default();
        let broke = matches!(outcome, Outcome::Failure | Outcome::Broken);
        let failed = broke || (slow && self.rule.slow_ratio.is_some());
        let next = match outcome {
            Outcome::Ignored => state,
            _ if failed => self.opened(state, now),
            _ => {
                let state = State { passed: state.passed.saturating_add(1), ..state };
                if state.passed < self.rule.probes { state } else { closed(state, now) }
            }
        };
        Some(next.pack())
    }

    fn trips(&self, counts: &Counts) -> bool {
        let reached = |ratio: Ratio, part| ratio.reached_by(part, counts.requests);
        let slow = self.rule.slow_ratio.is_some_and(|ratio| reached(ratio, counts.slow));
        counts.requests >= self.rule.min_requests && (slow || reached(self.rule.error_ratio, counts.errors))
    }

    fn opened(&self, state: State, now: Timestamp) -> State {
        let doubled = state.open_for.saturating_mul(2);
        let open_for = doubled.clamp(self.rule.open_for, self.rule.max_open_for);
        State { phase: Phase::Open, turn: now.plus(open_for), open_for, ..state }
    }

    fn refuse(&self, state: State, now: Timestamp) -> (Option<BreakerRecord>, Ruling) {
        (Some(state.pack()), Ruling::Refuse { wait: state.turn.nanos_since(now) })
    }

    fn send(&self, mut state: State, now: Timestamp) -> (Option<BreakerRecord>, Ruling) {
        let held = state.leases.map(|lease| if self.is_held(&lease, now) { lease } else { Lease::default() });
        let left = held.iter().map(|lease| lease.expires.nanos_since(now)).filter(|left| *left > 0);
        let under_way = u32::try_from(left.clone().count()).unwrap_or(MAX_PROBES);
        if state.passed.saturating_add(under_way) >= self.rule.probes {
            return (None, Ruling::Refuse { wait: left.min().unwrap_or(self.rule.probe_ttl) });
        }
        let probe = Probe { number: state.sent.wrapping_add(1) };
        state = State { sent: probe.number, leases: held, ..state };
        if let Some(free) = state.leases.iter_mut().find(|lease| lease.expires <= now) {
            *free = Lease { number: probe.number, expires: now.plus(self.rule.probe_ttl) };
        }
        (Some(state.pack()), Ruling::Probe(probe))
    }

    fn is_held(&self, lease: &Lease, now: Timestamp) -> bool {
        let left = lease.expires.nanos_since(now);
        left > 0 && left <= self.rule.probe_ttl.saturating_mul(2)
    }
}

fn closed(state: State, now: Timestamp) -> State {
    State { phase: Phase::Closed, turn: now, passed: 0, leases: [Lease::default(); 8], ..state }
}

#[cfg(test)]
mod tests;
