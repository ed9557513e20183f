//! Vouchers for requests that we refused and told to come back: their return is paid for, since the cluster never saw
//! them. Each refusal leaves one and each voucher admits one return, so that whoever lies about it gains no more than
//! one admission for each refusal; and whoever has one could as well have said that it makes a first attempt.
//!
//! A table of sets in a fixed amount of memory, as for buckets (see [`crate::slots`]). A set that is full forgets the
//! client with the fewest, of those the one whose end first; returns without a voucher draw on the budget.
//!
//! A set is stored whole from the start.

use crate::record::{self, Marked, Ways, bytes_of};
use crate::refused::MAX_RETRY;
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// Clients in a set.
pub const WAYS: usize = 16;

/// Bytes of a set.
pub const SET_BYTES: u64 = bytes_of::<Ways<Record, WAYS>>();

/// For how long a voucher lasts, in nanoseconds: for three of the longest waits that are told as invitations, since a
/// return may be refused again, and then has not used it.
pub const LASTS: u64 = 3 * MAX_RETRY;

/// The most vouchers that one client has. What is refused beyond them leaves none and writes nothing.
pub const MOST: u16 = 10_000;

/// One set, as the bytes that the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoucherSet {
    row: Ways<Record, WAYS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Record {
    mark: U64,
    /// When they end, in nanoseconds.
    until: U64,
    count: U16,
}

impl Marked for Record {
    fn mark(&self) -> u64 {
        self.mark.get()
    }
}

impl record::Record for VoucherSet {
    fn from_bytes(stored: &[u8]) -> Self {
        Self { row: Ways::from_bytes(stored) }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.row.to_bytes()
    }
}

impl Record {
    /// How many still count: none, if they end further ahead than one of now would, which only a clock that stepped
    /// back can have brought about.
    fn valid(&self, now: Timestamp) -> u16 {
        let left = Timestamp::from_nanos(self.until.get()).nanos_since(now);
        if (1..=2 * LASTS).contains(&left) { self.count.get() } else { 0 }
    }
}

impl VoucherSet {
    /// Leaves one for `mark` at `now`. False if it has the most that it can have.
    pub fn leave(&mut self, mark: u64, now: Timestamp) -> bool {
        let known = self.row.find(mark).map(|(way, record)| (way, *record));
        let count = known.map_or(0, |(_, record)| record.valid(now));
        if count >= MOST {
            return false;
        }
        let way = known.map_or_else(|| self.least(now), |(way, _)| way);
        let until = now.plus(LASTS).as_nanos().into();
        self.row.set(way, Record { mark: mark.into(), until, count: count.saturating_add(1).into() });
        true
    }

    /// Takes one of `mark` at `now`, if it has any.
    pub fn take(&mut self, mark: u64, now: Timestamp) -> bool {
        let known = self.row.find(mark).map(|(way, record)| (way, *record));
        let Some((way, record)) = known.filter(|(_, record)| record.valid(now) > 0) else { return false };
        self.row.set(way, Record { count: record.count.get().saturating_sub(1).into(), ..record });
        true
    }

    fn least(&self, now: Timestamp) -> usize {
        let records = self.row.iter().enumerate();
        let worth = |record: &Record| (record.valid(now), record.until.get());
        records.min_by_key(|(_, record)| worth(record)).map_or(0, |(way, _)| way)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::record::Record as _;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn a_voucher_admits_one_return_while_it_lasts_and_not_a_nanosecond_longer() {
        let mut set = VoucherSet::default();
        assert!(set.leave(7, at(5)));
        assert!(!set.clone().take(7, at(5 + LASTS)) && !set.clone().take(8, at(6)));
        assert!(set.take(7, at(4 + LASTS)));
        assert!(!set.take(7, at(4 + LASTS)));
    }

    #[test]
    fn a_client_has_a_bounded_number_of_them() {
        let mut set = VoucherSet::default();
        let left = (0..u32::from(MOST) + 5).filter(|_| set.leave(7, at(1))).count();
        let taken = (0..u32::from(MOST) + 5).filter(|_| set.take(7, at(2))).count();
        assert_eq!((left, taken), (usize::from(MOST), usize::from(MOST)));
        assert!(set.leave(7, at(3)));
    }

    #[test]
    fn a_full_set_forgets_the_client_with_the_fewest() {
        let mut set = VoucherSet::default();
        for mark in 1..=WAYS as u64 {
            (0..mark).for_each(|_| assert!(set.leave(mark, at(mark))));
        }
        (100..200).for_each(|mark| assert!(set.leave(mark, at(100))));
        assert!(!set.take(1, at(200)));
        assert!((2..=WAYS as u64).all(|mark| set.take(mark, at(200))));
    }

    #[test]
    fn a_clock_that_steps_back_lets_nothing_last_longer_than_twice() {
        let mut set = VoucherSet::default();
        set.leave(7, at(100 * LASTS));
        assert!(!set.take(7, at(98 * LASTS)));
    }

    #[test]
    fn a_set_has_the_size_that_is_told() {
        assert_eq!(VoucherSet::default().to_bytes().len() as u64, SET_BYTES);
    }

    proptest! {
        #[test]
        fn no_client_is_let_back_more_often_than_it_was_refused_nor_less_while_there_is_room(
            calls in prop::collection::vec((1..=WAYS as u64, any::<bool>(), 0..LASTS / 3), 0..200),
        ) {
            let (mut set, mut map, mut now) = (VoucherSet::default(), BTreeMap::new(), 0);
            for (mark, refused, gap) in calls {
                now += gap;
                let known: Option<(u64, u32)> = map.get(&mark).copied().filter(|(until, count)| *until > now && *count > 0);
                if refused {
                    prop_assert!(set.leave(mark, at(now)));
                    map.insert(mark, (now + LASTS, known.map_or(0, |(_, count)| count) + 1));
                } else {
                    prop_assert_eq!(set.take(mark, at(now)), known.is_some());
                    known.map(|(until, count)| map.insert(mark, (until, count - 1)));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_set(bytes: Vec<u8>, mark: u64, now: u64, then: u64) {
            let mut set = VoucherSet::from_bytes(&bytes);
            let _ = set.take(mark, at(now));
            let _ = set.leave(mark, at(now));
            prop_assert_eq!(VoucherSet::from_bytes(&set.to_bytes()), set.clone());
            let _ = set.take(mark, at(then));
        }
    }
}
