//! Decides when a client whose request failed should retry, or that it should stop. The SDKs obey `Retry-After` exactly
//! and add no jitter, so the jitter must be in the header: a random part of base * 2^attempt (full jitter), queued
//! after the clients that this worker has already delayed. Each worker lets its queue back at one client every 20 ms
//! and starts a new round after 5 s, so no number of clients pushes the others further away. A wait beyond the end of
//! the round, or beyond the longest wait, wraps around to the start instead of piling up at the end.
//!
//! A wait that the upstream asks for is added in full. A longer one than the longest wait, and the last attempt, mean
//! stop.
//!
//! Source: Brooker, "Exponential Backoff and Jitter" (AWS, 2015).

use crate::jitter::jitter;
use crate::refused::MAX_RETRY;
use crate::timestamp::MILLISECOND;
use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

pub use asked::{Asked, MAX_ASKED, asked, reset};

mod asked;

/// The interval between two returning clients in nanoseconds, on each worker.
const PACE: u64 = 20 * MILLISECOND;

/// The longest round of a queue, in nanoseconds.
const ROUND: u64 = 5_000 * MILLISECOND;

/// The parameters of the hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    base: u64,
    max: u64,
    attempts: u32,
}

/// The reason why parameters make no hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHints {
    /// The base is not between 1 ms and the longest wait.
    Base,
    /// The longest wait is not 1 ms to 60 s.
    Max,
    /// The number of attempts is not 1 to 100.
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

/// The hint for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The wait in nanoseconds, at least 1 ms.
    pub wait: u64,
    /// True if the client should retry; the wait is then at most 60 s.
    pub should_retry: bool,
}

/// The queue of clients that one worker has invited to retry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    spoken_for: Timestamp,
}

impl Crowd {
    /// Queues one client and returns its delay in nanoseconds, less than [`ROUND`].
    fn queue(&mut self, now: Timestamp) -> u64 {
        let place = self.spoken_for.nanos_since(now);
        let place = if place < ROUND { place } else { 0 };
        self.spoken_for = now.plus(place).plus(PACE);
        place
    }
}

impl Hints {
    /// Returns the base and the longest wait, in nanoseconds, and the number of attempts.
    pub const fn parts(&self) -> (u64, u64, u32) {
        (self.base, self.max, self.attempts)
    }

    /// Creates hints with a first wait of up to `base` that doubles with each attempt up to `max`, and a total of
    /// `attempts`.
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

    /// Returns the hint for a client whose attempt number `attempt` (the first is 0) failed at `now`, if the upstream
    /// `asked` for a wait of this many nanoseconds.
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

#[cfg(test)]
mod tests;
