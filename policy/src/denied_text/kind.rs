//! Classifies characters by what normalisation does to them.

use crate::inference::Class;
use core::iter::once;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, is_nfc_quick, is_nfkc_quick};

/// The longest normal form. Longer ones are expensive, and nobody spells a phrase with them.
const LONGEST: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A character that is removed.
    Hidden,
    /// White space. A run of it becomes one space, which no mark joins.
    Space,
    /// A character that may change the one before it, or be changed by it.
    Joining,
    /// A character that is its own normal form unless the next one joins it, and that leaves earlier ones unchanged.
    Same,
    /// A character that becomes this one, which is its own normal form unless the next one joins it.
    Mapped(char),
    /// A character that would become a whole phrase. It is left unchanged and nothing joins it.
    Phrase,
    /// A character that becomes something else and leaves earlier ones unchanged.
    Other,
}

impl Kind {
    #[inline]
    pub(super) fn of(character: char) -> Self {
        if is_common(character) {
            return Self::Same;
        }
        match character {
            '\u{FF01}'..='\u{FF5E}' => {
                let narrow = u32::from(character).wrapping_sub(0xFEE0);
                char::from_u32(narrow).map_or(Self::Other, Self::Mapped)
            }
            '\u{FDFA}' | '\u{FDFB}' => Self::Phrase,
            _ => Self::looked_up(character),
        }
    }

    pub(super) fn looked_up(character: char) -> Self {
        if character.is_whitespace() {
            return Self::Space;
        }
        if is_hidden(character) {
            return Self::Hidden;
        }
        let (mut first, mut parts) = (None, 0_usize);
        decompose_compatible(character, |part| {
            first.get_or_insert(part);
            parts = parts.wrapping_add(1);
        });
        let first = first.unwrap_or(character);
        if parts > LONGEST {
            return Self::Phrase;
        }
        if parts == 1 && first != character && is_common(first) {
            return Self::Mapped(first);
        }
        if canonical_combining_class(first) != 0 || is_nfc_quick(once(first)) != IsNormalized::Yes {
            return Self::Joining;
        }
        if is_nfkc_quick(once(character)) == IsNormalized::Yes { Self::Same } else { Self::Other }
    }
}

/// Returns true for an invisible character: one that a prompt has no honest use for, or a variation selector of emoji.
fn is_hidden(character: char) -> bool {
    let class = Class::of(character);
    matches!(class, Some(Class::Control | Class::Bidi | Class::ZeroWidth))
        || matches!(character, '\u{FE00}'..='\u{FE0F}')
}

/// Returns true for many characters of [`Kind::Same`], without a look-up.
#[inline]
pub(super) const fn is_common(character: char) -> bool {
    matches!(character, '!'..='~' | '\u{C0}'..='\u{131}' | '\u{391}'..='\u{3A1}' | '\u{3A3}'..='\u{3CE}')
        || matches!(character, '\u{400}'..='\u{482}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}')
        || matches!(character, '\u{3001}'..='\u{3029}' | '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}')
        || matches!(character, '\u{1F300}'..='\u{1FAFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization;

    /// All planes that contain letters.
    fn all() -> impl Iterator<Item = char> {
        '\0'..='\u{3FFFF}'
    }

    #[test]
    fn common_characters_agree_with_a_look_up() {
        for character in all().filter(|character| is_common(*character)) {
            assert_eq!(Kind::looked_up(character), Kind::Same, "{character:?}");
        }
    }

    #[test]
    fn kinds_known_without_a_look_up_agree_with_it() {
        for character in ('\u{FF01}'..='\u{FF5E}').chain(['\u{FDFA}', '\u{FDFB}']) {
            assert_eq!(Kind::of(character), Kind::looked_up(character), "{character:?}");
        }
    }

    #[test]
    fn a_character_of_kind_same_is_its_own_normal_form() {
        for character in all().filter(|character| Kind::of(*character) == Kind::Same) {
            assert!(once(character).nfkc().eq([character]), "{character:?}");
        }
    }

    #[test]
    fn normal_forms_contain_nothing_hidden() {
        for character in all().filter(|character| Kind::of(*character) != Kind::Hidden) {
            let mut form = once(character).nfkc();
            assert!(form.all(|part| Kind::of(part) != Kind::Hidden), "{character:?}");
        }
    }

    #[test]
    fn white_space_is_a_space_that_no_mark_joins() {
        let spaces: Vec<char> = all().filter(|character| Kind::of(*character) == Kind::Space).collect();
        for mark in all().filter(|character| Kind::of(*character) == Kind::Joining) {
            for space in &spaces {
                let form: String = [*space, mark].into_iter().nfkc().collect();
                let after: String = once(mark).nfkc().collect();
                assert!(
                    form.starts_with(char::is_whitespace) && form.ends_with(&after),
                    "{space:?} {mark:?}"
                );
                assert_eq!(form.chars().count(), after.chars().count() + 1, "{space:?} {mark:?}");
            }
        }
    }

    #[test]
    fn only_joining_characters_change_what_is_before_them() {
        let before = ['e', 'か', '가', '\u{1100}', '\u{9C7}', '\u{5B0}'];
        for character in all().filter(|character| !matches!(Kind::of(*character), Kind::Joining)) {
            for before in before {
                let apart = once(before).nfkc().chain(once(character).nfkc());
                assert!([before, character].into_iter().nfkc().eq(apart), "{before:?} {character:?}");
            }
        }
    }
}
