//! Decides whether a suspicious character is harmful in its context. Languages and emoji are spelled with joiners, soft
//! hyphens, direction marks and tags; out of place, and above all in runs, the same characters hide text. A harmful
//! character may be removed, so the context is judged as if it were absent: whatever remains is harmless in its new
//! context.
//!
//! Source: UAX #9 (overrides change how a text reads, isolates and marks do not), UAX #31 (joiners in scripts that need
//! them), UTS #51 (sequences of emoji, flags spelled in tags), UAX #14 (U+200B between words of scripts without
//! spaces).

use super::characters::{Class, Suspect};
use core::ops::Range;

/// A longer run hides something, even if each character alone is legitimate.
const LONGEST_RUN: u8 = 4;
/// The longest flag in tags: five letters and the terminator are in use.
const LONGEST_FLAG: u8 = 7;

/// The context of a character within one string.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// The last character that is not harmful.
    last: Option<char>,
    /// The suspicious character immediately before, harmful or not.
    beside: Option<char>,
    /// A suspicious character whose successor has not arrived yet.
    pending: Option<Suspect>,
    run: u8,
    flag: u8,
}

impl Context {
    /// Begins a string.
    #[inline]
    pub(super) fn begin(&mut self) {
        if self.last.is_some() || self.beside.is_some() || self.pending.is_some() {
            *self = Self::default();
        }
    }

    /// Returns true while a suspicious character waits for its successor.
    #[inline]
    pub(super) const fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// Ends a piece of text that ends in `last`, unless `last` is the pending character.
    #[inline]
    pub(super) const fn ends_in(&mut self, last: Option<char>) {
        if last.is_some() && self.pending.is_none() {
            (self.last, self.beside) = (last, None);
        }
    }

    /// Judges the pending character, now that its successor `after` is known.
    pub(super) fn settle(&mut self, after: Option<char>) -> Option<Suspect> {
        let mut suspect = self.pending.take()?;
        let Suspect { class, character, .. } = suspect;
        suspect.is_harmful = match class {
            Class::Control | Class::PrivateUse => true,
            Class::Bidi => always_harms(character) || self.run > LONGEST_RUN,
            Class::ZeroWidth => !self.is_language(character, after),
        };
        self.beside = Some(character);
        if !suspect.is_harmful {
            self.last = Some(character);
        }
        Some(suspect)
    }

    /// Adds a suspicious character. `before` is the character in front of it, if that is in the same piece.
    pub(super) fn meet(&mut self, class: Class, character: char, range: Range<u64>, before: Option<char>) {
        if before.is_some_and(|before| Class::of(before).is_none()) {
            (self.last, self.beside) = (before, None);
        }
        if matches!(class, Class::Bidi | Class::ZeroWidth) {
            let goes_on = [self.last, self.beside].into_iter().flatten().any(is_unseen);
            self.run = if goes_on { self.run.saturating_add(1) } else { 1 };
        }
        if is_tag(character) {
            self.flag = match self.last {
                Some('\u{1F3F4}') => 1,
                Some(last) if is_tag(last) && self.flag > 0 => self.flag.saturating_add(1),
                _ => 0,
            };
        }
        self.pending = Some(Suspect { class, character, range, is_harmful: true });
    }

    /// Returns true if a lone zero-width character has legitimate neighbours.
    fn is_language(&self, character: char, after: Option<char>) -> bool {
        if is_tag(character) {
            let spells =
                matches!(character, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}' | '\u{E007F}');
            return spells && (1..=LONGEST_FLAG).contains(&self.flag);
        }
        let zero_width = |character: char| Class::of(character) == Some(Class::ZeroWidth);
        let before = [self.last, self.beside].into_iter().flatten();
        if before.filter(|before| !is_tag(*before)).chain(after).any(zero_width) {
            return false;
        }
        let before = self.last.unwrap_or(' ');
        let next = after.unwrap_or(' ');
        // A successor that is removed may itself be followed by any character.
        let unknown = after.is_some_and(always_harms);
        match character {
            '\u{200C}' => is_joined(before),
            '\u{200D}' => is_joined(before) || is_joined(next) || is_emoji(before) && is_emoji(next),
            '\u{200B}' => is_unspaced(before) || is_unspaced(next),
            '\u{AD}' => before.is_alphanumeric() || is_mark(before),
            '\u{FEFF}' => self.last.is_none_or(|last| last == '\n'),
            '\u{2060}'..='\u{2064}' => {
                !(before.is_ascii_alphabetic() && (unknown || next.is_ascii_alphabetic()))
            }
            '\u{34F}' => !before.is_ascii() || !(unknown || next.is_ascii()),
            '\u{115F}'..='\u{1160}' => {
                matches!(next, '\u{1100}'..='\u{11FF}') || matches!(before, '\u{1100}'..='\u{11FF}')
            }
            '\u{17B4}'..='\u{17B5}' => matches!(before, '\u{1780}'..='\u{17FF}'),
            '\u{180B}'..='\u{180F}' => matches!(before, '\u{1800}'..='\u{18AF}'),
            '\u{E0100}'..='\u{E01EF}' => {
                matches!(before, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
            }
            _ => false,
        }
    }
}

/// Returns true if the character is harmful in any context.
const fn always_harms(character: char) -> bool {
    matches!(Class::of(character), Some(Class::Control | Class::PrivateUse))
        || matches!(character, '\u{202D}' | '\u{202E}')
}

const fn is_tag(character: char) -> bool {
    matches!(character, '\u{E0020}'..='\u{E007F}')
}

fn is_unseen(character: char) -> bool {
    matches!(Class::of(character), Some(Class::Bidi | Class::ZeroWidth))
}

/// Returns true for a script whose letters change with their neighbours and whose spelling needs joiners for that:
/// Arabic and its relatives, Mongolian, and the scripts of India and its neighbours.
const fn is_joined(character: char) -> bool {
    matches!(character, '\u{600}'..='\u{8FF}' | '\u{900}'..='\u{DFF}' | '\u{F00}'..='\u{109F}')
        || matches!(character, '\u{1780}'..='\u{18AF}' | '\u{1900}'..='\u{1CFF}' | '\u{A800}'..='\u{ABFF}')
        || matches!(character, '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10A00}'..='\u{11FFF}')
        || matches!(character, '\u{1E900}'..='\u{1E95F}')
}

/// Returns true for a script that does not separate words by spaces.
const fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{E00}'..='\u{EFF}' | '\u{F00}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
        || matches!(character, '\u{1950}'..='\u{1AAF}' | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AA7F}')
        || matches!(character, '\u{3000}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{1B00}'..='\u{1B7F}')
}

/// Returns true for a part of an emoji sequence: a picture, a presentation selector, a modifier, or the end of a flag.
const fn is_emoji(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{2BFF}' | '\u{FE0F}' | '\u{1F000}'..='\u{1FAFF}' | '\u{E007F}' | '\u{20E3}')
}

const fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36F}')
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Scanner, TextSink};
    use super::*;

    #[derive(Default)]
    struct Harm(Vec<char>);

    impl TextSink for Harm {
        fn piece(&mut self, _: &Place, _: &str) {}
        fn end_of_text(&mut self, _: &Place) {}
        fn suspect(&mut self, _: &Place, suspect: &Suspect) {
            if suspect.is_harmful {
                self.0.push(suspect.character);
            }
        }
    }

    /// Returns the harmful characters of a text, which must not depend on its spelling or on the chunks.
    fn harm(text: &str) -> String {
        let written = serde_json::json!({ "messages": [{ "content": text }] }).to_string();
        let unit = |unit: u16| match u8::try_from(unit) {
            Ok(unit @ ..128) => char::from(unit).to_string(),
            _ => format!("\\u{unit:04x}"),
        };
        let escaped: String = written.encode_utf16().map(unit).collect();
        let found = |body: &str, size: usize| {
            let (mut scanner, mut harm) = (Scanner::new(9), Harm::default());
            body.as_bytes().chunks(size).for_each(|chunk| scanner.feed(chunk, &mut harm).unwrap());
            scanner.finish(&mut harm).unwrap();
            harm.0.into_iter().collect::<String>()
        };
        let whole = found(&written, usize::MAX);
        for body in [&written, &escaped] {
            for size in [1, 2, 3, 5, 7, usize::MAX] {
                assert_eq!(found(body, size), whole, "{text:?} as {body} in chunks of {size}");
            }
        }
        whole
    }

    #[test]
    fn characters_that_languages_and_emoji_need_are_harmless() {
        for text in [
            "می\u{200C}روم کتاب\u{200C}ها را ارائه\u{200C}دهنده می\u{200C}",
            "क्\u{200D}ष র\u{200D}্য ශ්\u{200D}රී ന്\u{200D}",
            "👨\u{200D}👩\u{200D}👧\u{200D}👦 👩🏽\u{200D}⚕\u{FE0F} 🏳\u{FE0F}\u{200D}🌈 ❤\u{FE0F}\u{200D}🔥",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} and 🏴\u{200D}☠\u{FE0F}",
            "ភាសា\u{200B}ខ្មែរ\u{200B}ជា\u{200B}ภาษา\u{200B}ไทย\u{200B}ພາສາ\u{200B}",
            "Infor\u{AD}mation Donau\u{AD}dampf",
            "שלום\u{200F}! \u{200E}100$\u{200F} \u{2068}name\u{2069} \u{202A}C:\\Users\u{202C}",
            "\u{FEFF}using System;",
            "葛\u{E0100}飾区 ᠠ\u{180B}",
        ] {
            assert_eq!(harm(text), "", "{text:?}");
        }
    }

    #[test]
    fn characters_that_hide_or_reverse_text_are_harmful() {
        for (text, harms) in [
            ("a\u{200B}b", "\u{200B}"),
            ("i\u{200D}g\u{200C}nore", "\u{200D}\u{200C}"),
            ("می\u{200C}\u{200C}\u{200D}\u{200C}روم", "\u{200C}\u{200C}\u{200D}\u{200C}"),
            ("👍\u{E0100}\u{E0148}", "\u{E0100}\u{E0148}"),
            ("see\u{E0068}\u{E0069}", "\u{E0068}\u{E0069}"),
            ("🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E0067}\u{E0067}\u{E0068}", "\u{E0068}"),
            ("abc\u{202E}cba\u{202D}", "\u{202E}\u{202D}"),
            ("\u{200E}\u{200F}\u{200E}\u{200F}\u{200E}\u{200F}", "\u{200E}\u{200F}"),
            ("one\u{FEFF}two", "\u{FEFF}"),
            ("\u{1B}[31m", "\u{1B}"),
            ("\u{AD}\u{AD}x", "\u{AD}\u{AD}"),
            ("1\u{2062}\u{202E}\u{2063}\u{202E}\u{2062}2", "\u{202E}\u{2063}\u{202E}\u{2062}"),
            ("x\u{AD}\u{202E}\u{200D}\u{64A}", "\u{202E}\u{200D}"),
            ("a\u{2062}\u{202E}b", "\u{2062}\u{202E}"),
            ("a\u{34F}\u{7}b", "\u{34F}\u{7}"),
        ] {
            assert_eq!(harm(text), harms, "{text:?}");
        }
    }
}
