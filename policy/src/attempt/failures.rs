//! Recent failures of ours, so that retries are recognised even if their clients send no attempt number: a table of
//! sets in bounded memory, as for buckets (see [`crate::slots`]). A request is known by its fingerprint. Each failure
//! explains one retry and is used up by the next request with that fingerprint within its window, so a client that
//! repeats a request on purpose is not charged for more retries than it had failures. A full set evicts the failure
//! that expires first; its retry then counts as a first attempt.
//!
//! A set is stored at full size from the start.

use super::MAX_ATTEMPT;
use crate::record::{self, Marked, Ways, bytes_of};
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The failures in a set.
pub const WAYS: usize = 16;

/// The size of a set, in bytes.
pub const SET_BYTES: u64 = bytes_of::<Ways<Record, WAYS>>();

/// A failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The mark of the request's fingerprint.
    pub mark: u64,
    /// The number of the attempt that failed; 0 is the first.
    pub attempt: u16,
    /// The time in nanoseconds for which a retry is expected.
    pub window: u64,
}

/// One set, in the store's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureSet {
    row: Ways<Record, WAYS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Record {
    mark: U64,
    /// The expiry of all of them, in nanoseconds.
    until: U64,
    failures: U16,
    /// The highest attempt number among them.
    attempt: U16,
}

impl Marked for Record {
    fn mark(&self) -> u64 {
        self.mark.get()
    }
}

impl record::Record for FailureSet {
    fn from_bytes(stored: &[u8]) -> Self {
        Self { row: Ways::from_bytes(stored) }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.row.to_bytes()
    }
}

impl Record {
    /// Returns the nanoseconds until the record expires. An expiry further ahead than a new one can only come from a
    /// clock that stepped back, and counts as expired.
    fn left(&self, now: Timestamp, window: u64) -> u64 {
        let left = Timestamp::from_nanos(self.until.get()).nanos_since(now);
        if left <= window.saturating_mul(2) && self.failures.get() > 0 { left } else { 0 }
    }
}

impl FailureSet {
    /// Records `failure` at `now`.
    pub fn remember(&mut self, failure: Failure, now: Timestamp) {
        let Failure { mark, attempt, window } = failure;
        let known = self.find(mark);
        let before = known.map(|(_, record)| record).filter(|record| record.left(now, window) > 0);
        let way = known.map_or_else(|| self.first_to_end(now, window), |(way, _)| way);
        let record = Record {
            mark: mark.into(),
            until: now.plus(window).as_nanos().into(),
            failures: before.map_or(0, |record| record.failures.get()).saturating_add(1).into(),
            attempt: before.map_or(0, |record| record.attempt.get()).max(attempt).min(MAX_ATTEMPT).into(),
        };
        self.row.set(way, record);
    }

    /// Returns the attempt number of a request `mark` at `now` if it follows a failure within `window`, and uses that
    /// failure up.
    pub fn take(&mut self, mark: u64, window: u64, now: Timestamp) -> Option<u16> {
        let (way, record) = self.find(mark).filter(|(_, record)| record.left(now, window) > 0)?;
        self.row.set(way, Record { failures: record.failures.get().saturating_sub(1).into(), ..record });
        Some(record.attempt.get().saturating_add(1).min(MAX_ATTEMPT))
    }

    fn find(&self, mark: u64) -> Option<(usize, Record)> {
        self.row.find(mark).map(|(way, record)| (way, *record))
    }

    fn first_to_end(&self, now: Timestamp, window: u64) -> usize {
        let left = self.row.iter().map(|record| record.left(now, window)).enumerate();
        left.min_by_key(|(_, left)| *left).map_or(0, |(way, _)| way)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::record::Record as _;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const WINDOW: u64 = 60_000_000_000;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn failure(mark: u64, attempt: u16) -> Failure {
        Failure { mark, attempt, window: WINDOW }
    }

    #[test]
    fn a_failure_explains_one_retry_within_its_window_and_not_a_nanosecond_longer() {
        let mut set = FailureSet::default();
        set.remember(failure(7, 0), at(5));
        assert_eq!(set.clone().take(7, WINDOW, at(5 + WINDOW)), None);
        assert_eq!(set.clone().take(8, WINDOW, at(6)), None);
        assert_eq!(set.take(7, WINDOW, at(4 + WINDOW)), Some(1));
        assert_eq!(set.take(7, WINDOW, at(4 + WINDOW)), None);
    }

    #[test]
    fn a_retry_that_fails_again_is_followed_by_the_next_attempt() {
        let mut set = FailureSet::default();
        for attempt in 0..5 {
            set.remember(failure(7, attempt), at(5));
            assert_eq!(set.take(7, WINDOW, at(6)), Some(attempt + 1));
        }
        set.remember(failure(7, u16::MAX), at(5));
        assert_eq!(set.take(7, WINDOW, at(6)), Some(MAX_ATTEMPT));
    }

    #[test]
    fn a_full_set_evicts_the_failure_that_expires_first() {
        let mut set = FailureSet::default();
        (1..=17).for_each(|mark| set.remember(failure(mark, 0), at(mark)));
        assert_eq!(set.take(1, WINDOW, at(20)), None);
        assert!((2..=17).all(|mark| set.take(mark, WINDOW, at(20)) == Some(1)));
    }

    #[test]
    fn a_clock_step_explains_no_retry_for_longer_than_two_windows() {
        let mut set = FailureSet::default();
        set.remember(failure(7, 0), at(100 * WINDOW));
        assert_eq!(set.take(7, WINDOW, at(98 * WINDOW)), None);
    }

    #[test]
    fn a_set_has_its_documented_size() {
        assert_eq!(FailureSet::default().to_bytes().len() as u64, SET_BYTES);
    }

    proptest! {
        #[test]
        fn a_set_agrees_with_a_plain_map_while_it_is_not_full(
            calls in prop::collection::vec((1..=WAYS as u64, any::<bool>(), 0..WINDOW / 2), 0..200),
        ) {
            let (mut set, mut map, mut now) = (FailureSet::default(), BTreeMap::new(), 0);
            for (mark, fails, gap) in calls {
                now += gap;
                let known = map.get(&mark).copied().filter(|(until, count)| *until > now && *count > 0);
                if fails {
                    set.remember(failure(mark, 0), at(now));
                    map.insert(mark, (now + WINDOW, known.map_or(0, |(_, count)| count) + 1));
                } else {
                    prop_assert_eq!(set.take(mark, WINDOW, at(now)), known.map(|_| 1));
                    known.map(|(until, count)| map.insert(mark, (until, count - 1)));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_set(bytes: Vec<u8>, mark: u64, attempt: u16, window: u64, now: u64, then: u64) {
            let mut set = FailureSet::from_bytes(&bytes);
            set.take(mark, window, at(now));
            set.remember(Failure { mark, attempt, window }, at(now));
            prop_assert_eq!(FailureSet::from_bytes(&set.to_bytes()), set.clone());
            prop_assert!(set.take(mark, window, at(then)).is_none_or(|attempt| attempt <= MAX_ATTEMPT));
        }
    }
}
