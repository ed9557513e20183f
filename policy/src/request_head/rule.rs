//! Judges how slowly a head arrives. It must be complete within `timeout` and, once `grace` has passed since its first
//! byte, must never have fewer bytes than `min_rate` times the time since that byte. This is an average over the head,
//! as in Apache's RequestReadTimeout: early bytes are a credit and later bytes repay a deficit. If heads are judged at
//! intervals, a slow one is cut at most one interval late.
//!
//! The rate counts from the first byte, the timeout from the beginning of the head. On a new connection that is its
//! opening, so a silent connection is closed by the timeout and not by the grace.

use super::Progress;
use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// The limits on the time that a head may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRule {
    timeout: u64,
    pace: Option<Pace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    min_rate: u64,
    grace: u64,
}

/// The reason why a timeout, a rate and a grace make no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHeadRule {
    /// No head is complete within no time.
    ZeroTimeout,
    /// A rate of zero limits nothing.
    ZeroRate,
    /// The timeout would always come before the rate applies.
    GraceNotShorter,
}

impl fmt::Display for InvalidHeadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroTimeout => "a timeout longer than 0 is accepted",
            Self::ZeroRate => "a rate of at least 1B/s is accepted",
            Self::GraceNotShorter => "a grace shorter than the timeout is accepted",
        })
    }
}

/// The limit that a head exceeded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooSlow {
    /// The head was incomplete at the timeout.
    Timeout,
    /// The head was slower than the minimum rate.
    Rate,
}

impl HeadRule {
    /// Creates a rule that requires a head to be complete within `timeout`.
    pub fn within(timeout: Duration) -> Result<Self, InvalidHeadRule> {
        match nanos(timeout) {
            0 => Err(InvalidHeadRule::ZeroTimeout),
            timeout => Ok(Self { timeout, pace: None }),
        }
    }

    /// Adds the requirement of at least `min_rate` bytes per second, once `grace` has passed since the first byte.
    pub fn paced(self, min_rate: u64, grace: Duration) -> Result<Self, InvalidHeadRule> {
        let grace = nanos(grace);
        if min_rate == 0 {
            return Err(InvalidHeadRule::ZeroRate);
        }
        if grace >= self.timeout {
            return Err(InvalidHeadRule::GraceNotShorter);
        }
        Ok(Self { pace: Some(Pace { min_rate, grace }), ..self })
    }

    /// Returns the time limit for a whole head, in nanoseconds.
    pub const fn timeout(&self) -> u64 {
        self.timeout
    }

    /// Returns the minimum rate in bytes per second and the grace in nanoseconds, if there is a rate.
    pub const fn pace(&self) -> Option<(u64, u64)> {
        match &self.pace {
            Some(pace) => Some((pace.min_rate, pace.grace)),
            None => None,
        }
    }

    /// Returns the time at which this head will be too slow if no byte arrives before.
    ///
    /// # Errors
    /// Returns the exceeded limit if the head is already too slow at `now`.
    pub fn judge(&self, progress: Progress, now: Timestamp) -> Result<Timestamp, TooSlow> {
        let deadline = progress.since.plus(self.timeout);
        let (due, broken) = match self.pace.zip(progress.paced_since) {
            Some((pace, first)) if first.plus(pace.lasts(progress.bytes)) < deadline => {
                (first.plus(pace.lasts(progress.bytes)), TooSlow::Rate)
            }
            _ => (deadline, TooSlow::Timeout),
        };
        if now < due { Ok(due) } else { Err(broken) }
    }
}

impl Pace {
    /// Returns the nanoseconds after which `bytes` are too few.
    fn lasts(&self, bytes: u64) -> u64 {
        let enough = u128::from(bytes).saturating_mul(NANOS).checked_div(u128::from(self.min_rate));
        let enough = enough.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(u64::MAX);
        enough.saturating_add(1).max(self.grace)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
