//! A short string that is kept whole to be compared: a key, a role, a type.

const LONGEST: usize = 64;

/// The beginning of a string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Label {
    pub(super) const EMPTY: Self = Self { bytes: [0; LONGEST], length: 0 };

    /// Takes a piece more, whole or not at all. False if there is no room.
    #[inline]
    pub(super) fn push(&mut self, text: &str) -> bool {
        let free = self.bytes.get_mut(self.length..).unwrap_or_default();
        let Some((room, _)) = free.split_at_mut_checked(text.len()) else { return false };
        room.copy_from_slice(text.as_bytes());
        self.length = self.length.wrapping_add(text.len());
        true
    }

    /// What it holds.
    pub(super) fn text(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }

    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }
}
