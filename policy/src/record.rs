//! The layout of entries in the shared store, which every version of this software reads alike: fields in sequence,
//! little-endian, without padding. [`Fixed`] is one record of fixed size, whose layout is its declaration; [`Ways`] are
//! several records that share one entry, each found by its mark.
//!
//! Reading never fails: an incomplete record is dropped. A record may therefore change only together with the prefix of
//! its key.

use std::borrow::Cow;
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// An entry of the store. The default stands for an absent entry.
pub trait Record: Default {
    /// Reads bytes that any version of this software may have written, and drops unreadable parts.
    fn from_bytes(stored: &[u8]) -> Self;

    /// Returns the bytes to store.
    fn to_bytes(&self) -> Cow<'_, [u8]>;
}

/// A record of fixed size, for which any bytes are valid.
pub trait Fixed: FromBytes + IntoBytes + Immutable + Unaligned + Copy {
    /// The size of the record, in bytes.
    const SIZE: usize = size_of::<Self>();

    /// Reads the start of `stored`. Missing fields at the end are zero.
    fn first_of(stored: &[u8]) -> Self {
        match Self::read_from_prefix(stored) {
            Ok((record, _)) => record,
            Err(_) => {
                let mut record = Self::new_zeroed();
                let bytes = record.as_mut_bytes();
                bytes.iter_mut().zip(stored).for_each(|(place, byte)| *place = *byte);
                record
            }
        }
    }
}

impl<T: FromBytes + IntoBytes + Immutable + Unaligned + Copy> Fixed for T {}

/// Takes a `T` off the start of `rest`. Missing fields at the end are zero.
pub fn take<T: Fixed>(rest: &mut &[u8]) -> T {
    let record = T::first_of(rest);
    *rest = rest.get(T::SIZE..).unwrap_or_default();
    record
}

/// Returns the size of a `T`, in bytes.
#[expect(clippy::as_conversions, reason = "a usize is never wider than a u64, and no conversion is const")]
pub const fn bytes_of<T>() -> u64 {
    size_of::<T>() as u64
}

/// A record that is found by the mark of its fingerprint.
pub trait Marked: Fixed {
    /// Returns the mark of the record's fingerprint.
    fn mark(&self) -> u64;
}

/// Records side by side in one entry of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(transparent)]
pub struct Ways<R, const WAYS: usize>([R; WAYS]);

impl<R: Fixed, const WAYS: usize> Default for Ways<R, WAYS> {
    fn default() -> Self {
        Self([R::new_zeroed(); WAYS])
    }
}

impl<R: Marked, const WAYS: usize> Ways<R, WAYS> {
    /// Returns an iterator over all records.
    pub fn iter(&self) -> core::slice::Iter<'_, R> {
        self.0.iter()
    }

    /// Returns an iterator over all records that can change them.
    pub fn iter_mut(&mut self) -> core::slice::IterMut<'_, R> {
        self.0.iter_mut()
    }

    /// Returns the first record of `mark` and its place.
    pub fn find(&self, mark: u64) -> Option<(usize, &R)> {
        self.iter().enumerate().find(|(_, record)| record.mark() == mark)
    }

    /// Stores `record` in this place, if there is one.
    pub fn set(&mut self, way: usize, record: R) {
        if let Some(place) = self.0.get_mut(way) {
            *place = record;
        }
    }
}

impl<R: Marked, const WAYS: usize> Record for Ways<R, WAYS> {
    /// Drops an incomplete record, and any beyond the last place.
    fn from_bytes(stored: &[u8]) -> Self {
        let mut ways = Self::default();
        let records = stored.chunks_exact(R::SIZE).filter_map(|bytes| R::read_from_bytes(bytes).ok());
        ways.0.iter_mut().zip(records).for_each(|(place, record)| *place = record);
        ways
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::little_endian::{U16, U64};

    #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
    #[repr(C)]
    struct Pair {
        mark: U64,
        count: U16,
    }

    impl Marked for Pair {
        fn mark(&self) -> u64 {
            self.mark.get()
        }
    }

    #[test]
    fn fields_lie_one_after_the_other_in_little_endian() {
        let bytes = [1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 9];
        let pair = Pair { mark: 0x201.into(), count: 0x403.into() };
        assert_eq!((Pair::SIZE, Pair::first_of(&bytes), pair.as_bytes()), (10, pair, &bytes[..10]));
    }

    #[test]
    fn missing_fields_are_zero() {
        assert_eq!(Pair::first_of(&[7, 0, 0, 0, 0, 0, 0, 0, 3]), Pair { mark: 7.into(), count: 3.into() });
        assert_eq!(Pair::first_of(&[]), Pair { mark: 0.into(), count: 0.into() });
    }

    #[test]
    fn an_incomplete_record_and_any_beyond_the_last_are_dropped() {
        let pair = Pair { mark: 7.into(), count: 1.into() };
        let stored = pair.as_bytes().repeat(3);
        for (length, found) in [(9, None), (10, Some(0)), (19, Some(0)), (30, Some(0))] {
            let ways = Ways::<Pair, 2>::from_bytes(&stored[..length]);
            assert_eq!((ways.find(7).map(|(way, _)| way), ways.to_bytes().len()), (found, 20));
        }
    }
}
