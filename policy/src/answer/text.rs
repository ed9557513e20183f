//! One JSON text of an answer, as it comes in pieces: what it says when it has come to its end. Of one that is longer than
//! [`MAX_INSPECTED`], what its beginning says counts; one that is no JSON is content.

use super::facts::Facts;
use super::member::{Kind, Member, Place};
use super::{First, MAX_INSPECTED, Shown};
use crate::json::Lexer;

const MAX_DEPTH: u8 = 64;

/// A JSON text as it comes.
#[derive(Clone, Debug)]
pub(super) struct Text {
    lexer: Lexer,
    facts: Facts,
    inspected: u32,
    is_invalid: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self { lexer: Lexer::new(MAX_DEPTH), facts: Facts::default(), inspected: 0, is_invalid: false }
    }
}

impl Text {
    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = usize::try_from(MAX_INSPECTED.saturating_sub(self.inspected)).unwrap_or(0);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        self.inspected = self.inspected.saturating_add(u32::try_from(bytes.len()).unwrap_or(MAX_INSPECTED));
        self.is_invalid = self.is_invalid || self.lexer.feed(bytes, &mut self.facts).is_err();
    }

    /// Whether its value has come to its end, or is none.
    pub(super) const fn is_ended(&self) -> bool {
        self.is_invalid || self.facts.has_ended
    }

    /// Whether an error has begun, so that more of it may say whose fault it is.
    pub(super) fn is_in_error(&self) -> bool {
        self.facts.is_error() || self.facts.place() == Place::Error || self.facts.member == Member::Error
    }

    /// What it says, now that it has come to its end.
    pub(super) fn said(mut self) -> Shown {
        let is_cut = self.inspected >= MAX_INSPECTED;
        let malformed = self.is_invalid || (!is_cut && self.lexer.finish(&mut self.facts).is_err());
        let facts = &self.facts;
        let error = facts.is_error().then(|| facts.blame()).filter(|_| !malformed);
        let ends = facts.finished || facts.kind == Kind::Stop || facts.kind == Kind::Cut;
        let first = match error {
            Some(blame) => Some(First::Error(blame)),
            None if malformed || (is_cut && !facts.is_content()) => Some(First::Content),
            None if facts.is_content() => Some(First::Content),
            None if ends => Some(First::End),
            None => None,
        };
        Shown {
            first,
            error,
            content: facts.shows && !malformed,
            finished: facts.finished && !malformed,
            cut: (facts.cut || facts.kind == Kind::Cut) && !malformed,
            done: matches!(facts.kind, Kind::Stop | Kind::Cut) && !malformed,
            malformed,
        }
    }
}
