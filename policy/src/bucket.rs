//! A token bucket kept as one instant: GCRA's theoretical arrival time (TAT), the moment at which the bucket
//! is full again. Eight bytes, no refill timer, no drift. A request conforms when, once its cost is taken, the TAT lies
//! no further ahead than the refill; taking a cost moves the TAT one emission interval ahead for each unit.
//!
//! Only [`Bucket::settle`] can push the TAT beyond the refill: what was used must be paid before anything else is
//! admitted, or a client that understates its cost would never pay. How deep that debt can be is the bucket's own.
//!
//! A TAT further ahead than the bucket can have put it (the clock stepped back, or a reload made the bucket smaller)
//! counts as the deepest debt, by default an empty bucket, so neither locks a client out for longer than a refill.
//!
//! Source: ITU-T I.371, Annex A (virtual scheduling algorithm).

use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

const NANOS_PER_MICRO: u64 = 1_000;

/// The longest time a bucket may need to refill from empty, in nanoseconds: 31 days.
pub const MAX_REFILL: u64 = 31 * 86_400 * 1_000_000_000;

/// `requests` per `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub requests: u32,
    /// In which time.
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
/// // All that is kept of a client is the `tat` that the last answer gave.
/// let Take::Now { tat } = bucket.take(None, now, 1) else { panic!("a new bucket is full") };
/// let Take::Now { tat } = bucket.take(Some(tat), now, 1) else { panic!("it holds two tokens") };
/// let Take::NotYet { wait } = bucket.take(Some(tat), now, 1) else { panic!("both are taken") };
///
/// // The wait is exact: a token is there then, and not a nanosecond earlier.
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

/// Why a rate and a burst make no bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBucket {
    /// A rate of zero, or over no time, never admits or always does.
    ZeroRate,
    /// A bucket that holds nothing admits nothing.
    ZeroBurst,
    /// More than 1,000,000 per second.
    RateTooHigh,
    /// An empty bucket would need more than 31 days to fill.
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

/// What a bucket says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The cost is there. `tat` is the bucket without it.
    Now {
        /// The bucket after this request.
        tat: Timestamp,
    },
    /// The cost will be there in `wait` nanoseconds, soon enough to be promised. `tat` is the bucket without it.
    Later {
        /// Nanoseconds until the cost is there, at least 1.
        wait: u64,
        /// The bucket after this request.
        tat: Timestamp,
    },
    /// The cost is not there; in `wait` nanoseconds, and not earlier, it will be. Nothing is taken.
    NotYet {
        /// Nanoseconds until the cost is there, at least 1.
        wait: u64,
    },
    /// The cost is more than the bucket can ever hold. Nothing is taken, and waiting does not help.
    Never,
}

/// A cost that was taken, until it is known what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many tokens.
    pub cost: u32,
    /// The bucket just after they were taken.
    pub tat: Timestamp,
}

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Whole tokens that the bucket can hold.
    pub capacity: u32,
    /// Whole tokens left.
    pub remaining: u32,
    /// Nanoseconds until it is full.
    pub reset: u64,
}

impl Level {
    /// The one with fewer tokens left; of two alike, the one that is full later.
    #[must_use]
    pub fn tightest(self, other: Self) -> Self {
        let order = |level: &Self| (level.remaining, core::cmp::Reverse(level.reset));
        if order(&other) < order(&self) { other } else { self }
    }
}

impl Bucket {
    /// A bucket that holds `burst` tokens and refills at `rate`. The emission interval is rounded up to whole
    /// nanoseconds: never faster than the rate, and slower by less than 1 ns a token.
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

    /// The same bucket, whose tokens may be promised up to `ahead` before they are there.
    #[must_use]
    pub fn promising(self, ahead: Duration) -> Self {
        Self { promised: u64::try_from(ahead.as_nanos()).unwrap_or(MAX_REFILL).min(MAX_REFILL), ..self }
    }

    /// The same bucket, which may owe up to `cost` tokens once what was used is known.
    #[must_use]
    pub fn owing(self, cost: u32) -> Self {
        Self { debt: self.time_of(cost).min(MAX_REFILL), ..self }
    }

    /// Nanoseconds in which `cost` tokens come.
    pub fn time_of(&self, cost: u32) -> u64 {
        self.interval.saturating_mul(u64::from(cost))
    }

    /// Nanoseconds in which one token comes.
    pub const fn interval(&self) -> u64 {
        self.interval
    }

    /// Whole tokens that fit.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How far ahead of now the TAT of a bucket with just one token lies, in nanoseconds: a request that costs one finds
    /// it if and only if `tat <= now + tolerance`.
    pub const fn tolerance(&self) -> u64 {
        self.refill.saturating_sub(self.interval)
    }

    /// How long before they are there tokens may be promised, in nanoseconds.
    pub const fn promised(&self) -> u64 {
        self.promised
    }

    /// Whether a token that is `wait` nanoseconds away may be promised.
    pub const fn promises(&self, wait: u64) -> bool {
        wait <= self.promised
    }

    /// Takes `cost` tokens at `now` from the bucket `tat`; absent or past means full. A cost of 0 is refused only while
    /// the bucket owes.
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

    /// How full the bucket `tat` is at `now`.
    pub fn level(&self, tat: Option<Timestamp>, now: Timestamp) -> Level {
        let reset = self.plausible(tat, now).nanos_since(now);
        let tokens = self.refill.saturating_sub(reset).checked_div(self.interval).unwrap_or(0);
        let remaining = u32::try_from(tokens).unwrap_or(self.capacity);
        Level { capacity: self.capacity, remaining, reset }
    }

    /// The bucket `tat` with `cost` tokens given back that were taken a moment ago, as if they never had been.
    #[must_use]
    pub fn give_back(&self, tat: Timestamp, cost: u32) -> Timestamp {
        Timestamp::from_nanos(tat.as_nanos().saturating_sub(self.time_of(cost)))
    }

    /// The bucket `tat` at `now`, when it is known that of what was `taken` so many tokens were `used`.
    ///
    /// If more were used than taken, the rest is taken too, and may leave the bucket in debt. If fewer were, the rest is
    /// given back, less what has come back by itself: tokens that the bucket refilled meanwhile were there for others,
    /// and would otherwise be spent twice. So the bucket is as if what was kept had been all that was taken. That is
    /// exact where one taker is settled at a time; where several are open at once, the sum of what they give back can
    /// count time twice, so a budget of many long requests keeps what they hold in a record of its own.
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

    /// The bucket that is to replace `tat` at `now`, if this bucket cannot have put it that far ahead.
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
