//! Counts the open connections of an address and limits the rate of new ones: exactly, across all workers, in bounded
//! memory, and without a count that leaks when a worker dies.
//!
//! A connection holds a lease on the term (30 s of the clock) in which it was last counted, and moves its count to the
//! current term before the next one ends. An unrenewed count was lost with its worker and expires after one to two
//! terms. A record is therefore two counts, whatever the number of workers, and an evicted record comes back as its
//! connections renew.
//!
//! A set is a short row of records in one entry of the store, as in [`crate::slots`]. A full one evicts the address
//! with the fewest connections, but never one at its cap.

use crate::bucket::{Bucket, Take};
use crate::record::{self, Marked, Ways, bytes_of};
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The records in a set.
pub const WAYS: usize = 16;

/// The length of a term, in nanoseconds: 30 s.
pub const TERM: u64 = 30_000_000_000;

/// The largest difference between the clocks of two decisions on one record, in nanoseconds.
const SKEW: u64 = 1_000_000_000;

/// The size of a set, in bytes.
pub const SET_BYTES: u64 = bytes_of::<Ways<Stored, WAYS>>();

/// The limits of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The maximum number of open connections, or `None` without a cap.
    pub connections: Option<u16>,
    /// The rate of new connections.
    pub arrivals: Bucket,
}

/// The proof that a connection is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    term: u32,
}

/// The decision on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The connection is counted.
    Admitted {
        /// The lease on its count.
        lease: Lease,
        /// True if another address was evicted for it.
        evicted: bool,
    },
    /// The address has the maximum number of connections.
    TooMany,
    /// The address opens connections too fast.
    TooFast,
    /// The connection cannot be counted: every address of the set is at a cap.
    Full,
}

impl Lease {
    /// Returns the time to renew the lease: in the first half of the next term, with jitter from `random` bits, so that
    /// connections opened together do not renew together.
    pub fn renew_at(self, random: u64) -> Timestamp {
        let next = u64::from(self.term).saturating_add(1).saturating_mul(TERM);
        let part = u128::from(random).saturating_mul(u128::from(TERM / 2)) >> 64;
        Timestamp::from_nanos(next).plus(u64::try_from(part).unwrap_or(0))
    }

    /// Returns true if `now` lies in the lease's term.
    pub fn is_current(self, now: Timestamp) -> bool {
        self.term == term(now)
    }
}

/// The addresses that share one entry of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSet {
    row: Ways<Stored, WAYS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Stored {
    mark: U64,
    /// The TAT of the bucket of new connections.
    tat: U64,
    term: U32,
    /// The connections last counted in the term before.
    before: U16,
    /// The connections last counted in this term.
    current: U16,
}

impl Marked for Stored {
    fn mark(&self) -> u64 {
        self.mark.get()
    }
}

impl record::Record for ConnectionSet {
    fn from_bytes(stored: &[u8]) -> Self {
        Self { row: Ways::from_bytes(stored) }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.row.to_bytes()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    mark: u64,
    tat: Timestamp,
    term: u32,
    before: u16,
    current: u16,
}

impl ConnectionSet {
    /// Returns the number of open connections of the address `mark`.
    pub fn open_connections(&self, mark: u64, now: Timestamp) -> u16 {
        self.find(mark, now).map_or(0, |(_, record)| record.live())
    }

    /// Opens a connection of the address `mark`. A refusal changes the set only if the bucket is further ahead than
    /// these caps allow, because other caps were in force before.
    pub fn open(&mut self, mark: u64, caps: &Caps, now: Timestamp) -> Opening {
        let found = self.find(mark, now);
        let record = found.map_or_else(|| Record::new(mark, now), |(_, record)| record);
        if caps.connections.is_some_and(|most| record.live() >= most) {
            return Opening::TooMany;
        }
        let Take::Now { tat } = caps.arrivals.take(Some(record.tat), now, 1) else {
            let amended = caps.arrivals.amended(record.tat, now.plus(SKEW));
            if let Some(((way, _), tat)) = found.zip(amended) {
                self.write(way, Record { tat, ..record });
            }
            return Opening::TooFast;
        };
        let room = match found {
            Some((way, _)) => Some((way, false)),
            None => self.room(caps, now),
        };
        let Some((way, evicted)) = room else { return Opening::Full };
        self.write(way, Record { tat, current: record.current.saturating_add(1), ..record });
        Opening::Admitted { lease: Lease { term: record.term }, evicted }
    }

    /// Moves a connection's count to the current term. If its address was evicted, it is counted again; returns `None`
    /// if there is no room for that.
    pub fn renew(&mut self, mark: u64, lease: Lease, caps: &Caps, now: Timestamp) -> Option<Lease> {
        let (way, record) = match self.find(mark, now) {
            Some((way, record)) => (way, record.without(lease)),
            None => (self.room(caps, now)?.0, Record::new(mark, now)),
        };
        self.write(way, Record { current: record.current.saturating_add(1), ..record });
        Some(Lease { term: record.term })
    }

    /// Closes a connection of the address `mark`.
    pub fn close(&mut self, mark: u64, lease: Lease, now: Timestamp) {
        if let Some((way, record)) = self.find(mark, now) {
            self.write(way, record.without(lease));
        }
    }

    fn find(&self, mark: u64, now: Timestamp) -> Option<(usize, Record)> {
        let (way, record) = self.row.find(mark)?;
        Some((way, Record::from(record).at(now)))
    }

    /// Returns a free place, or else the place of the address with the fewest connections among those below their caps,
    /// and true if that address had any.
    fn room(&self, caps: &Caps, now: Timestamp) -> Option<(usize, bool)> {
        let records = self.row.iter().map(|record| Record::from(record).at(now)).enumerate();
        let losses = records.filter(|(_, record)| !record.is_capped(caps, now));
        let loss = |record: &Record| (record.live(), record.tat.nanos_since(now));
        let (way, record) = losses.min_by_key(|(_, record)| loss(record))?;
        Some((way, loss(&record) != (0, 0)))
    }

    fn write(&mut self, way: usize, record: Record) {
        self.row.set(way, record.into());
    }
}

impl Record {
    fn new(mark: u64, now: Timestamp) -> Self {
        Self { mark, tat: now, term: term(now), before: 0, current: 0 }
    }

    const fn live(&self) -> u16 {
        self.before.saturating_add(self.current)
    }

    /// Returns the record in the term of `now`. A term in the future comes from a worker that read its clock later.
    fn at(self, now: Timestamp) -> Self {
        let now = term(now);
        match now.saturating_sub(self.term) {
            0 => self,
            1 => Self { term: now, before: self.current, current: 0, ..self },
            _ => Self { term: now, before: 0, current: 0, ..self },
        }
    }

    const fn without(self, lease: Lease) -> Self {
        match self.term.saturating_sub(lease.term) {
            0 => Self { current: self.current.saturating_sub(1), ..self },
            1 => Self { before: self.before.saturating_sub(1), ..self },
            _ => self,
        }
    }

    fn is_capped(&self, caps: &Caps, now: Timestamp) -> bool {
        caps.connections.is_some_and(|most| self.live() >= most)
            || !matches!(caps.arrivals.take(Some(self.tat), now, 1), Take::Now { .. })
    }
}

fn term(now: Timestamp) -> u32 {
    u32::try_from(now.as_nanos() / TERM).unwrap_or(u32::MAX)
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        Self {
            mark: record.mark.into(),
            tat: record.tat.as_nanos().into(),
            term: record.term.into(),
            before: record.before.into(),
            current: record.current.into(),
        }
    }
}

impl From<&Stored> for Record {
    fn from(stored: &Stored) -> Self {
        Self {
            mark: stored.mark.get(),
            tat: Timestamp::from_nanos(stored.tat.get()),
            term: stored.term.get(),
            before: stored.before.get(),
            current: stored.current.get(),
        }
    }
}

#[cfg(test)]
mod tests;
