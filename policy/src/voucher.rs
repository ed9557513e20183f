//! Vouchers for requests that we refused and invited to retry. Their return is free, because the cluster never saw
//! them. Each refusal issues one voucher and each voucher admits one return, so abuse gains at most one admission per
//! refusal, no more than claiming to be a first attempt.
//!
//! A table of sets in bounded memory, as for buckets (see [`crate::slots`]). A full set evicts the client with the
//! fewest vouchers, on a tie the one whose vouchers expire first; its returns then draw on the budget. A set is stored
//! at full size from the start.

use crate::record::{self, Marked, Ways, bytes_of};
use crate::refused::MAX_RETRY;
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The clients in a set.
pub const WAYS: usize = 16;

/// The size of a set, in bytes.
pub const SET_BYTES: u64 = bytes_of::<Ways<Record, WAYS>>();

/// The lifetime of a voucher in nanoseconds: three times the longest wait that invites to retry, because a return that
/// is refused again has not used its voucher.
pub const LASTS: u64 = 3 * MAX_RETRY;

/// The maximum number of vouchers of one client. Refusals beyond it issue none and write nothing.
pub const MOST: u16 = 10_000;

/// One set, in the store's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoucherSet {
    row: Ways<Record, WAYS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Record {
    mark: U64,
    /// The expiry of all of the client's vouchers, in nanoseconds.
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
    /// Returns the number of valid vouchers. An expiry further ahead than that of a new voucher can only come from a
    /// clock that stepped back, and none is valid.
    fn valid(&self, now: Timestamp) -> u16 {
        let left = Timestamp::from_nanos(self.until.get()).nanos_since(now);
        if (1..=2 * LASTS).contains(&left) { self.count.get() } else { 0 }
    }
}

impl VoucherSet {
    /// Issues a voucher to `mark` at `now`. Returns false if the client has the maximum.
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

    /// Uses a voucher of `mark` at `now`. Returns false if it has none.
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
    fn a_client_has_a_bounded_number_of_vouchers() {
        let mut set = VoucherSet::default();
        let left = (0..u32::from(MOST) + 5).filter(|_| set.leave(7, at(1))).count();
        let taken = (0..u32::from(MOST) + 5).filter(|_| set.take(7, at(2))).count();
        assert_eq!((left, taken), (usize::from(MOST), usize::from(MOST)));
        assert!(set.leave(7, at(3)));
    }

    #[test]
    fn a_full_set_evicts_the_client_with_the_fewest() {
        let mut set = VoucherSet::default();
        for mark in 1..=WAYS as u64 {
            (0..mark).for_each(|_| assert!(set.leave(mark, at(mark))));
        }
        (100..200).for_each(|mark| assert!(set.leave(mark, at(100))));
        assert!(!set.take(1, at(200)));
        assert!((2..=WAYS as u64).all(|mark| set.take(mark, at(200))));
    }

    #[test]
    fn a_voucher_outlives_a_clock_step_by_at_most_its_lifetime() {
        let mut set = VoucherSet::default();
        set.leave(7, at(100 * LASTS));
        assert!(!set.take(7, at(98 * LASTS)));
    }

    #[test]
    fn a_set_has_its_documented_size() {
        assert_eq!(VoucherSet::default().to_bytes().len() as u64, SET_BYTES);
    }

    proptest! {
        #[test]
        fn no_client_returns_more_often_than_it_was_refused_nor_less_while_there_is_room(
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
