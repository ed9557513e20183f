//! A short string that is kept whole for comparison: a key, a role, a type.

use super::Class;

const LONGEST: usize = 64;

/// The first 64 bytes of a string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Label {
    pub(super) const EMPTY: Self = Self { bytes: [0; LONGEST], length: 0 };

    /// Appends a piece, whole or not at all. Returns false if there is no room.
    #[inline]
    pub(super) fn push(&mut self, text: &str) -> bool {
        let free = self.bytes.get_mut(self.length..).unwrap_or_default();
        let Some((room, _)) = free.split_at_mut_checked(text.len()) else { return false };
        room.copy_from_slice(text.as_bytes());
        self.length = self.length.wrapping_add(text.len());
        true
    }

    /// Appends `text`, which is ASCII, and keeps only the last bytes that fit.
    pub(super) fn keep_last(&mut self, text: &str) {
        let skipped = self.length.saturating_add(text.len()).saturating_sub(LONGEST);
        let held = self.bytes;
        let held = held.get(..self.length).unwrap_or_default();
        let kept = held.iter().chain(text.as_bytes()).skip(skipped);
        self.length = self.bytes.iter_mut().zip(kept).map(|(place, byte)| *place = *byte).count();
    }

    /// Returns the label's text.
    pub(super) fn text(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }

    /// Returns the label without suspicious characters, as the server sees it once they are removed.
    pub(super) fn visible(&self) -> Self {
        if self.text().bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return *self;
        }
        let mut visible = Self::EMPTY;
        for character in self.text().chars().filter(|character| Class::of(*character).is_none()) {
            visible.push(character.encode_utf8(&mut [0; 4]));
        }
        visible
    }

    pub(super) const fn clear(&mut self) {
        self.length = 0;
    }
}
