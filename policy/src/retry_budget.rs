//! A retry budget: first attempts pay for retries, so that retries do not keep a failing cluster down.
//! A first attempt deposits `ratio` of a retry, which lasts for `ttl`; a reserve adds `min_retries_per_second`, one at
//! a time, for clients that send little. In any window of t seconds there are at most ratio * first attempts +
//! min_retries_per_second * t + 1 retries, counting the first attempts of the window and of the ttl before it; whenever
//! deposits pay for a retry, those of the ttl that ends there are enough for all retries in it.
//!
//! Where a cluster has a budget beside those of its clients, a client draws on it at most its share
//! ([`Budget::withdraw_share`]): what its own first attempts pay for, and of the reserve a part as large as its part of
//! the first attempts, at least a quarter. A client without a first attempt draws nothing, except one that was told to come back
//! at a time past the ttl ([`Budget::expect`]).
//!
//! Retries that are known only afterwards (Envoy's own) may overdraw it. The debt is paid from what the budget earns before
//! anything else is admitted, and is remembered up to the earnings of six ttl: traffic that has become less does not pay for long
//! for a debt that more traffic has made.
//!
//! Source: Finagle's `RetryBudget` (deposit, withdraw, ttl, reserve), with exact fractions; the reserve is GCRA.

use crate::bucket::{Bucket, Rate};
use crate::refused::MAX_RETRY;
use crate::timestamp::Timestamp;
use core::fmt;
use core::time::Duration;

pub use ledger::Ledger;
pub use ratio::{InvalidRatio, Ratio};
pub use set::{LedgerSet, SET_BYTES};

mod ledger;
mod ratio;
mod set;

/// How many ttl's earnings of debt are remembered.
const REMEMBERED_TTLS: u64 = 6;

/// One in so many of the reserve's retries is the least that a client has of a cluster's.
const LEAST_SHARE: u64 = 4;

/// The longest time for which a client is expected, in nanoseconds.
const MOST_EXPECTED: u64 = 2 * MAX_RETRY;

/// A budget that can be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    slot: u64,
    ratio: Ratio,
    reserve: Option<Bucket>,
}

/// Why there is no such budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBudget {
    /// The ttl is not 1 to 60 s.
    Ttl,
    /// More than 10,000 retries per second without any first attempt.
    MinRetriesTooMany,
}

impl fmt::Display for InvalidBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ttl => "accepted is 1s to 60s",
            Self::MinRetriesTooMany => "accepted is 0 to 10000",
        })
    }
}

/// There is no balance for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// What one retry was paid with, for [`Budget::give_back`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    paid: Paid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paid {
    Reserve { interval: u64 },
    Deposits { slot: Timestamp },
}

impl Budget {
    /// Deposits of `ratio` that last for `ttl`, and a reserve of `min_retries_per_second`.
    pub fn new(ttl: Duration, ratio: Ratio, min_retries_per_second: u32) -> Result<Self, InvalidBudget> {
        if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&ttl) {
            return Err(InvalidBudget::Ttl);
        }
        if min_retries_per_second > 10_000 {
            return Err(InvalidBudget::MinRetriesTooMany);
        }
        let slot = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX).div_ceil(ledger::EARNING_SLOTS);
        let rate = Rate { requests: min_retries_per_second, period: Duration::from_secs(1) };
        Ok(Self { slot, ratio, reserve: Bucket::new(rate, 1).ok() })
    }

    /// How many nanoseconds a first attempt pays for.
    pub const fn ttl(&self) -> u64 {
        self.slot.saturating_mul(ledger::EARNING_SLOTS)
    }

    /// Retries per first attempt.
    pub const fn ratio(&self) -> Ratio {
        self.ratio
    }

    /// Nanoseconds in which one retry comes that needs no first attempt; `None` if none does.
    pub fn reserve(&self) -> Option<u64> {
        self.reserve.map(|reserve| reserve.interval())
    }

    /// The ledger after a first attempt at `now`.
    #[must_use]
    pub fn deposit(&self, ledger: Ledger, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        ledger.deposit();
        ledger
    }

    /// The ledger without the first attempt of `made_at`, which did not get as far as the cluster.
    #[must_use]
    pub fn take_back(&self, ledger: Ledger, made_at: Timestamp, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        ledger.take_back(made_at, self.slot);
        ledger
    }

    /// The ledger of a client that was told at `now` to come back in `wait` nanoseconds: until a ttl after that, it
    /// need not have made a first attempt to draw on its cluster's budget.
    #[must_use]
    pub fn expect(&self, ledger: Ledger, wait: u64, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        let until = now.plus(wait.saturating_add(self.ttl()).min(MOST_EXPECTED));
        ledger.expected = ledger.expected(now).max(until);
        ledger
    }

    /// The ledger after one retry at `now`, if there is balance for it.
    pub fn withdraw(&self, ledger: Ledger, now: Timestamp) -> Result<(Ledger, Withdrawal), Exhausted> {
        self.take(self.settled(ledger, now), self.reserve(), now)
    }

    /// The ledger of a client after one retry at `now`, if it has balance for it and that is within its share of what
    /// its `cluster` has. That budget is the next to ask.
    pub fn withdraw_share(
        &self,
        ledger: Ledger,
        cluster: Ledger,
        now: Timestamp,
    ) -> Result<(Ledger, Withdrawal), Exhausted> {
        let (ledger, cluster) = (self.settled(ledger, now), cluster.rolled(self.slot, now));
        if ledger.deposits() == 0 && ledger.expected(now) <= now {
            return Err(Exhausted);
        }
        self.take(ledger, self.share(&ledger, &cluster), now)
    }

    /// Nanoseconds in which at least one retry comes that needs no first attempt but one to begin with; `None` if none
    /// does.
    pub fn slowest_share(&self) -> Option<u64> {
        Some(self.reserve()?.saturating_mul(LEAST_SHARE).min(self.ttl()))
    }

    /// The ledger without a withdrawal, which another budget has refused.
    #[must_use]
    pub fn give_back(&self, ledger: Ledger, withdrawal: Withdrawal, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        match withdrawal.paid {
            Paid::Reserve { interval } => {
                ledger.reserve = Timestamp::from_nanos(ledger.reserve.as_nanos().saturating_sub(interval));
            }
            Paid::Deposits { slot } => ledger.give_back(slot, self.slot),
        }
        ledger
    }

    /// The ledger after `retries` that were made without asking, and became known at `now`.
    #[must_use]
    pub fn spend(&self, ledger: Ledger, retries: u32, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        if ledger.debt == 0 {
            ledger.reserve = ledger.reserve.max(now);
        }
        ledger.debt = ledger.debt.saturating_add(retries);
        self.settled(ledger, now)
    }

    /// How many retries there is balance for at `now`.
    pub fn allowance(&self, ledger: Ledger, now: Timestamp) -> u32 {
        let ledger = self.settled(ledger, now);
        let reserve = u64::from(self.reserve.is_some() && ledger.reserve <= now);
        u32::try_from(self.balance(&ledger).saturating_add(reserve)).unwrap_or(u32::MAX)
    }

    /// What forgetting a ledger at `now` would lose, in millionths of a retry: what it has earned and what it has
    /// spent. 0 if it says nothing that a missing one does not.
    pub fn loss(&self, ledger: Ledger, now: Timestamp) -> u64 {
        let ledger = self.settled(ledger, now);
        let reserve = u64::from(ledger.reserve > now).saturating_add(u64::from(ledger.expected(now) > now));
        let spent = ledger.withdrawals().saturating_add(u64::from(ledger.debt)).saturating_add(reserve);
        self.ratio.of(ledger.all_deposits()).saturating_add(spent.saturating_mul(ratio::WHOLE))
    }

    /// From a reserve that makes one retry in so many nanoseconds, else from deposits.
    fn take(
        &self,
        mut ledger: Ledger,
        reserve: Option<u64>,
        now: Timestamp,
    ) -> Result<(Ledger, Withdrawal), Exhausted> {
        if let Some(interval) = reserve.filter(|_| ledger.reserve <= now) {
            ledger.reserve = now.plus(interval);
            return Ok((ledger, Withdrawal { paid: Paid::Reserve { interval } }));
        }
        if self.balance(&ledger) == 0 || ledger.withdraw(1) == 0 {
            return Err(Exhausted);
        }
        Ok((ledger, Withdrawal { paid: Paid::Deposits { slot: ledger.begin } }))
    }

    /// In how many nanoseconds the part of the cluster's reserve that is a client's makes one retry.
    fn share(&self, ledger: &Ledger, cluster: &Ledger) -> Option<u64> {
        let (whole, least) = (self.reserve()?, self.slowest_share()?);
        let all = u128::from(whole).saturating_mul(u128::from(cluster.deposits()));
        let own = all.checked_div(u128::from(ledger.deposits())).unwrap_or(u128::MAX);
        Some(u64::try_from(own).unwrap_or(u64::MAX).max(whole).min(least.max(whole)))
    }

    /// Debt takes all that is there, so there is balance only when none is left.
    fn settled(&self, ledger: Ledger, now: Timestamp) -> Ledger {
        let mut ledger = ledger.rolled(self.slot, now);
        if ledger.debt == 0 {
            return ledger;
        }
        let interval = self.reserve.map_or(u64::MAX, |reserve| reserve.interval());
        let ttl = self.slot.saturating_mul(ledger::EARNING_SLOTS);
        let earned = self.earned(&ledger).saturating_add(ttl.checked_div(interval).unwrap_or(0));
        let remembered = u32::try_from(earned.saturating_mul(REMEMBERED_TTLS)).unwrap_or(u32::MAX);
        ledger.debt = ledger.debt.min(remembered);
        if self.reserve.is_some() {
            let made = now.plus(interval).nanos_since(ledger.reserve).checked_div(interval).unwrap_or(0);
            let paid = ledger.pay(made);
            ledger.reserve = ledger.reserve.plus(interval.saturating_mul(paid));
        }
        let payable = ledger.withdraw(self.balance(&ledger).min(u64::from(ledger.debt)));
        ledger.pay(payable);
        ledger
    }

    fn earned(&self, ledger: &Ledger) -> u64 {
        self.ratio.of(ledger.deposits()).checked_div(ratio::WHOLE).unwrap_or(0)
    }

    fn balance(&self, ledger: &Ledger) -> u64 {
        self.earned(ledger).saturating_sub(ledger.withdrawals())
    }
}

#[cfg(test)]
mod tests;
