//! A table of the normal form of each character. Some characters that clients may send are a hundred times as expensive
//! to normalise as others; with a table all cost the same. It is built when the first rules are configured and takes
//! about 300 KiB.

use super::kind::{Kind, is_common};
use core::iter::once;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// The end of the table. Characters from here on are rare and their own normal forms.
const END: u32 = 0x3_0000;
const PAGE: usize = 128;
/// The longest normal form of a [`Kind::Other`] character.
const LONGEST: usize = 4;

/// The normal form of a single character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) kind: Kind,
    /// The characters of the normal form, if it differs; NUL is none.
    parts: [char; LONGEST],
}

#[derive(Debug)]
pub(super) struct Forms {
    /// The start of each page of 128 characters in `places`.
    pages: Vec<u32>,
    /// The form of each character of a page, as an index.
    places: Vec<u16>,
    forms: Vec<Form>,
}

impl Forms {
    /// Returns the table, which all rules share.
    pub(super) fn get() -> &'static Self {
        static FORMS: LazyLock<Forms> = LazyLock::new(Forms::new);
        &FORMS
    }

    #[inline]
    pub(super) fn kind(&self, character: char) -> Kind {
        match character {
            _ if is_common(character) => Kind::Same,
            '\t'..='\r' | ' ' => Kind::Space,
            '\u{FF01}'..='\u{FF5E}' => Kind::of(character),
            _ => self.looked_up(character).map_or_else(|| Kind::of(character), |form| form.kind),
        }
    }

    pub(super) fn of(&self, character: char) -> Form {
        self.looked_up(character).copied().unwrap_or_else(|| Form::new(character))
    }

    #[inline]
    fn looked_up(&self, character: char) -> Option<&Form> {
        let code = usize::try_from(u32::from(character)).unwrap_or(usize::MAX);
        let page = self.pages.get(code / PAGE).and_then(|page| usize::try_from(*page).ok());
        let place = page.and_then(|page| self.places.get(page.wrapping_add(code % PAGE)));
        place.and_then(|place| self.forms.get(usize::from(*place)))
    }

    fn new() -> Self {
        let mut made = Self { pages: Vec::new(), places: Vec::new(), forms: Vec::new() };
        let mut page = Vec::with_capacity(PAGE);
        for code in 0..END {
            let form = char::from_u32(code).map_or(Form::unchanged(Kind::Same), Form::new);
            let unchanged = made.forms.iter().take(LONGEST).position(|known| *known == form);
            let place = unchanged.unwrap_or_else(|| {
                made.forms.push(form);
                made.forms.len().saturating_sub(1)
            });
            page.push(u16::try_from(place).unwrap_or(0));
            if page.len() == PAGE {
                let known = made.places.chunks(PAGE).position(|known| known == page);
                let at = known.map_or(made.places.len(), |known| known.saturating_mul(PAGE));
                if known.is_none() {
                    made.places.extend_from_slice(&page);
                }
                made.pages.push(u32::try_from(at).unwrap_or(0));
                page.clear();
            }
        }
        made
    }
}

impl Form {
    const fn unchanged(kind: Kind) -> Self {
        Self { kind, parts: ['\0'; LONGEST] }
    }

    fn new(character: char) -> Self {
        let kind = Kind::of(character);
        let mut form = Self::unchanged(kind);
        if kind == Kind::Other {
            form.parts.iter_mut().zip(once(character).nfkc()).for_each(|(place, part)| *place = part);
        }
        form
    }

    /// Returns the normal form of a [`Kind::Other`] character.
    pub(super) fn parts(&self) -> impl Iterator<Item = char> + use<> {
        self.parts.into_iter().take_while(|part| *part != '\0')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_a_look_up() {
        let forms = Forms::get();
        for character in '\0'..='\u{31FFF}' {
            assert_eq!(forms.of(character), Form::new(character), "{character:?}");
            assert_eq!(forms.kind(character), Kind::of(character), "{character:?}");
        }
        let size = forms.pages.len() * size_of::<u32>()
            + forms.places.len() * size_of::<u16>()
            + forms.forms.len() * size_of::<Form>();
        assert!(size < 400 << 10 && forms.forms.len() < usize::from(u16::MAX), "{size} bytes");
    }

    #[test]
    fn the_parts_of_a_character_are_its_normal_form() {
        for character in ('\0'..='\u{3FFFF}').filter(|character| Kind::of(*character) == Kind::Other) {
            let parts: Vec<char> = Forms::get().of(character).parts().collect();
            assert!(once(character).nfkc().eq(parts), "{character:?}");
        }
    }
}
