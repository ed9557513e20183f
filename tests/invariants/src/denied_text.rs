//! Denied texts: a rule that comes in pieces finds what it finds in the whole text or in its normalised copy, and a watch
//! takes no memory.

use crate::cuts::Numbers;
use regex::Regex;
use std::sync::LazyLock;
use tidegate_policy::denied_text::Rules;
use tidegate_policy::inference::Class;
use unicode_normalization::UnicodeNormalization;

/// Marks in a row beyond which a text is normalised in parts.
const MARKS: usize = 16;

const RULES: [&[&str]; 4] = [
    &["(?i)ignore (all )?previous instructions", "^a b$", "  "],
    &["(?i)a ?b", "(?i)bad s", "e$", "é"],
    &["각", "が", "[^\\x00-\\x7F]b", "(?s)b.*e.*a"],
    &["(?i)\\w+ \\w+ \\w", "(?-u:\\b)ab(?-u:\\b)", "[\u{300}-\u{345}]b"],
];

static COMPILED: LazyLock<Vec<(Rules, Vec<Regex>)>> = LazyLock::new(|| {
    let whole = |rules: &[&str]| rules.iter().map(|rule| Regex::new(rule).unwrap()).collect();
    RULES.iter().map(|rules| (Rules::new(rules).unwrap(), whole(rules))).collect()
});

/// Whatever the text.
pub fn denied_text(text: &[u8]) {
    let text = &*String::from_utf8_lossy(text);
    let mut numbers = Numbers::of(text.as_bytes());
    let copy = normalised(text);
    for (rules, whole) in COMPILED.iter() {
        let found = watch(rules, [text]);
        assert_eq!(watch(rules, text.split_inclusive(|_| true)), found, "character by character");
        assert_eq!(watch(rules, pieces(text, &mut numbers)), found, "in pieces");
        let memory = allocation_counter::measure(|| {
            watch(rules, [text]);
        });
        assert!(memory.bytes_max <= 1 << 10, "it takes {} bytes", memory.bytes_max);
        if let Some(copy) = &copy {
            let expected = whole.iter().position(|rule| rule.is_match(text) || rule.is_match(copy));
            assert_eq!(found, expected);
        }
    }
}

fn watch<'a>(rules: &Rules, pieces: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    let mut watch = rules.begin();
    let found = pieces.into_iter().fold(0, |found, piece| found | rules.piece(&mut watch, piece).alone);
    let found = found | rules.end(&watch).alone;
    (found != 0).then(|| found.trailing_zeros() as usize)
}

fn pieces<'a>(text: &'a str, numbers: &mut Numbers) -> Vec<&'a str> {
    let (mut rest, mut pieces) = (text, Vec::new());
    while !rest.is_empty() {
        let characters = numbers.below(9);
        let end = rest.char_indices().nth(characters).map_or(rest.len(), |(at, _)| at);
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// The normalised copy by its definition; `None` if more marks follow a letter than are taken into account.
fn normalised(text: &str) -> Option<String> {
    let hidden = |character: char| {
        let class = Class::of(character);
        let hidden = class.is_some_and(|class| class != Class::PrivateUse);
        (hidden || ('\u{FE00}'..='\u{FE0F}').contains(&character)) && !character.is_whitespace()
    };
    let phrase = |character: char| core::iter::once(character).nfkd().count() > 4;
    let seen: Vec<char> = text.chars().filter(|character| !hidden(*character)).collect();
    let mut joined = 0;
    for character in &seen {
        let apart = ['a', *character].into_iter().nfkc().count() == 2;
        let starts = unicode_normalization::char::canonical_combining_class(*character) == 0;
        joined = if apart && starts && character.is_alphanumeric() { 0 } else { joined + 1 };
        if joined >= MARKS {
            return None;
        }
    }
    let mut copy = String::new();
    for part in seen.split_inclusive(|character| phrase(*character)) {
        let (letters, last) = match part.split_last() {
            Some((last, before)) if phrase(*last) => (before, Some(*last)),
            _ => (part, None),
        };
        for character in letters.iter().copied().nfkc().chain(last) {
            if !character.is_whitespace() {
                copy.push(character);
            } else if !copy.ends_with(' ') {
                copy.push(' ');
            }
        }
    }
    Some(copy)
}
