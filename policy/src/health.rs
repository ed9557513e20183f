//! Measures the health of a cluster in one record that all workers share: a sliding window of the outcomes of its
//! requests, the times until its responses began and ended, and whether these are anomalous. Each response is one
//! update of the record; reading it changes nothing.
//!
//! Ratios and latencies are means over clients (see [`clients`]). Clients are distinguished once by address and once by
//! key, and the lower value counts, so neither made-up keys from one address nor one key from many addresses pass for
//! many clients. Each slot is compared with the slots before it to detect anomalies.

pub mod anomaly;
pub mod clients;
pub mod outcome;
pub mod window;

use crate::record::{Fixed, Record, Ways};
use crate::timestamp::Timestamp;
use anomaly::{Detector, Finding, MAX_VALUE};
use clients::{Clients, Shares, Trouble};
use core::fmt;
use core::time::Duration;
use outcome::Outcome;
use std::borrow::Cow;
use window::{Counts, SLOTS, Sum, Window};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The size of a record, in bytes.
pub const BYTES: usize = size_of::<Stored>();

/// The shortest window, in nanoseconds: 100 ms.
pub const MIN_WINDOW: u64 = 100_000_000;

/// The longest window, in nanoseconds: 1 h.
pub const MAX_WINDOW: u64 = 3_600_000_000_000;

/// The parameters of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthRule {
    slot: u64,
    slow_after: u64,
}

/// The reason why parameters measure nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHealth {
    /// The window is shorter than [`MIN_WINDOW`] or longer than [`MAX_WINDOW`].
    Window,
    /// Every response would be slow.
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
    /// Creates a rule for a window of this length. A response is slow if it has not begun after `slow_after`.
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

    /// Returns true if a sample of `then` is still in the window at `now`.
    pub fn holds(&self, then: Timestamp, now: Timestamp) -> bool {
        let slot = |at: Timestamp| at.as_nanos().checked_div(self.slot).unwrap_or(0);
        slot(now).saturating_sub(slot(then)) < SLOTS
    }

    /// Returns true if a sample counts.
    fn hears(&self, sample: &Sample) -> bool {
        match sample.outcome {
            Outcome::Ignored => sample.total.is_some(),
            Outcome::GivenUp => self.is_slow(sample),
            _ => true,
        }
    }

    /// Returns true if a request is slow. If its client gave up, its waiting time counts.
    pub fn is_slow(&self, sample: &Sample) -> bool {
        sample.first_byte.or(sample.total).is_some_and(|waited| waited >= self.slow_after)
    }
}

/// The marks of a client, which distinguish it from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The client's network.
    pub address: u64,
    /// The client's key, or its network if it has none.
    pub key: u64,
}

/// The observation of one request at its first byte, at its end, or at both. A stream may be recorded twice: first with
/// its outcome and first byte, later with its total as [`Outcome::Ignored`], or with the same first byte as
/// [`Outcome::Broken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The client that sent the request.
    pub who: Who,
    /// The outcome of the request for the cluster.
    pub outcome: Outcome,
    /// Nanoseconds until the response began, if it did.
    pub first_byte: Option<u64>,
    /// Nanoseconds until the response ended, failed, or the client gave up.
    pub total: Option<u64>,
}

/// The health of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// All responses in the window.
    pub counts: Counts,
    /// The only client in the window, if all requests have the same address, the same key, or both; a mark that differs
    /// between them is 0.
    pub alone: Option<Who>,
    /// The ratios of troubled requests, as means over clients.
    pub shares: Shares,
    /// The time that the window covers, in nanoseconds.
    pub covered: u64,
    /// The time to the first byte in nanoseconds, as a mean over clients; 0 before the first.
    pub first_byte: u64,
    /// The time to the end in nanoseconds, as a mean over clients; 0 before the first.
    pub total: u64,
    /// The number of consecutive slots with an anomalous time to the first byte.
    pub anomalous: u32,
}

impl Signals {
    /// Returns the requests per 1,000 seconds, rounded down.
    pub fn request_rate(&self) -> u64 {
        let scaled = u128::from(self.counts.requests).saturating_mul(1_000_000_000_000);
        u64::try_from(scaled.checked_div(u128::from(self.covered)).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

/// The record of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    detector: Detector,
    anomalous: u32,
    window: Window,
    by_address: Clients,
    by_key: Clients,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Stored {
    detector: anomaly::Stored,
    anomalous: U32,
    window: window::Stored,
    by_address: Ways<clients::Client, { clients::WAYS }>,
    by_key: Ways<clients::Client, { clients::WAYS }>,
}

impl Record for Health {
    /// Missing fields are unknown.
    fn from_bytes(stored: &[u8]) -> Self {
        let stored = Stored::first_of(stored);
        Self {
            detector: Detector::from(&stored.detector),
            anomalous: stored.anomalous.get(),
            window: Window::from(&stored.window),
            by_address: Clients { rows: stored.by_address },
            by_key: Clients { rows: stored.by_key },
        }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let stored = Stored {
            detector: (&self.detector).into(),
            anomalous: self.anomalous.into(),
            window: (&self.window).into(),
            by_address: self.by_address.rows,
            by_key: self.by_key.rows,
        };
        Cow::Owned(stored.as_bytes().to_vec())
    }
}

impl Health {
    /// Returns the record with `sample`, which arrived at `now`, or `None` if the sample does not count.
    pub fn record(&self, rule: &HealthRule, sample: &Sample, now: Timestamp) -> Option<Self> {
        self.record_all(rule, &[(*sample, now)])
    }

    /// Returns the record with these samples, in the order of their arrival, or `None` if none of them counts.
    pub fn record_all(&self, rule: &HealthRule, samples: &[(Sample, Timestamp)]) -> Option<Self> {
        let mut telling = samples.iter().filter(|(sample, _)| rule.hears(sample)).peekable();
        telling.peek()?;
        let mut health = self.clone();
        telling.for_each(|(sample, now)| health.add(rule, sample, *now));
        Some(health)
    }

    /// Returns the health of the cluster at `now`.
    pub fn signals(&self, rule: &HealthRule, now: Timestamp) -> Signals {
        self.signals_since(rule, Timestamp::default(), now)
    }

    /// Returns the health of the cluster at `now`, from the slots of the window that began at `since` or later.
    pub fn signals_since(&self, rule: &HealthRule, since: Timestamp, now: Timestamp) -> Signals {
        let Sum { counts, covered, slots } = self.window.sum(rule.slot, since, now);
        let anomalous = if counts.requests > 0 { self.anomalous } else { 0 };
        let (by_address, by_key) = (self.by_address.survey(slots), self.by_key.survey(slots));
        Signals {
            counts,
            alone: by_address.only.or(by_key.only).map(|_| Who {
                address: by_address.only.unwrap_or_default(),
                key: by_key.only.unwrap_or_default(),
            }),
            shares: by_address.shares.min(by_key.shares),
            covered,
            first_byte: by_address.first_byte.min(by_key.first_byte),
            total: by_address.total.min(by_key.total),
            anomalous,
        }
    }

    fn add(&mut self, rule: &HealthRule, sample: &Sample, now: Timestamp) {
        self.advance(rule, now);
        let place = self.window.place(now);
        let (outcome, slow) = (sample.outcome, rule.is_slow(sample));
        let trouble =
            Trouble { error: outcome == Outcome::Failure, slow, overload: outcome == Outcome::Overload };
        let succeeded = outcome == Outcome::Success;
        let first_byte = sample.first_byte.filter(|_| succeeded).map(|nanos| nanos.min(MAX_VALUE));
        let broken = sample.first_byte.unwrap_or(0).min(MAX_VALUE);
        let total = sample.total.filter(|_| succeeded || outcome == Outcome::Ignored);
        for (clients, mark) in
            [(&mut self.by_address, sample.who.address), (&mut self.by_key, sample.who.key)]
        {
            match outcome {
                Outcome::Ignored => {}
                Outcome::Broken => clients.broke(mark, place, broken),
                _ => clients.add(mark, place, trouble, first_byte),
            }
            if let Some(total) = total {
                clients.took(mark, total.min(MAX_VALUE));
            }
        }
        match outcome {
            Outcome::Ignored => {}
            Outcome::Broken => self.window.withdraw(now),
            _ => self.window.add(
                Counts {
                    requests: 1,
                    errors: u32::from(trouble.error),
                    slow: u32::from(slow),
                    overloads: u32::from(trouble.overload),
                },
                now,
            ),
        }
    }

    fn advance(&mut self, rule: &HealthRule, now: Timestamp) {
        if self.window.is_at(rule.slot, now) {
            return;
        }
        let newest = self.window.newest();
        let means = [&self.by_address, &self.by_key].map(|clients| clients.newest(newest));
        let (by_address, by_key) = (&mut self.by_address, &mut self.by_key);
        let is_over = self.window.advance(rule.slot, now, |place| {
            by_address.clear(place);
            by_key.clear(place);
        });
        by_address.turn();
        by_key.turn();
        let Some(mean) = means.into_iter().flatten().min().filter(|_| is_over) else { return };
        self.anomalous = match self.detector.observe(mean) {
            Finding::High => self.anomalous.saturating_add(1),
            _ => 0,
        };
    }
}

#[cfg(test)]
mod tests;
