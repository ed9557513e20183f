//! The keys of entries in the shared store. A table makes the keys of its sets, so no filter can build a wrong one, and
//! nothing that a client sends becomes part of a key.

use core::ops::Deref;

/// The length of the longest prefix and the longest number together, in bytes.
const LONGEST: usize = 21;

/// The first bytes of a table's keys, unique to that table.
pub type Prefix = [u8; 12];

/// The key of one entry: a prefix, and a number in little-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    bytes: [u8; LONGEST],
    length: u8,
    number: Option<u32>,
}

impl SlotKey {
    /// Returns the key of the entry with this number.
    pub fn numbered(prefix: &[u8], number: u32) -> Self {
        Self { number: Some(number), ..Self::of(prefix, &number.to_le_bytes()) }
    }

    /// Returns the key of the entry of a single mark, which no client chooses.
    pub fn single(prefix: &[u8], mark: u64) -> Self {
        Self::of(prefix, &mark.to_le_bytes())
    }

    fn of(prefix: &[u8], number: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        bytes.iter_mut().zip(prefix.iter().chain(number)).for_each(|(to, from)| *to = *from);
        let length = u8::try_from(prefix.len().saturating_add(number.len())).unwrap_or(u8::MAX);
        Self { bytes, length, number: None }
    }

    /// Returns the number of the set, or `None` for the entry of a single mark.
    pub const fn number(&self) -> Option<u32> {
        self.number
    }
}

impl Deref for SlotKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }
}

impl core::fmt::Debug for SlotKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_prefix_and_its_number_as_it_always_was() {
        assert_eq!(SlotKey::numbered(b"tidegate.rl.", 0x0102)[..], *b"tidegate.rl.\x02\x01\0\0");
        assert_eq!(SlotKey::single(b"tidegate.rl.", 0x0102)[..], *b"tidegate.rl.\x02\x01\0\0\0\0\0\0");
        assert_eq!(SlotKey::numbered(b"tidegate.dg.i", 7)[..], *b"tidegate.dg.i\x07\0\0\0");
        assert_ne!(SlotKey::numbered(b"tidegate.rl.", 0), SlotKey::single(b"tidegate.rl.", 0));
    }
}
