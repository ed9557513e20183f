//! A short string that is kept whole in order to be compared: a key, a role, a type.

use super::Class;

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

    /// Holds the last of what it held and of `text`, which is ASCII, instead.
    pub(super) fn keep_last(&mut self, text: &str) {
        let skipped = self.length.saturating_add(text.len()).saturating_sub(LONGEST);
        let held = self.bytes;
        let held = held.get(..self.length).unwrap_or_default();
        let kept = held.iter().chain(text.as_bytes()).skip(skipped);
        self.length = self.bytes.iter_mut().zip(kept).map(|(place, byte)| *place = *byte).count();
    }

    /// The string so far.
    pub(super) fn text(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }

    /// The same without suspicious characters, as it is once they have been taken out.
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
