//! A short string or number that comes in pieces. One that is too long matches nothing.

const LONGEST: usize = 40;

/// The first bytes of a string, and its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Default for Word {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }
}

impl Word {
    pub(super) fn add(&mut self, text: &str) {
        let free = self.bytes.get_mut(self.length..).unwrap_or_default();
        free.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        self.length = self.length.saturating_add(text.len());
    }

    /// Returns the string, or an empty one if it is too long.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
