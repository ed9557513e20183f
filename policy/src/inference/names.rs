//! A table of names that matches exactly, or case-insensitively as Go's `encoding/json` does, which also takes the long
//! s and the Kelvin sign for letters. A search for an unknown name costs as much as for a known one, so clients cannot
//! make it expensive with near misses.

/// The longest name, in bytes.
const LONGEST: usize = 24;

/// The bytes of a folded name in order, which makes a comparison cheap.
type Packed = [u64; LONGEST / 8];

/// Names with a value each.
pub(super) struct Names<T: 'static, const N: usize> {
    /// Sorted by folded name, without duplicates.
    sorted: [(Packed, &'static str, T); N],
}

impl<T: Copy, const N: usize> Names<T, N> {
    #[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
    pub(super) const fn new(names: [(&'static str, T); N]) -> Self {
        let mut sorted = [([0; LONGEST / 8], names[0].0, names[0].1); N];
        let mut next = 0;
        while next < N {
            let (name, value) = names[next];
            assert!(name.len() <= LONGEST, "a longer name is never found");
            sorted[next] = (packed(name.as_bytes()), name, value);
            let mut place = next;
            while place > 0 && is_before(&sorted[place].0, &sorted[place - 1].0) {
                sorted.swap(place, place - 1);
                place -= 1;
            }
            next += 1;
        }
        Self { sorted }
    }

    /// Returns the value of a name and true if it is spelled exactly. Other spellings match only if `folds`.
    pub(super) fn find(&self, written: &str, folds: bool) -> Option<(T, bool)> {
        let folded = folded(written.as_bytes())?;
        let order = |(name, _, _): &(Packed, _, _)| match (name, &folded) {
            ([name, ..], [folded, ..]) if name != folded => name.cmp(folded),
            _ => name.cmp(&folded),
        };
        let place = self.sorted.binary_search_by(order).ok()?;
        let (_, name, value) = self.sorted.get(place)?;
        let is_exact = *name == written;
        (folds || is_exact).then_some((*value, is_exact))
    }
}

/// Returns the folded name, or `None` if it is longer than any known name.
fn folded(written: &[u8]) -> Option<Packed> {
    let mut bytes = [0; LONGEST];
    if written.is_ascii() {
        bytes.get_mut(..written.len())?.copy_from_slice(written);
        bytes.make_ascii_lowercase();
        let mut words = [0; LONGEST / 8];
        for (word, eight) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_be_bytes(*eight);
        }
        return Some(words);
    }
    let mut rest = written;
    let mut places = bytes.iter_mut();
    loop {
        let (byte, after) = match rest {
            [0xC5, 0xBF, after @ ..] => (b's', after),
            [0xE2, 0x84, 0xAA, after @ ..] => (b'k', after),
            [byte, after @ ..] => (*byte, after),
            [] => return Some(packed(&bytes)),
        };
        rest = after;
        *places.next()? = byte;
    }
}

/// Packs the lower-case bytes of a name, the first byte highest.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "no longer than LONGEST"
)]
const fn packed(name: &[u8]) -> Packed {
    let mut packed = [0; LONGEST / 8];
    let mut at = 0;
    while at < name.len() && at < LONGEST {
        let byte = name[at].to_ascii_lowercase() as u64;
        packed[at / 8] |= byte << (56 - 8 * (at % 8));
        at += 1;
    }
    packed
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
const fn is_before(one: &Packed, other: &Packed) -> bool {
    let mut word = 0;
    while word < one.len() {
        if one[word] != other[word] {
            return one[word] < other[word];
        }
        word += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<u8, 4> = Names::new([("n_predict", 1), ("maxTokens", 2), ("n", 3), ("messages", 4)]);

    #[test]
    fn a_name_is_found_exactly_and_in_any_letter_case_where_names_fold() {
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
