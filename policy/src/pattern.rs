//! Regular expressions on raw bytes, for rules that operators write and clients try to exploit. Each pattern is
//! compiled to one table of bounded size, so matching is linear in the input, whatever the pattern. Input need not be
//! UTF-8: `.` is any byte but a line feed, `\w` and `(?i)` are ASCII-only, and other bytes are written `\xFF`. This
//! also keeps Unicode's tables out of the modules.

use core::fmt;
use regex_automata::Input;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{Compiler, Config, NFA, WhichCaptures};
use regex_automata::util::syntax;

const MAX_COMPILED: usize = 1 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Box<dense::DFA<Vec<u32>>>);

/// The reason why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern(String);

impl Pattern {
    /// The maximum length of a pattern's text, in bytes.
    pub const MAX_LENGTH: usize = 1_024;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// Returns an error if the text is too long, is no regular expression, or compiles to more than 1 MiB.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > Self::MAX_LENGTH {
            let (found, accepted) = (text.len(), Self::MAX_LENGTH);
            return Err(InvalidPattern(format!("{found} bytes long, accepted are {accepted}")));
        }
        let bytes = syntax::Config::new().unicode(false).utf8(false);
        syntax::parse_with(text, &bytes).map_err(|error| InvalidPattern(last_line(&error)))?;
        let too_big = || InvalidPattern(format!("it compiles to more than {MAX_COMPILED} bytes"));
        nfa(text, bytes).as_ref().and_then(table).map(|table| Self(Box::new(table))).ok_or_else(too_big)
    }

    /// Returns true if the pattern matches anywhere in `bytes`.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.0.try_search_fwd(&Input::new(bytes).earliest(true)).is_ok_and(|found| found.is_some())
    }
}

fn nfa(text: &str, bytes: syntax::Config) -> Option<NFA> {
    let config =
        Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(MAX_COMPILED));
    Compiler::new().syntax(bytes).configure(config).build(text).ok()
}

fn table(nfa: &NFA) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(MAX_COMPILED))
        .determinize_size_limit(Some(MAX_COMPILED));
    dense::Builder::new().configure(config).build_from_nfa(nfa).ok()
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the message of a syntax error, without its illustration of the pattern.
pub(crate) fn last_line(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, bytes: &[u8]) -> bool {
        Pattern::new(pattern).unwrap().matches(bytes)
    }

    #[test]
    fn patterns_match_bytes() {
        assert!(matches("(?i)sqlmap|nikto", b"x SQLmap/1.8"));
        assert!(!matches("(?i)sqlmap|nikto", b"sql map"));
        assert!(matches(r"^\xa1\xff$", b"\xa1\xff"));
        assert!(matches("^a.b$", b"a\xffb"));
        assert!(matches(r"[^\x20-\x7e]", "prix 5 €".as_bytes()));
        assert!(!matches(r"\w", "é".as_bytes()));
        assert!(matches("é", "né".as_bytes()));
    }

    #[test]
    fn an_invalid_pattern_is_refused_with_a_one_line_reason() {
        for (text, why) in [
            ("(a", "unclosed group"),
            ("a{2,1}", "invalid repetition count range"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around"),
            ("[é]", "Unicode"),
            (r"\pL", "Unicode"),
            ("(?:a{999}){99}", "more than 1048576 bytes"),
            (&"a".repeat(1_025), "1025 bytes long, accepted are 1024"),
        ] {
            let error = Pattern::new(text).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains('\n'), "{error}");
        }
        assert!(Pattern::new(&"a".repeat(1_024)).is_ok());
        assert!(Pattern::new(&format!("(?i){}", "ab|".repeat(340))).is_ok());
    }

    #[test]
    fn a_pattern_that_traps_backtracking_engines_is_matched_in_linear_time() {
        let value = b"a".repeat(96 << 10);
        assert!(!matches("^(a+)+$b", &value));
        assert!(!matches("(a|a)*(a|aa)+[^a]$", &value));
    }

    proptest! {
        #[test]
        fn no_text_and_no_bytes_panic(text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(pattern) = Pattern::new(&text) {
                pattern.matches(&bytes);
            }
        }
    }
}
