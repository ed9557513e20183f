//! Generates texts that hide phrases, rules that they might hide from, and chunk boundaries.

use crate::denied_text::Rules;
use proptest::prelude::*;
use regex::Regex;
use std::sync::LazyLock;

const ALPHABET: &str = "a,b,e,i,k,s,A,E,K,S,I, , ,  ,\n,\t,\r\n,.,ab,a b,bad ,be,ｂ,ａ,ｅ,ａｂ,Ａ,ſ,\u{212A},ı,İ,ß,é,e\u{301},\
    \u{301},\u{327},\u{308},\u{345},\u{A8},\u{A0},\u{3000},\u{2003},\u{85},\u{2028},\u{AD},\u{200B},\u{200C},\u{200D},\
    \u{FEFF},\u{202E},\u{2066},\u{FE0F},\u{FE00},\u{E0041},\u{34F},\0,\u{1B},\u{7F},\u{1100},\u{1161},\u{11A8},가,각,\
    \u{3164},か,\u{3099},ｶ,ﾞ,中,ﬁ,①,ﷺ,\u{F900},\u{FB1D},\u{9C7},\u{9BE},👨\u{200D}👩,🏽,❤\u{FE0F},\u{E000},\u{10FFFF}";

const RULES: &[&[&str]] = &[
    &["a b"],
    &["(?i)a ?b", "(?i)bad s"],
    &["^ab", "e$", "^(?i)k+$"],
    &["é", "[^\\x00-\\x7F]b", "각", "が"],
    &["(?i)a.*b", "(?i)(s|k)i"],
    &["(?i)\\w+ \\w+ \\w"],
    &["(?s)b.*e.*a", "(?-u:\\b)ab(?-u:\\b)", "(?m)^b$"],
    &["[\u{300}-\u{345}]b", "  ", "\\n"],
];

/// The rules, and the same rules in an engine that sees the whole text.
pub(super) fn compiled() -> &'static [(Rules, Vec<Regex>)] {
    static COMPILED: LazyLock<Vec<(Rules, Vec<Regex>)>> = LazyLock::new(|| {
        let whole = |rules: &[&str]| rules.iter().map(|rule| Regex::new(rule).unwrap()).collect();
        RULES.iter().map(|rules| (Rules::new(rules).unwrap(), whole(rules))).collect()
    });
    &COMPILED
}

/// Texts with fewer marks in a row than the maximum of carried characters.
pub(super) fn text() -> impl Strategy<Value = String> {
    let alphabet: Vec<&str> = ALPHABET.split(',').collect();
    let anything = prop_oneof![9 => prop::sample::select(alphabet).prop_map(str::to_owned), 1 => "\\PC"];
    prop::collection::vec(anything, 0..24).prop_map(|parts| parts.concat())
}

#[derive(Clone, Debug)]
pub(super) struct Cut(pub(super) Vec<usize>);

/// The lengths of pieces, in characters; the last piece is the rest.
pub(super) fn pieces() -> impl Strategy<Value = Cut> {
    prop::collection::vec(0_usize..4, 0..24).prop_map(Cut)
}

impl Cut {
    pub(super) fn of<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut rest = text;
        let mut pieces = Vec::new();
        for length in &self.0 {
            let end = rest.char_indices().nth(*length).map_or(rest.len(), |(at, _)| at);
            let (piece, more) = rest.split_at(end);
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        pieces
    }
}
