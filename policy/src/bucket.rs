//! A token bucket stored as one instant: GCRA's theoretical arrival time (TAT), when the bucket is full again. It takes
//! eight bytes, no refill timer, and does not drift. Each token taken moves the TAT one emission interval ahead, and a
//! request conforms if the TAT then lies no further ahead than the refill time.
//!
//! Only [`Bucket::settle`] can push the TAT further: real usage must be paid before anything else is admitted, or a
//! client that understates its cost would never pay. Each bucket bounds that debt. A TAT beyond the bound (the clock
//! stepped back, or a reload made the bucket smaller) counts as the deepest debt, by default an empty bucket, so no
//! client is locked out for longer than a refill.
//!
//! Source: ITU-T I.371, Annex A (virtual scheduling algorithm).

use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

const NANOS_PER_MICRO: u64 = 1_000;

/// The longest time a bucket may need to refill from empty, in nanoseconds: 31 days.
pub const MAX_REFILL: u64 = 31 * 86_400 * 1_000_000_000;

/// A number of requests per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of requests, at least 1.
    pub requests: u32,
    /// The period.
    pub period: Duration,
}

/// A bucket that can be enforced: at most one token a microsecond, refilled from empty within 31 days.
///
/// ```
/// use core::time::Duration;
/// use tidegate_policy::bucket::{Bucket, Rate, Take};
/// use tidegate_policy::timestamp::Timestamp;
///
/// let rate = Rate { requests: 10, period: Duration::from_secs(1) };
/// let bucket = Bucket::new(rate, 2).expect("10/s and bursts of 2 can be enforced");
/// let now = Timestamp::from_nanos(1_000_000_000);
///
/// // The only state of a client is the `tat` of its last charge.
/// let Take::Now { tat } = bucket.take(None, now, 1) else { panic!("a new bucket is full") };
/// let Take::Now { tat } = bucket.take(Some(tat), now, 1) else { panic!("it holds two tokens") };
/// let Take::NotYet { wait } = bucket.take(Some(tat), now, 1) else { panic!("both are taken") };
///
/// // The wait is exact: a token is available then, and not a nanosecond earlier.
/// assert_eq!(wait, 100_000_000);
/// assert!(matches!(bucket.take(Some(tat), now.plus(wait), 1), Take::Now { .. }));
/// assert_eq!(bucket.take(Some(tat), now.plus(wait - 1), 1), Take::NotYet { wait: 1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    interval: u64,
    refill: u64,
    promised: u64,
    debt: u64,
    capacity: u32,
}

/// The reason why a rate and a burst make no bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBucket {
    /// The rate or its period is zero, so the bucket would admit nothing or everything.
    ZeroRate,
    /// The bucket would hold nothing and admit nothing.
    ZeroBurst,
    /// The rate is above 1,000,000 per second.
    RateTooHigh,
    /// An empty bucket would take more than 31 days to refill.
    RefillTooLong,
}

impl fmt::Display for InvalidBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroRate => "a rate of at least 1 is accepted",
            Self::ZeroBurst => "a burst of at least 1 is accepted",
            Self::RateTooHigh => "at most 1000000/s is accepted",
            Self::RefillTooLong => {
                "the burst would take more than 31 days to refill; a higher rate or a smaller burst is accepted"
            }
        })
    }
}

/// The decision of a bucket on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The cost is available and was taken.
    Now {
        /// The TAT after this request.
        tat: Timestamp,
    },
    /// The cost will be available soon enough to be promised, and was taken in advance.
    Later {
        /// The time in nanoseconds until the cost is available, at least 1.
        wait: u64,
        /// The TAT after this request.
        tat: Timestamp,
    },
    /// The cost is not available, and nothing was taken.
    NotYet {
        /// The exact time in nanoseconds until the cost is available, at least 1.
        wait: u64,
    },
    /// The cost exceeds the capacity. Nothing was taken, and waiting does not help.
    Never,
}

/// A cost that was taken before the real usage is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The number of tokens.
    pub cost: u32,
    /// The TAT just after they were taken.
    pub tat: Timestamp,
}

/// The level of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The number of whole tokens that the bucket can hold.
    pub capacity: u32,
    /// The number of whole tokens left.
    pub remaining: u32,
    /// The time in nanoseconds until the bucket is full.
    pub reset: u64,
}

impl Level {
    /// Returns the level with fewer tokens left, or on a tie the one that takes longer to refill.
    #[must_use]
    pub fn tightest(self, other: Self) -> Self {
        let order = |level: &Self| (level.remaining, core::cmp::Reverse(level.reset));
        if order(&other) < order(&self) { other } else { self }
    }
}

impl Bucket {
    /// Creates a bucket that holds `burst` tokens and refills at `rate`. The emission interval is rounded up to whole
    /// nanoseconds, so the bucket is never faster than the rate, and slower by less than 1 ns per token.
    pub fn new(rate: Rate, burst: u32) -> Result<Self, InvalidBucket> {
        let period = u64::try_from(rate.period.as_nanos()).unwrap_or(u64::MAX);
        let requests = u64::from(rate.requests);
        if requests == 0 || period == 0 {
            return Err(InvalidBucket::ZeroRate);
        }
        if burst == 0 {
            return Err(InvalidBucket::ZeroBurst);
        }
        if period < requests.saturating_mul(NANOS_PER_MICRO) {
            return Err(InvalidBucket::RateTooHigh);
        }
        let interval = period.div_ceil(requests);
        match interval.checked_mul(u64::from(burst)) {
            Some(refill) if refill <= MAX_REFILL => {
                Ok(Self { interval, refill, promised: 0, debt: 0, capacity: burst })
            }
            _ => Err(InvalidBucket::RefillTooLong),
        }
    }

    /// Returns the same bucket, with tokens that may be promised up to `ahead` before they are available.
    #[must_use]
    pub fn promising(self, ahead: Duration) -> Self {
        Self { promised: u64::try_from(ahead.as_nanos()).unwrap_or(MAX_REFILL).min(MAX_REFILL), ..self }
    }

    /// Returns the same bucket, with a debt of up to `cost` tokens for usage that exceeds the cost taken.
    #[must_use]
    pub fn owing(self, cost: u32) -> Self {
        Self { debt: self.time_of(cost).min(MAX_REFILL), ..self }
    }

    /// Returns the nanoseconds in which `cost` tokens are added.
    pub fn time_of(&self, cost: u32) -> u64 {
        self.interval.saturating_mul(u64::from(cost))
    }

    /// Returns the emission interval: the nanoseconds in which one token is added.
    pub const fn interval(&self) -> u64 {
        self.interval
    }

    /// Returns the number of whole tokens that the bucket can hold.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Returns the burst tolerance in nanoseconds: how far the TAT lies ahead of now with exactly one token left. A
    /// request that costs one token conforms if and only if `tat <= now + tolerance`.
    pub const fn tolerance(&self) -> u64 {
        self.refill.saturating_sub(self.interval)
    }

    /// Returns how long before they are available tokens may be promised, in nanoseconds.
    pub const fn promised(&self) -> u64 {
        self.promised
    }

    /// Returns true if a token that is `wait` nanoseconds away may be promised.
    pub const fn promises(&self, wait: u64) -> bool {
        wait <= self.promised
    }

    /// Takes `cost` tokens at `now` from the bucket `tat`, which is full if absent or past. A cost of 0 is refused only
    /// while the bucket is in debt.
    pub fn take(&self, tat: Option<Timestamp>, now: Timestamp, cost: u32) -> Take {
        if cost > self.capacity {
            return Take::Never;
        }
        let found = self.plausible(tat, now);
        let time = self.time_of(cost);
        let tat = found.plus(time);
        match found.nanos_since(now.plus(self.refill.saturating_sub(time))) {
            0 => Take::Now { tat },
            wait if self.promises(wait) => Take::Later { wait, tat },
            wait => Take::NotYet { wait },
        }
    }

    /// Returns the level of the bucket `tat` at `now`.
    pub fn level(&self, tat: Option<Timestamp>, now: Timestamp) -> Level {
        let reset = self.plausible(tat, now).nanos_since(now);
        let tokens = self.refill.saturating_sub(reset).checked_div(self.interval).unwrap_or(0);
        let remaining = u32::try_from(tokens).unwrap_or(self.capacity);
        Level { capacity: self.capacity, remaining, reset }
    }

    /// Gives back `cost` tokens to the bucket `tat`, as if they had never been taken.
    #[must_use]
    pub fn give_back(&self, tat: Timestamp, cost: u32) -> Timestamp {
        Timestamp::from_nanos(tat.as_nanos().saturating_sub(self.time_of(cost)))
    }

    /// Settles what was `taken` from the bucket `tat`, once it is known at `now` how many tokens were `used`.
    ///
    /// Usage above the cost is taken too, and may leave the bucket in debt. Otherwise the rest is given back, less what
    /// has been refilled since: those tokens were available to others, and would be spent twice. The bucket is then as
    /// if only the used tokens had been taken. This is exact if one charge is open at a time; several open charges can
    /// count the same refill time more than once in what they give back, so a budget of many long requests records its
    /// charges separately.
    #[must_use]
    pub fn settle(&self, tat: Timestamp, taken: Taken, used: u32, now: Timestamp) -> Timestamp {
        match used.checked_sub(taken.cost) {
            Some(more) => tat.max(now).plus(self.time_of(more)).min(self.furthest(now)),
            None => {
                let unused = self.time_of(taken.cost.saturating_sub(used));
                let still_missing = taken.tat.nanos_since(now);
                Timestamp::from_nanos(tat.as_nanos().saturating_sub(unused.min(still_missing)))
            }
        }
    }

    /// Returns the TAT that replaces `tat` at `now`, if this bucket cannot have put it that far ahead.
    pub fn amended(&self, tat: Timestamp, now: Timestamp) -> Option<Timestamp> {
        Some(self.furthest(now)).filter(|furthest| *furthest < tat)
    }

    fn plausible(&self, tat: Option<Timestamp>, now: Timestamp) -> Timestamp {
        tat.unwrap_or(now).clamp(now, self.furthest(now))
    }

    const fn furthest(&self, now: Timestamp) -> Timestamp {
        now.plus(self.refill.saturating_add(self.promised).saturating_add(self.debt))
    }
}

#[cfg(test)]
mod tests;
