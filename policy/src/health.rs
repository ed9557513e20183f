//! How a cluster is, in one record that all workers share: a sliding window of what its answers were, how long they
//! took to begin and to end, and whether that is out of the ordinary. Every answer is one update of the
//! record; a reading changes nothing.
//!
//! Latencies are exponentially weighted means (1/16 a sample) over answers that succeeded, since a refused
//! connection is fast. Out of the ordinary is judged slot by slot: the mean time to the first byte of each slot against
//! those before it, so that one odd answer among many is none.
//!
//! A record is 320 bytes, little-endian: both means (8 each), the detector (28), how many slots in a row were
//! out of the ordinary (4), the window (256), zeros.

pub mod anomaly;
pub mod outcome;
pub mod window;

use crate::packed::{Reader, Writer};
use crate::timestamp::Timestamp;
use anomaly::{Detector, Finding, MAX_VALUE};
use core::fmt;
use core::time::Duration;
use outcome::Outcome;
use window::{Counts, SLOTS, Sum, Window};

const BYTES: usize = 320;

/// The shortest window, in nanoseconds: 100 ms.
pub const MIN_WINDOW: u64 = 100_000_000;

/// The longest window, in nanoseconds: 1 h.
pub const MAX_WINDOW: u64 = 3_600_000_000_000;

/// How health is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthRule {
    slot: u64,
    slow_after: u64,
}

/// Why a rule measures nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHealth {
    /// The window is shorter than [`MIN_WINDOW`] or longer than [`MAX_WINDOW`].
    Window,
    /// Every answer would be slow.
    ZeroSlowAfter,
}

impl fmt::Display for InvalidHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Window => "a window from 100ms to 1h is accepted",
            Self::ZeroSlowAfter => "a time of at least 1ms after which an answer is slow is accepted",
        })
    }
}

impl HealthRule {
    /// Over a window of so long, an answer being slow that has not begun after `slow_after`.
    pub fn new(window: Duration, slow_after: Duration) -> Result<Self, InvalidHealth> {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&nanos(window)) {
            return Err(InvalidHealth::Window);
        }
        if slow_after.is_zero() {
            return Err(InvalidHealth::ZeroSlowAfter);
        }
        Ok(Self { slot: nanos(window) / SLOTS, slow_after: nanos(slow_after) })
    }

    /// Whether what was told at `then` is still in the window at `now`.
    pub fn holds(&self, then: Timestamp, now: Timestamp) -> bool {
        let slot = |at: Timestamp| at.as_nanos().checked_div(self.slot).unwrap_or(0);
        slot(now).saturating_sub(slot(then)) < SLOTS
    }

    /// Whether a request is slow.
    pub fn is_slow(&self, sample: &Sample) -> bool {
        sample.first_byte.or(sample.total).is_some_and(|waited| waited >= self.slow_after)
    }
}

/// What one request showed, at its first byte, at its end, or at both: a stream may be told once for its outcome
/// and first byte, and once more for its total, that time as [`Outcome::Ignored`], or, with the same first byte, as
/// [`Outcome::Broken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What it says about the cluster.
    pub outcome: Outcome,
    /// Nanoseconds until the answer began, if it did.
    pub first_byte: Option<u64>,
    /// Nanoseconds until it ended, or failed.
    pub total: Option<u64>,
}

/// How a cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// What its answers were, in the window.
    pub counts: Counts,
    /// Nanoseconds that the window covers.
    pub covered: u64,
    /// Nanoseconds until an answer begins; 0 before the first.
    pub first_byte: u64,
    /// Nanoseconds until an answer ends; 0 before the first.
    pub total: u64,
    /// How many slots in a row began to answer later than is ordinary.
    pub anomalous: u32,
}

impl Signals {
    /// Requests per 1,000 seconds, rounded down.
    pub fn request_rate(&self) -> u64 {
        let scaled = u128::from(self.counts.requests).saturating_mul(1_000_000_000_000);
        u64::try_from(scaled.checked_div(u128::from(self.covered)).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

/// One cluster's record, as the bytes that the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    bytes: [u8; BYTES],
}

#[derive(Clone, Copy, Default)]
struct Parts {
    first_byte: u64,
    total: u64,
    detector: Detector,
    anomalous: u32,
    window: Window,
}

impl Default for Health {
    fn default() -> Self {
        Self { bytes: [0; BYTES] }
    }
}

impl Health {
    /// From the store's bytes. What is missing is unknown yet.
    pub fn from_bytes(stored: &[u8]) -> Self {
        Self { bytes: Reader::new(stored).bytes() }
    }

    /// For the store.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The record with `sample`, which came at `now`; `None` if it says nothing.
    pub fn record(&self, rule: &HealthRule, sample: &Sample, now: Timestamp) -> Option<Self> {
        self.record_all(rule, &[(*sample, now)])
    }

    /// The record with these samples, in the order in which they came; `None` if they say nothing.
    pub fn record_all(&self, rule: &HealthRule, samples: &[(Sample, Timestamp)]) -> Option<Self> {
        let mut telling = samples.iter().filter(|(sample, _)| sample.says_something()).peekable();
        telling.peek()?;
        let mut parts = self.parts();
        telling.for_each(|(sample, now)| parts.add(rule, sample, *now));
        Some(parts.pack())
    }

    /// How the cluster is at `now`.
    pub fn signals(&self, rule: &HealthRule, now: Timestamp) -> Signals {
        self.signals_since(rule, Timestamp::default(), now)
    }

    /// How the cluster is at `now`, by the slots of the window that began at `since` or later.
    pub fn signals_since(&self, rule: &HealthRule, since: Timestamp, now: Timestamp) -> Signals {
        let Parts { first_byte, total, window, anomalous, .. } = self.parts();
        let Sum { counts, covered } = window.sum(rule.slot, since, now);
        let anomalous = if counts.requests > 0 { anomalous } else { 0 };
        Signals { counts, covered, first_byte, total, anomalous }
    }

    fn parts(&self) -> Parts {
        let mut from = Reader::new(&self.bytes);
        Parts {
            first_byte: from.u64(),
            total: from.u64(),
            detector: Detector::read(&mut from),
            anomalous: from.u32(),
            window: Window::read(&mut from),
        }
    }
}

impl Sample {
    fn says_something(&self) -> bool {
        self.outcome != Outcome::Ignored || self.total.is_some()
    }
}

impl Parts {
    fn add(&mut self, rule: &HealthRule, sample: &Sample, now: Timestamp) {
        let (first_byte, total) = match sample.outcome {
            Outcome::Success => (sample.first_byte, sample.total),
            Outcome::Ignored => (None, sample.total),
            Outcome::Failure | Outcome::Broken | Outcome::Overload => (None, None),
        };
        self.advance(rule, now);
        if let Some(first_byte) = first_byte {
            self.first_byte = weighted(self.first_byte, first_byte);
        }
        if let Some(total) = total {
            self.total = weighted(self.total, total);
        }
        match sample.outcome {
            Outcome::Ignored => {}
            Outcome::Broken => self.window.withdraw(sample.first_byte.unwrap_or(0).min(MAX_VALUE), now),
            _ => self.window.add(counts(rule, sample), now),
        }
    }

    fn advance(&mut self, rule: &HealthRule, now: Timestamp) {
        let Some(over) = self.window.advance(rule.slot, now) else { return };
        let Some(mean) = over.first_byte.checked_div(u64::from(over.successes())) else { return };
        self.anomalous = match self.detector.observe(mean) {
            Finding::High => self.anomalous.saturating_add(1),
            _ => 0,
        };
    }

    fn pack(&self) -> Health {
        let mut into = Writer::<BYTES>::default();
        into.put(self.first_byte.to_le_bytes()).put(self.total.to_le_bytes());
        self.detector.write(&mut into);
        into.put(self.anomalous.to_le_bytes());
        self.window.write(&mut into);
        Health { bytes: into.finish() }
    }
}

fn counts(rule: &HealthRule, sample: &Sample) -> Counts {
    let succeeded = sample.outcome == Outcome::Success;
    Counts {
        requests: 1,
        errors: u32::from(sample.outcome == Outcome::Failure),
        slow: u32::from(rule.is_slow(sample)),
        overloads: u32::from(sample.outcome == Outcome::Overload),
        first_byte: sample.first_byte.filter(|_| succeeded).unwrap_or(0).min(MAX_VALUE),
    }
}

fn weighted(mean: u64, sample: u64) -> u64 {
    let sample = sample.min(MAX_VALUE);
    match mean {
        0 => sample,
        _ if sample > mean => mean.saturating_add(sample.abs_diff(mean) / 16),
        _ => mean.saturating_sub(sample.abs_diff(mean) / 16),
    }
}

#[cfg(test)]
mod tests;
