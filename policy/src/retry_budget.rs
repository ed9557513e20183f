//! A retry budget: first attempts pay for retries, so that retries cannot overwhelm a failing cluster.
//!
//! A first attempt deposits `ratio` of a retry, which lasts for `ttl`. A reserve adds `min_retries_per_second`, one at
//! a time, for clients that send little. Any window of t seconds has at most ratio * first attempts +
//! min_retries_per_second * t + 1 retries, counting first attempts in the window and in the ttl before it. Whenever
//! deposits pay for a retry, the deposits of the ttl that ends there cover all its retries.
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

/// The earnings for which debt is remembered, in multiples of the ttl.
const REMEMBERED_TTLS: u64 = 6;

/// The divisor of the reserve that gives a client's smallest share of it.
const LEAST_SHARE: u64 = 4;

/// The longest time for which a client is expected, in nanoseconds.
const MOST_EXPECTED: u64 = 2 * MAX_RETRY;

/// The parameters of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    slot: u64,
    ratio: Ratio,
    reserve: Option<Bucket>,
}

/// The reason why parameters make no budget.
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

/// The balance does not cover a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// The payment for one retry, which [`Budget::give_back`] can return.
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
    /// Creates a budget with deposits of `ratio` that last for `ttl`, and a reserve of `min_retries_per_second`.
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

    /// Returns the lifetime of a deposit, in nanoseconds.
    pub const fn ttl(&self) -> u64 {
        self.slot.saturating_mul(ledger::EARNING_SLOTS)
    }

    /// Returns the number of retries that one first attempt pays for.
    pub const fn ratio(&self) -> Ratio {
        self.ratio
    }

    /// Returns the nanoseconds between two retries of the reserve, or `None` without a reserve.
    pub fn reserve(&self) -> Option<u64> {
        self.reserve.map(|reserve| reserve.interval())
    }

    /// Deposits a first attempt at `now`.
    #[must_use]
    pub fn deposit(&self, ledger: Ledger, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        ledger.deposit();
        ledger
    }

    /// Takes back the first attempt of `made_at`, which did not reach the cluster.
    #[must_use]
    pub fn take_back(&self, ledger: Ledger, made_at: Timestamp, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        ledger.take_back(made_at, self.slot);
        ledger
    }

    /// Records that a client was told at `now` to retry after `wait` nanoseconds. Until one ttl after that, it needs no
    /// first attempt to draw on its cluster's budget.
    #[must_use]
    pub fn expect(&self, ledger: Ledger, wait: u64, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        let until = now.plus(wait.saturating_add(self.ttl()).min(MOST_EXPECTED));
        ledger.expected = ledger.expected(now).max(until);
        ledger
    }

    /// Withdraws one retry at `now`, if the balance covers it.
    pub fn withdraw(&self, ledger: Ledger, now: Timestamp) -> Result<(Ledger, Withdrawal), Exhausted> {
        self.take(self.settled(ledger, now), self.reserve(), now)
    }

    /// Withdraws one retry from the `ledger` of a client at `now`, if its balance covers the retry and the client is
    /// within its share of the cluster's budget. The caller withdraws from the `cluster` next.
    ///
    /// The share is what the client's own first attempts pay for, and a part of the reserve proportional to its part of
    /// the first attempts, but at least a quarter. A client without a first attempt draws nothing, unless it is
    /// expected back ([`Self::expect`]).
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

    /// Returns the longest time in nanoseconds between two retries of a client's share, provided that the client has
    /// made a first attempt; `None` without a reserve.
    pub fn slowest_share(&self) -> Option<u64> {
        Some(self.reserve()?.saturating_mul(LEAST_SHARE).min(self.ttl()))
    }

    /// Returns the payment of a withdrawal that another budget has refused.
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

    /// Withdraws `retries` that were made without asking, such as Envoy's own, and became known at `now`. They may
    /// overdraw the budget. Earnings repay this debt before they pay for anything else. It is capped at the earnings of
    /// six ttl, so that reduced traffic does not have to repay the debt of heavier traffic for long.
    #[must_use]
    pub fn spend(&self, ledger: Ledger, retries: u32, now: Timestamp) -> Ledger {
        let mut ledger = self.settled(ledger, now);
        if ledger.debt == 0 {
            ledger.reserve = ledger.reserve.max(now);
        }
        ledger.debt = ledger.debt.saturating_add(retries);
        self.settled(ledger, now)
    }

    /// Returns the number of retries that the balance covers at `now`.
    pub fn allowance(&self, ledger: Ledger, now: Timestamp) -> u32 {
        let ledger = self.settled(ledger, now);
        let reserve = u64::from(self.reserve.is_some() && ledger.reserve <= now);
        u32::try_from(self.balance(&ledger).saturating_add(reserve)).unwrap_or(u32::MAX)
    }

    /// Returns the loss of information if the ledger is evicted at `now`, in millionths of a retry: its earnings plus
    /// its expenses. It is 0 if the ledger says no more than a missing one.
    pub fn loss(&self, ledger: Ledger, now: Timestamp) -> u64 {
        let ledger = self.settled(ledger, now);
        let reserve = u64::from(ledger.reserve > now).saturating_add(u64::from(ledger.expected(now) > now));
        let spent = ledger.withdrawals().saturating_add(u64::from(ledger.debt)).saturating_add(reserve);
        self.ratio.of(ledger.all_deposits()).saturating_add(spent.saturating_mul(ratio::WHOLE))
    }

    /// Withdraws one retry from a reserve that adds one every `reserve` nanoseconds, or else from deposits.
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

    /// Returns the nanoseconds between two retries of the client's share of the cluster's reserve.
    fn share(&self, ledger: &Ledger, cluster: &Ledger) -> Option<u64> {
        let (whole, least) = (self.reserve()?, self.slowest_share()?);
        let all = u128::from(whole).saturating_mul(u128::from(cluster.deposits()));
        let own = all.checked_div(u128::from(ledger.deposits())).unwrap_or(u128::MAX);
        Some(u64::try_from(own).unwrap_or(u64::MAX).max(whole).min(least.max(whole)))
    }

    /// Repays debt as far as possible, so that a balance remains only without debt.
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
