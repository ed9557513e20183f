//! A table of names, found in whatever letters they are written: as they are, or as Go's `encoding/json` folds them,
//! which knows a name in any letter case, and the long s and the Kelvin sign for letters. A search costs the same
//! whether the name is known or not, so that nobody makes it dear with names that are nearly known.

/// Names, each with a value.
pub(super) struct Names<T: 'static, const N: usize> {
    /// Sorted by the folded names, no two of which are alike.
    sorted: [(&'static str, T); N],
}

impl<T: Copy, const N: usize> Names<T, N> {
    #[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
    pub(super) const fn new(mut names: [(&'static str, T); N]) -> Self {
        let mut next = 1;
        while next < N {
            let mut place = next;
            while place > 0 && is_before(names[place].0.as_bytes(), names[place - 1].0.as_bytes()) {
                names.swap(place, place - 1);
                place -= 1;
            }
            next += 1;
        }
        Self { sorted: names }
    }

    /// The value of this name, and whether it is written to the letter; if not, only if it `folds`.
    #[inline(never)]
    pub(super) fn find(&self, written: &str, folds: bool) -> Option<(T, bool)> {
        let order = |(name, _): &(&str, T)| name.bytes().map(lower).cmp(Folded(written.as_bytes()));
        let place = self.sorted.binary_search_by(order).ok()?;
        let (name, value) = self.sorted.get(place)?;
        let is_exact = *name == written;
        (folds || is_exact).then_some((*value, is_exact))
    }
}

/// The bytes of a name, folded.
struct Folded<'a>(&'a [u8]);

impl Iterator for Folded<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = match self.0 {
            [0xC5, 0xBF, rest @ ..] => (b's', rest),
            [0xE2, 0x84, 0xAA, rest @ ..] => (b'k', rest),
            [byte, rest @ ..] => (lower(*byte), rest),
            [] => return None,
        };
        self.0 = rest;
        Some(byte)
    }
}

const fn lower(byte: u8) -> u8 {
    byte.to_ascii_lowercase()
}

const fn is_before(one: &[u8], other: &[u8]) -> bool {
    match (one.split_first(), other.split_first()) {
        (None, Some(_)) => true,
        (_, None) => false,
        (Some((one, rest)), Some((other, others))) => {
            let (one, other) = (lower(*one), lower(*other));
            one < other || one == other && is_before(rest, others)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<u8, 4> = Names::new([("n_predict", 1), ("maxTokens", 2), ("n", 3), ("messages", 4)]);

    #[test]
    fn a_name_is_found_as_it_is_and_in_other_letters_where_these_are_folded() {
        for (written, folded, exact) in [
            ("n", Some(3), Some(3)),
            ("N", Some(3), None),
            ("maxTokens", Some(2), Some(2)),
            ("maxtokens", Some(2), None),
            ("MAXTOKENS", Some(2), None),
            ("me\u{17F}\u{17F}ages", Some(4), None),
            ("maxTo\u{212A}ens", Some(2), None),
            ("n_predict", Some(1), Some(1)),
            ("n_predicts", None, None),
            ("n_predic", None, None),
            ("", None, None),
            ("é", None, None),
        ] {
            let found = folded.map(|value| (value, exact.is_some()));
            assert_eq!(NAMES.find(written, true), found, "{written}");
            assert_eq!(NAMES.find(written, false), exact.map(|value| (value, true)), "{written}");
        }
    }
}
