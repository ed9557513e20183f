//! The last characters of a text, which the next one may still change: a letter and its combining marks.
//!
//! No language puts more than a few marks on a letter. Further marks pass unchanged until a non-joining character
//! arrives, so endless marks cost constant memory and no more time than other characters.

/// The maximum number of carried characters.
const MAX: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Carry {
    characters: [char; MAX],
    length: usize,
    /// True for a single character that is its own normal form.
    same: bool,
    /// True once marks beyond the maximum have passed.
    spent: bool,
}

impl Carry {
    pub(super) const EMPTY: Self = Self { characters: ['\0'; MAX], length: 0, same: false, spent: false };

    /// Replaces the carried characters with `character`.
    #[inline]
    pub(super) const fn set(&mut self, character: char, same: bool) {
        let [first, ..] = &mut self.characters;
        *first = character;
        self.length = 1;
        (self.same, self.spent) = (same, false);
    }

    /// Adds a character. Returns false if the maximum is reached, or was reached since the last non-joining character.
    pub(super) fn push(&mut self, character: char) -> bool {
        let Some(place) = self.characters.get_mut(self.length).filter(|_| !self.spent) else {
            self.spent = true;
            return false;
        };
        *place = character;
        self.length = self.length.saturating_add(1);
        self.same = false;
        true
    }

    /// Returns the single character that is its own normal form.
    #[inline]
    pub(super) const fn same(&self) -> Option<char> {
        let [first, ..] = self.characters;
        if self.same { Some(first) } else { None }
    }

    /// Returns the only character.
    #[inline]
    pub(super) const fn lone(&self) -> Option<char> {
        let [first, ..] = self.characters;
        if self.length == 1 { Some(first) } else { None }
    }

    /// Returns the two characters, if they are a Latin letter and a mark that is its own normal form.
    #[inline]
    pub(super) const fn accented(&self) -> Option<(char, char)> {
        let [letter, mark, ..] = self.characters;
        let is_accented = letter.is_ascii_alphabetic() && matches!(mark, '\u{300}'..='\u{33F}');
        if self.length == 2 && is_accented { Some((letter, mark)) } else { None }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns true if both carry the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.length, self.same, self.spent) == (other.length, other.same, other.spent)
            && self
                .characters
                .iter()
                .zip(other.characters)
                .take(self.length)
                .all(|(one, other)| *one == other)
    }

    #[inline]
    pub(super) const fn clear(&mut self) {
        (self.length, self.same) = (0, false);
    }

    /// Takes all characters.
    pub(super) fn take(&mut self) -> impl Iterator<Item = char> + use<> {
        let Self { characters, length, .. } = *self;
        self.clear();
        characters.into_iter().take(length)
    }
}
