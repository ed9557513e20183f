#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::record::Record as _;
use crate::timestamp::SECOND;
use proptest::prelude::*;

const PREFIX: Prefix = *b"tidegate.xx.";

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn record(mark: u64, tat: u64) -> Record {
    Record { mark, tat: at(tat), tolerance: 20 * SECOND }
}

fn full_set(tat: impl Fn(u64) -> u64) -> SlotSet {
    let mut set = SlotSet::default();
    for mark in 0..WAYS as u64 {
        assert_eq!(set.put(record(mark, tat(mark)), at(0), &[]), Put::Stored);
    }
    set
}

#[test]
fn a_refilled_bucket_is_evicted_first_without_loss() {
    let mut set = full_set(|mark| if mark == 9 { 5 } else { 10 * SECOND });
    assert_eq!(set.put(record(100, 12 * SECOND), at(5), &[]), Put::Stored);
    assert_eq!(set.find(9), None);
    assert_eq!(set.find(100), Some(at(12 * SECOND)));
}

#[test]
fn the_least_spent_of_the_used_buckets_is_evicted_and_counted() {
    let mut set = full_set(|mark| (mark + 3) * SECOND);
    assert_eq!(set.put(record(100, SECOND), at(1), &[]), Put::Evicted);
    assert_ne!(set.find(0), Some(at(3 * SECOND)));
    assert_eq!((1..WAYS as u64).filter(|mark| set.find(*mark).is_some()).count(), WAYS - 1);
}

#[test]
fn a_throttled_client_is_never_evicted() {
    let mut set = full_set(|mark| if mark == 3 { 19 * SECOND } else { 21 * SECOND });
    assert_eq!(set.put(record(100, 30 * SECOND), at(1), &[]), Put::Evicted);
    assert_eq!(set.find(3), None);
    assert_eq!(
        set.put(record(101, SECOND), at(1), &[]),
        Put::Full { wait: 999_999_999 + (20 * SECOND) % (1 << 20) }
    );
    assert_eq!((0..WAYS as u64).filter(|mark| set.find(*mark).is_some()).count(), WAYS - 1);
}

#[test]
fn a_record_that_the_same_request_wrote_is_never_evicted() {
    let mut set = full_set(|mark| (mark + 3) * SECOND);
    assert_eq!(set.put(record(100, SECOND), at(0), &[100, 101]), Put::Evicted);
    assert_eq!(set.put(record(101, SECOND), at(0), &[100, 101]), Put::Evicted);
    assert!(set.find(100).is_some() && set.find(101).is_some());
}

#[test]
fn a_table_takes_no_more_than_it_was_given() {
    assert_eq!(Table::within(PREFIX, Table::MIN_BYTES - 1), None);
    let table = Table::within(PREFIX, 16 << 20).unwrap();
    assert!(u64::from(table.sets()) * (Table::SET_BYTES + ENTRY_COST) <= 16 << 20);
    assert_eq!(table.set(0), SlotKey::numbered(&PREFIX, 0));
    assert_eq!(table.set(u64::MAX), SlotKey::numbered(&PREFIX, table.sets() - 1));
}

#[test]
fn a_shared_bucket_of_newcomers_evicts_no_client() {
    let mut set = full_set(|_| 30 * SECOND);
    assert_eq!(set.put_overflow(record(100, 30 * SECOND), at(1), &[]), Put::Stored);
    assert_eq!(set.put_overflow(record(101, 30 * SECOND), at(1), &[]), Put::Stored);
    assert!(matches!(set.put_overflow(record(102, SECOND), at(1), &[]), Put::Full { .. }));
    assert!((0..WAYS as u64).all(|mark| set.find(mark) == Some(at(30 * SECOND))));
    assert_eq!((set.find(100), set.find(102)), (Some(at(30 * SECOND)), None));
}

proptest! {
    #[test]
    fn any_bytes_are_a_set(bytes: Vec<u8>, mark: u64, now: u64) {
        let mut set = SlotSet::from_bytes(&bytes);
        set.find(mark);
        set.put(record(mark, now), at(now), &[]);
        prop_assert_eq!(set.to_bytes().len() as u64, Table::SET_BYTES);
        prop_assert_eq!(SlotSet::from_bytes(&set.to_bytes()), set);
    }

    #[test]
    fn a_set_agrees_with_a_plain_map_while_it_is_not_full(
        puts in prop::collection::vec((1..=WAYS as u64, 1_u64..u64::MAX), 0..100),
    ) {
        let mut set = SlotSet::default();
        let mut map = std::collections::BTreeMap::new();
        for (mark, tat) in puts {
            set.put(record(mark, tat), at(0), &[]);
            map.insert(mark, at(tat));
        }
        for mark in 1..=WAYS as u64 {
            prop_assert_eq!(set.find(mark), map.get(&mark).copied());
        }
    }
}
