//! Records of fixed size as the shared store holds them: fields one after the other, little-endian, without padding, and
//! several records of a kind in a [`Row`]. Reading never fails: what is missing at the end reads as zero.

/// Takes fields off the front of a record.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the first field of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field as it is.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if let Some((field, rest)) = self.rest.split_first_chunk() {
            self.rest = rest;
            return *field;
        }
        let field = core::mem::take(&mut self.rest);
        let mut whole = [0; N];
        whole.iter_mut().zip(field).for_each(|(place, byte)| *place = *byte);
        whole
    }

    /// The next field, of one byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.bytes())
    }

    /// The next field, of two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    /// The next field, of four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// The next field, of eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// The next field, of sixteen bytes.
    pub fn u128(&mut self) -> u128 {
        u128::from_le_bytes(self.bytes())
    }
}

/// Puts fields into a record of `N` bytes. What does not fit is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Writer<const N: usize> {
    record: [u8; N],
    filled: usize,
}

impl<const N: usize> Default for Writer<N> {
    fn default() -> Self {
        Self { record: [0; N], filled: 0 }
    }
}

impl<const N: usize> Writer<N> {
    /// One field more, as `to_le_bytes` gives it.
    pub fn put<const F: usize>(&mut self, field: [u8; F]) -> &mut Self {
        let free = self.record.get_mut(self.filled..).unwrap_or_default();
        match free.first_chunk_mut() {
            Some(place) => *place = field,
            None => free.iter_mut().zip(field).for_each(|(place, byte)| *place = byte),
        }
        self.filled = self.filled.saturating_add(F);
        self
    }

    /// The record, with zeros for the fields that were not put.
    pub const fn finish(&self) -> [u8; N] {
        self.record
    }
}

/// Records side by side, which share one entry of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<const WAYS: usize, const RECORD: usize> {
    records: [[u8; RECORD]; WAYS],
}

impl<const WAYS: usize, const RECORD: usize> Default for Row<WAYS, RECORD> {
    fn default() -> Self {
        Self { records: [[0; RECORD]; WAYS] }
    }
}

impl<const WAYS: usize, const RECORD: usize> Row<WAYS, RECORD> {
    /// From the store's bytes. What is no whole record, or beyond the last one, is dropped.
    pub fn from_bytes(stored: &[u8]) -> Self {
        let mut row = Self::default();
        for (place, record) in row.records.iter_mut().zip(stored.chunks_exact(RECORD)) {
            place.copy_from_slice(record);
        }
        row
    }

    /// For the store.
    pub const fn as_bytes(&self) -> &[u8] {
        self.records.as_flattened()
    }

    /// All records.
    pub fn iter(&self) -> core::slice::Iter<'_, [u8; RECORD]> {
        self.records.iter()
    }

    /// The first record that begins with `mark`, and its place.
    pub fn find(&self, mark: u64) -> Option<(usize, &[u8; RECORD])> {
        let mark = mark.to_le_bytes();
        self.records.iter().enumerate().find(|(_, record)| record.starts_with(&mark))
    }

    /// Puts `record` in this place, if there is one.
    pub fn set(&mut self, way: usize, record: [u8; RECORD]) {
        if let Some(place) = self.records.get_mut(way) {
            *place = record;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_their_order() {
        let mut writer = Writer::<31>::default();
        writer.put([1]).put(2_u16.to_le_bytes()).put(3_u32.to_le_bytes());
        let record = writer.put(4_u64.to_le_bytes()).put(5_u128.to_le_bytes()).finish();
        let mut reader = Reader::new(&record);
        assert_eq!((reader.u8(), reader.u16(), reader.u32()), (1, 2, 3));
        assert_eq!((reader.u64(), reader.u128()), (4, 5));
    }

    #[test]
    fn what_is_missing_is_zero_and_what_does_not_fit_is_dropped() {
        let mut reader = Reader::new(&[7, 1]);
        assert_eq!((reader.u8(), reader.u32(), reader.u64()), (7, 1, 0));
        assert_eq!(Writer::<3>::default().put([9]).put([8; 4]).put([7]).finish(), [9, 8, 8]);
    }
}
