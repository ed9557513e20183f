//! When a client whose request failed is told to come back, or to stop. The SDKs add no jitter to a server's delay
//! and do as it says, so what is told is all the spread that there is: a random part of base * 2^attempt (full jitter),
//! behind those who were told before. Each worker counts the crowd that it has told, lets it back at one every 20 ms,
//! and begins a new round when that takes 5 s, so that no number of clients pushes the others further away. What
//! would pass the end of the round, or of the longest wait, begins anew from its start rather than pile up there.
//!
//! A wait that the upstream asks for comes first, whole. One beyond the longest wait, and the last attempt, mean stop.
//!
//! Source: Brooker, "Exponential Backoff and Jitter" (AWS, 2015).

use crate::refused::MAX_RETRY;
use crate::timestamp::MILLISECOND;
use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

pub use asked::{Asked, MAX_ASKED, asked, reset};

mod asked;

/// One of the crowd comes back in so many nanoseconds, on each worker.
const PACE: u64 = 20 * MILLISECOND;

/// The longest round of a crowd, in nanoseconds.
const ROUND: u64 = 5_000 * MILLISECOND;

/// What clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    base: u64,
    max: u64,
    attempts: u32,
}

/// Why there are no such hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHints {
    /// The base is not 1 ms to the longest wait.
    Base,
    /// The longest wait is not 1 ms to 60 s.
    Max,
    /// The attempts are not 1 to 100.
    Attempts,
}

impl fmt::Display for InvalidHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "accepted is 1ms to the value of max",
            Self::Max => "accepted is 1ms to 60s",
            Self::Attempts => "accepted is 1 to 100",
        })
    }
}

/// What one client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Nanoseconds, at least 1 ms.
    pub wait: u64,
    /// Whether to come back at all; if so, the wait is at most 60 s.
    pub should_retry: bool,
}

/// Those whom one worker has told to come back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    spoken_for: Timestamp,
}

impl Crowd {
    /// How far back the next one stands, less than [`ROUND`].
    fn queue(&mut self, now: Timestamp) -> u64 {
        let place = self.spoken_for.nanos_since(now);
        let place = if place < ROUND { place } else { 0 };
        self.spoken_for = now.plus(place).plus(PACE);
        place
    }
}

impl Hints {
    /// The shortest round and the longest wait, in nanoseconds, and after how many attempts to stop.
    pub const fn parts(&self) -> (u64, u64, u32) {
        (self.base, self.max, self.attempts)
    }

    /// A first wait of up to `base`, doubled with each attempt up to `max`, for so many attempts in all.
    pub fn new(base: Duration, max: Duration, attempts: u32) -> Result<Self, InvalidHints> {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let (base, max) = (nanos(base), nanos(max));
        if !(MILLISECOND..=MAX_RETRY).contains(&max) {
            Err(InvalidHints::Max)
        } else if !(MILLISECOND..=max).contains(&base) {
            Err(InvalidHints::Base)
        } else if !(1..=100).contains(&attempts) {
            Err(InvalidHints::Attempts)
        } else {
            Ok(Self { base, max, attempts })
        }
    }

    /// What to tell a client whose attempt number `attempt` (the first is 0) failed at `now`, if the upstream
    /// `asked` for a wait of so many nanoseconds.
    pub fn hint(
        &self,
        crowd: &mut Crowd,
        attempt: u32,
        asked: Option<u64>,
        now: Timestamp,
        random: u64,
    ) -> Hint {
        let doubled = 1_u64.checked_shl(attempt).unwrap_or(u64::MAX);
        let ceiling = self.base.saturating_mul(doubled).min(self.max);
        let jitter = jitter(ceiling, random);
        let asked = asked.unwrap_or(0);
        if asked > self.max || attempt.saturating_add(1) >= self.attempts {
            return Hint { wait: asked.saturating_add(jitter).max(MILLISECOND), should_retry: false };
        }
        let room = ceiling.max(ROUND).min(self.max.saturating_sub(asked));
        let behind = crowd.queue(now).saturating_add(jitter).checked_rem(room).unwrap_or(0);
        Hint { wait: asked.saturating_add(behind).max(MILLISECOND), should_retry: true }
    }
}

/// A part of `most` nanoseconds, less than all of it, of which all are equally likely if all values of `random` are.
pub fn jitter(most: u64, random: u64) -> u64 {
    u64::try_from(u128::from(most).saturating_mul(u128::from(random)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
