//! How slow a head may be: complete within `timeout`, and, once `grace` has passed since its first byte, at no
//! moment fewer bytes than `min_rate` times the time since that byte. It is the average over the head, as in
//! Apache's RequestReadTimeout: bytes that came early are a credit, bytes that come again repay a lack, and
//! a head judged only every so often is cut at most that much later.
//!
//! The rate counts from the first byte, the timeout from where the head began: on a new connection that is the
//! moment it was opened, so that one which says nothing is cut by the timeout, not by the grace.

use super::Progress;
use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// How slow a head may be.
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

/// Why a timeout, a rate and a grace make no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHeadRule {
    /// No head is complete in no time.
    ZeroTimeout,
    /// A rate of zero is no rate.
    ZeroRate,
    /// The rate would never be looked at.
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

/// Which part of the rule a head broke first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooSlow {
    /// It is not complete in time.
    Timeout,
    /// It came slower than the minimum rate.
    Rate,
}

impl HeadRule {
    /// A head must be complete within `timeout`.
    pub fn within(timeout: Duration) -> Result<Self, InvalidHeadRule> {
        match nanos(timeout) {
            0 => Err(InvalidHeadRule::ZeroTimeout),
            timeout => Ok(Self { timeout, pace: None }),
        }
    }

    /// And, `grace` after its first byte, must have come at `min_rate` bytes a second or faster.
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

    /// How long a whole head may take, in nanoseconds.
    pub const fn timeout(&self) -> u64 {
        self.timeout
    }

    /// Bytes per second, and after how many nanoseconds they are asked for; `None` if they are not.
    pub const fn pace(&self) -> Option<(u64, u64)> {
        match &self.pace {
            Some(pace) => Some((pace.min_rate, pace.grace)),
            None => None,
        }
    }

    /// Whether the head that got so far is too slow at `now`; else the first instant at which it will be if no
    /// byte comes until then.
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
    /// Nanoseconds after which `bytes` are too few.
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
