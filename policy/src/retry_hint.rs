//! When a client whose request failed is told to come back, or to stop. The SDKs add no jitter to a server's delay
//! and do as it says, so what is told is all the spread that there is: a random part of base * 2^attempt (full jitter),
//! behind those who were told before. Each worker counts the crowd that it has told, lets it back at one every 10 ms,
//! and begins a new round when the crowd reaches 10 s, so that no number of clients pushes the others further away.
//! Where a wait would pass the longest one it begins anew from zero rather than pile up there.
//!
//! The jitter runs in steps of the golden ratio from a random start, which fills every stretch evenly instead of only
//! on average. A wait that the upstream asks for, if longer, is kept and the jitter added; one beyond the longest wait,
//! and the last attempt, mean stop. Source: Brooker, "Exponential Backoff and Jitter" (AWS, 2015); Weyl sequences.

use crate::refused::MAX_RETRY;
use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

pub use asked::{MAX_ASKED, asked};

mod asked;

const MILLISECOND: u64 = 1_000_000;

/// One of the crowd comes back in so many nanoseconds, on each worker.
const PACE: u64 = 10 * MILLISECOND;

/// The longest round of a crowd, in nanoseconds.
const MAX_ROUND: u64 = 10_000 * MILLISECOND;

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

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
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    spoken_for: Timestamp,
    turn: u64,
}

impl Crowd {
    /// Nobody yet; `random` sets it apart from the other workers'.
    pub const fn new(random: u64) -> Self {
        Self { spoken_for: Timestamp::from_nanos(0), turn: random }
    }

    /// How far back the next one stands, less than `round`.
    fn queue(&mut self, round: u64, now: Timestamp) -> u64 {
        let place = self.spoken_for.nanos_since(now);
        let place = if place < round { place } else { 0 };
        self.spoken_for = now.plus(place).plus(PACE);
        place
    }

    /// A part of `ceiling`, less than it.
    fn jitter(&mut self, ceiling: u64) -> u64 {
        self.turn = self.turn.wrapping_add(GOLDEN);
        let part = u128::from(ceiling).saturating_mul(u128::from(self.turn)) >> 64;
        u64::try_from(part).unwrap_or(0)
    }
}

impl Hints {
    /// A first wait of up to `base`, doubled with each attempt up to `max`, for so many attempts in all.
    pub fn new(base: Duration, max: Duration, attempts: u32) -> Result<Self, InvalidHints> {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let (base, max) = (nanos(base), nanos(max));
        match () {
            () if !(MILLISECOND..=MAX_RETRY).contains(&max) => Err(InvalidHints::Max),
            () if !(MILLISECOND..=max).contains(&base) => Err(InvalidHints::Base),
            () if !(1..=100).contains(&attempts) => Err(InvalidHints::Attempts),
            () => Ok(Self { base, max, attempts }),
        }
    }

    /// What to tell a client whose attempt number `attempt` (the first is 0) failed at `now`, if the upstream
    /// `asked` for a wait of so many nanoseconds.
    pub fn hint(&self, crowd: &mut Crowd, attempt: u32, asked: Option<u64>, now: Timestamp) -> Hint {
        let doubled = 1_u64.checked_shl(attempt).unwrap_or(u64::MAX);
        let jitter = crowd.jitter(self.base.saturating_mul(doubled).min(self.max));
        let too_long = asked.filter(|asked| *asked > self.max);
        if too_long.is_some() || attempt.saturating_add(1) >= self.attempts {
            let wait = jitter.max(asked.unwrap_or(0)).max(MILLISECOND);
            return Hint { wait, should_retry: false };
        }
        let behind = crowd.queue(self.max.min(MAX_ROUND), now).saturating_add(jitter);
        let own = folded(behind, self.max);
        let wait = match asked.filter(|asked| *asked > own) {
            Some(asked) => asked.saturating_add(folded(behind, self.max.saturating_sub(asked))),
            None => own,
        };
        Hint { wait: wait.max(MILLISECOND), should_retry: true }
    }
}

fn folded(wait: u64, room: u64) -> u64 {
    wait.checked_rem(room).unwrap_or(0)
}

#[cfg(test)]
mod tests;
