//! Many buckets in bounded memory: a table of sets, each a short row of records that share one entry of the store. A
//! fingerprint's place chooses the set and its mark the record, so clients control neither the number of entries nor
//! their length.
//!
//! A full set evicts the bucket with the smallest loss: a refilled one, or else the one with the smallest part of its
//! tokens spent, but never one that is refusing its client now. If all are refusing, new clients share an overflow
//! bucket: the last two records of each set are reserved for that, each for one limit. A set is stored at full size
//! from the start, zeros being refilled buckets of nobody, because a growing entry would fragment the host's heap.

use crate::record::{self, Marked, Ways, bytes_of};
use crate::slot_key::{Prefix, SlotKey};
use crate::timestamp::Timestamp;
use core::ops::Range;
use std::borrow::Cow;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The client records in a set.
pub const WAYS: usize = 14;

/// The records reserved for a set's overflow buckets.
const OVERFLOWS: usize = 2;

const RECORDS: usize = 16;

const _: () = assert!(WAYS.saturating_add(OVERFLOWS) == RECORDS, "a set is stored as so many records");

/// The host memory of an entry beyond its value, in bytes: the map's node and the key, as measured in Envoy.
const ENTRY_COST: u64 = 140;

const MIN_SETS: u64 = 64;

/// A table with as many sets as fit in a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    prefix: Prefix,
    sets: u32,
}

impl Table {
    /// The minimum memory of a table, in bytes.
    pub const MIN_BYTES: u64 = Self::min_bytes(Self::SET_BYTES);

    /// The size of a [`SlotSet`], in bytes.
    pub const SET_BYTES: u64 = bytes_of::<Ways<Stored, RECORDS>>();

    /// Creates a table of [`SlotSet`]s in at most `bytes` of host memory; `None` below [`Self::MIN_BYTES`].
    pub fn within(prefix: Prefix, bytes: u64) -> Option<Self> {
        Self::of_sets(prefix, Self::SET_BYTES, bytes)
    }

    /// Creates a table of sets of `size` bytes in at most `bytes` of host memory; `None` for fewer than 64 sets.
    pub fn of_sets(prefix: Prefix, size: u64, bytes: u64) -> Option<Self> {
        let sets = u32::try_from(bytes.checked_div(size.saturating_add(ENTRY_COST))?).unwrap_or(u32::MAX);
        (u64::from(sets) >= MIN_SETS).then_some(Self { prefix, sets })
    }

    /// Returns the minimum memory of a table of sets of `size` bytes, in bytes.
    pub const fn min_bytes(size: u64) -> u64 {
        size.saturating_add(ENTRY_COST).saturating_mul(MIN_SETS)
    }

    /// Returns the maximum host memory of the sets at `size` bytes each, in bytes.
    pub fn bytes(&self, size: u64) -> u64 {
        size.saturating_add(ENTRY_COST).saturating_mul(u64::from(self.sets))
    }

    /// Returns the number of sets.
    pub const fn sets(&self) -> u32 {
        self.sets
    }

    /// Returns the key of the set that a fingerprint's place chooses.
    pub fn set(&self, place: u64) -> SlotKey {
        SlotKey::numbered(&self.prefix, self.set_number(place))
    }

    /// Returns the key of a bucket with an entry of its own, which no client chooses.
    pub fn single(&self, mark: u64) -> SlotKey {
        SlotKey::single(&self.prefix, mark)
    }

    fn set_number(&self, place: u64) -> u32 {
        let scaled = u128::from(place).saturating_mul(u128::from(self.sets)) >> 64;
        u32::try_from(scaled).unwrap_or(0)
    }
}

/// The state of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bucket's fingerprint mark.
    pub mark: u64,
    /// The theoretical arrival time of the bucket.
    pub tat: Timestamp,
    /// The bucket's burst tolerance, in nanoseconds.
    pub tolerance: u64,
}

/// The outcome of adding a record to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The record is stored and nothing was lost.
    Stored,
    /// The record is stored and a partly spent bucket of another client was evicted.
    Evicted,
    /// The record is not stored: every record of the set is refusing its client now.
    Full {
        /// Nanoseconds until one of them no longer refuses.
        wait: u64,
    },
}

/// One set, in the store's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotSet {
    row: Ways<Stored, RECORDS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Stored {
    mark: U64,
    tat: U64,
    /// The tolerance in units of 2^20 ns.
    tolerance: U32,
}

impl Marked for Stored {
    fn mark(&self) -> u64 {
        self.mark.get()
    }
}

impl record::Record for SlotSet {
    fn from_bytes(stored: &[u8]) -> Self {
        Self { row: Ways::from_bytes(stored) }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.row.to_bytes()
    }
}

impl SlotSet {
    /// Returns the TAT of the bucket of `mark`.
    pub fn find(&self, mark: u64) -> Option<Timestamp> {
        self.row.find(mark).map(|(_, record)| Timestamp::from_nanos(record.tat.get()))
    }

    /// Stores `record` over the record of its mark, or else over a refilled bucket, or else over the one whose eviction
    /// costs least, but never over a mark in `keep`.
    pub fn put(&mut self, record: Record, now: Timestamp, keep: &[u64]) -> Put {
        self.put_among(0..WAYS, record, now, keep)
    }

    /// Stores the `record` of an overflow bucket among the records reserved for these, by the same rules.
    pub fn put_overflow(&mut self, record: Record, now: Timestamp, keep: &[u64]) -> Put {
        self.put_among(WAYS..RECORDS, record, now, keep)
    }

    fn put_among(&mut self, ways: Range<usize>, record: Record, now: Timestamp, keep: &[u64]) -> Put {
        let mut refilled = None;
        let mut least: Option<(usize, Loss)> = None;
        let mut wait = u64::MAX;
        for (way, bytes) in self.row.iter().enumerate().filter(|(way, _)| ways.contains(way)) {
            let old = Record::from(bytes);
            if old.mark == record.mark {
                self.write(way, record);
                return Put::Stored;
            }
            match Loss::of(&old, now) {
                None => refilled = refilled.or(Some(way)),
                Some(_) if keep.contains(&old.mark) => {}
                Some(loss) if loss.bearable() && least.is_none_or(|(_, best)| loss.less_than(best)) => {
                    least = Some((way, loss));
                }
                Some(loss) => wait = wait.min(loss.unbearable_for()),
            }
        }
        let (way, put) = match (refilled, least) {
            (Some(way), _) => (way, Put::Stored),
            (None, Some((way, _))) => (way, Put::Evicted),
            (None, None) => return Put::Full { wait },
        };
        self.write(way, record);
        put
    }

    /// Changes the bucket of `mark`, if it is present.
    pub fn amend(&mut self, mark: u64, change: impl FnOnce(Timestamp) -> Timestamp) {
        if let Some((way, record)) = self.row.find(mark).map(|(way, record)| (way, Record::from(record))) {
            self.write(way, Record { tat: change(record.tat), ..record });
        }
    }

    fn write(&mut self, way: usize, record: Record) {
        self.row.set(way, record.into());
    }
}

/// The loss if a record is evicted: `spent` of `tolerance` nanoseconds' worth of tokens.
#[derive(Clone, Copy)]
struct Loss {
    spent: u64,
    tolerance: u64,
}

impl Loss {
    fn of(record: &Record, now: Timestamp) -> Option<Self> {
        let spent = record.tat.nanos_since(now);
        (spent > 0).then_some(Self { spent, tolerance: record.tolerance })
    }

    const fn bearable(&self) -> bool {
        self.spent <= self.tolerance
    }

    const fn unbearable_for(&self) -> u64 {
        self.spent.saturating_sub(self.tolerance)
    }

    fn less_than(&self, other: Self) -> bool {
        let part = |of: u64, whole: u64| u128::from(of).saturating_mul(u128::from(whole));
        part(self.spent, other.tolerance) < part(other.spent, self.tolerance)
    }
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        let tolerance = u32::try_from(record.tolerance >> 20).unwrap_or(u32::MAX);
        Self { mark: record.mark.into(), tat: record.tat.as_nanos().into(), tolerance: tolerance.into() }
    }
}

impl From<&Stored> for Record {
    fn from(stored: &Stored) -> Self {
        Self {
            mark: stored.mark.get(),
            tat: Timestamp::from_nanos(stored.tat.get()),
            tolerance: u64::from(stored.tolerance.get()) << 20,
        }
    }
}

#[cfg(test)]
mod tests;
