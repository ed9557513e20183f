//! Characters that people cannot see and models read. A prompt has few honest uses for them.
//!
//! Source: Unicode 16: control and private-use code points, `Bidi_Control`, and the zero-width part of
//! `Default_Ignorable_Code_Point`. The variation selectors of plane 0 are excluded, because emoji are spelled with
//! them.

use core::ops::Range;

/// The reason why a character is suspicious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A control character other than tab, line feed and carriage return.
    Control,
    /// A character that changes the direction of writing.
    Bidi,
    /// A zero-width character: a space, joiner, soft hyphen, tag, or supplementary variation selector.
    ZeroWidth,
    /// A private-use character, whose meaning is up to its users.
    PrivateUse,
}

/// A suspicious character and its position in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The reason for the suspicion.
    pub class: Class,
    /// The decoded character.
    pub character: char,
    /// The bytes of the body that spell the character: UTF-8, one escape, or a surrogate pair of escapes.
    pub range: Range<u64>,
    /// True if the character is harmful in its context, and not part of the spelling of a language or an emoji.
    pub is_harmful: bool,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 4] = [Self::Control, Self::Bidi, Self::ZeroWidth, Self::PrivateUse];

    /// Returns the class of a suspicious character.
    pub const fn of(character: char) -> Option<Self> {
        match character {
            '\t' | '\n' | '\r' => None,
            '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' => Some(Self::Control),
            '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                Some(Self::Bidi)
            }
            '\u{AD}'
            | '\u{34F}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200D}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206A}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}' => Some(Self::ZeroWidth),
            '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{FFFFD}' | '\u{100000}'..='\u{10FFFD}' => {
                Some(Self::PrivateUse)
            }
            _ => None,
        }
    }

    /// Returns the name of the class in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bidi => "bidi",
            Self::ZeroWidth => "zero_width",
            Self::PrivateUse => "private_use",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Control => 0,
            Self::Bidi => 1,
            Self::ZeroWidth => 2,
            Self::PrivateUse => 3,
        }
    }
}

/// Counts the characters of `text` and calls `name` with the class and the byte offset of each suspicious one.
pub(super) fn count(text: &str, mut name: impl FnMut(Class, char, usize)) -> usize {
    let (mut count, mut place) = (0_usize, 0_usize);
    while let Some(lead) = text.as_bytes().get(place) {
        count = count.wrapping_add(1);
        let common = common(*lead);
        if common > 0 {
            place = place.wrapping_add(common);
            continue;
        }
        let Some(character) = text.get(place..).and_then(|rest| rest.chars().next()) else { break };
        let length = character.len_utf8();
        if let Some(class) = Class::of(character) {
            name(class, character, place);
        }
        place = place.wrapping_add(length);
    }
    count
}

/// Returns the UTF-8 length of the characters that begin with `lead`, or 0 if one of them is suspicious.
#[inline]
const fn common(lead: u8) -> usize {
    match lead {
        b' '..=b'~' => 1,
        0xE4..=0xED | 0xE0 => 3,
        0xC3..=0xCC | 0xCE..=0xD7 | 0xD9..=0xDF => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_counted_once_and_the_suspicious_ones_are_named() {
        for character in '\0'..=char::MAX {
            let (mut text, mut named) = ([0; 5], Vec::new());
            let length = character.encode_utf8(&mut text).len();
            text[length] = b'.';
            let text = std::str::from_utf8(&text[..=length]).unwrap();
            let counted = count(text, |class, character, place| named.push((class, character, place)));
            assert_eq!(counted, 2, "{character:?}");
            let expected = Class::of(character).map(|class| (class, character, 0));
            assert_eq!(named, Vec::from_iter(expected), "{character:?}");
        }
    }
}
