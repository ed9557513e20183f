//! The ledgers of many clients in bounded memory: a table of sets, as for buckets (see [`crate::slots`]).
//!
//! A full set evicts the ledger that has earned and spent least, an idle one first. The evicted client loses its
//! earnings, so its retries are left with the reserve. If it had spent, it gains one retry from a fresh reserve, no
//! more than a made-up name would have given it. Made-up names earn little, so a flood of them evicts itself before
//! clients that send much.
//!
//! A set is stored at full size from the start.

use super::Budget;
use super::ledger::{Ledger, Stored};
use crate::record::{self, Marked, Ways, bytes_of};
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The ledgers in a set.
pub const WAYS: usize = 8;

/// The size of a set, in bytes.
pub const SET_BYTES: u64 = bytes_of::<Ways<Record, WAYS>>();

/// One set, in the store's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSet {
    row: Ways<Record, WAYS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Record {
    mark: U64,
    ledger: Stored,
}

impl Marked for Record {
    fn mark(&self) -> u64 {
        self.mark.get()
    }
}

impl record::Record for LedgerSet {
    fn from_bytes(stored: &[u8]) -> Self {
        Self { row: Ways::from_bytes(stored) }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.row.to_bytes()
    }
}

impl LedgerSet {
    /// Returns the ledger of `mark`, or an unused one.
    pub fn find(&self, mark: u64) -> Ledger {
        self.row.find(mark).map_or_else(Ledger::default, |(_, record)| Ledger::from(&record.ledger))
    }

    /// Stores the ledger of `mark` over its last one, or else over the one whose eviction costs least. Returns true if
    /// the evicted ledger had something to lose.
    pub fn put(&mut self, mark: u64, ledger: Ledger, budget: &Budget, now: Timestamp) -> bool {
        let known = self.row.find(mark).map(|(way, _)| (way, 0));
        let (way, loss) = known.unwrap_or_else(|| self.least(budget, now));
        self.row.set(way, Record { mark: mark.into(), ledger: Stored::from(&ledger) });
        loss > 0
    }

    fn least(&self, budget: &Budget, now: Timestamp) -> (usize, u64) {
        let losses = self.row.iter().map(|record| budget.loss(Ledger::from(&record.ledger), now)).enumerate();
        losses.min_by_key(|(_, loss)| *loss).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::record::Record as _;
    use core::time::Duration;
    use proptest::prelude::*;

    const TTL: u64 = 10_000_000_000;

    fn budget() -> Budget {
        Budget::new(Duration::from_secs(10), "0.2".parse().unwrap(), 10).unwrap()
    }

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn with_deposits(count: u64, now: u64) -> Ledger {
        (0..count).fold(Ledger::default(), |ledger, _| budget().deposit(ledger, at(now)))
    }

    fn full_set(deposits: impl Fn(u64) -> u64) -> LedgerSet {
        let mut set = LedgerSet::default();
        for mark in 1..=WAYS as u64 {
            assert!(!set.put(mark, with_deposits(deposits(mark), TTL), &budget(), at(TTL)));
        }
        set
    }

    #[test]
    fn made_up_names_evict_only_each_other() {
        let mut set = full_set(|mark| 10 * mark);
        for mark in 100..10_100 {
            assert!(set.put(mark, with_deposits(1, TTL), &budget(), at(TTL)));
        }
        for mark in 2..=WAYS as u64 {
            assert_eq!(set.find(mark), with_deposits(10 * mark, TTL));
        }
    }

    #[test]
    fn an_idle_ledger_is_evicted_first_without_loss() {
        let mut set = full_set(|mark| mark);
        let later = at(3 * TTL);
        let busy = budget().deposit(Ledger::default(), later);
        for mark in 1..=WAYS as u64 {
            if mark != 5 {
                set.put(mark, busy, &budget(), later);
            }
        }
        assert!(!set.put(100, busy, &budget(), later));
        assert_eq!((set.find(5), set.find(100)), (Ledger::default(), busy));
    }

    #[test]
    fn a_client_that_has_spent_is_not_evicted_for_a_newcomer() {
        let mut set = full_set(|mark| if mark == 3 { 0 } else { 1 });
        let (spent, _) = budget().withdraw(Ledger::default(), at(TTL)).unwrap();
        set.put(3, spent, &budget(), at(TTL));
        for mark in 100..200 {
            set.put(mark, with_deposits(1, TTL), &budget(), at(TTL));
        }
        assert_eq!(set.find(3), spent);
    }

    #[test]
    fn a_set_has_its_documented_size() {
        assert_eq!(LedgerSet::default().to_bytes().len() as u64, SET_BYTES);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_set(bytes: Vec<u8>, mark: u64, now: u64) {
            let mut set = LedgerSet::from_bytes(&bytes);
            let ledger = budget().spend(set.find(mark), 3, at(now));
            set.put(mark, ledger, &budget(), at(now));
            prop_assert_eq!(set.find(mark), ledger);
            prop_assert_eq!(LedgerSet::from_bytes(&set.to_bytes()), set);
        }
    }
}
