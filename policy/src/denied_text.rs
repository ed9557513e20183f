//! What no text may say: regular expressions of an operator, looked for in a text that comes in pieces.
//!
//! Each is looked for in the text as decoded, and in a normalised copy made on the fly: without the characters that no
//! one sees, in NFKC, every run of white space one space. So full-width letters, joiners between letters, line breaks
//! and no-break spaces do not hide a phrase. All rules are one deterministic automaton, and a copy of a text is one
//! state of it: linear time, constant memory, and no text is kept but the few characters that the next may still
//! change. Most text is its own normal form, and wherever both copies are in the same state, one walk serves for both.
//!
//! Sources: UAX #15 (NFKC, and from its stream-safe format the bound on combining marks); [`regex_automata`].

mod automaton;
mod carry;
mod kind;
mod rule;
mod walk;

#[cfg(test)]
mod tests;

pub use rule::InvalidRule;

use automaton::Automaton;
use carry::Carry;
use regex_automata::util::primitives::StateID;
use walk::Walk;

/// Rules, compiled.
#[derive(Clone, Debug)]
pub struct Rules(Automaton);

/// How far a text has been watched. It is of use only to the rules that began it.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    decoded: StateID,
    /// Of the normalised copy, before what is carried.
    normal: StateID,
    carry: Carry,
    /// The normalised copy, before what is carried, ends in a space.
    spaced: bool,
    /// The normalised copy with what is carried would be in the state `decoded`.
    joined: bool,
}

impl Rules {
    /// The longest text of a rule, in bytes.
    pub const MAX_LENGTH: usize = 1_024;
    /// What all rules together may compile to, in bytes.
    pub const MAX_COMPILED: usize = 4 << 20;

    /// From their regular expressions. They know Unicode's `(?i)`, `\w`, `\d` and `\s`, but no other property (`\p{L}`):
    /// those tables are left out. `^` and `$` are the text's begin and end.
    ///
    /// # Errors
    /// The first rule that is no regular expression, is longer or takes more memory than it may, has a Unicode `\b`, or
    /// can match no characters at all.
    pub fn new(rules: &[&str]) -> Result<Self, InvalidRule> {
        rule::compile(rules).map(Self)
    }

    /// What they compiled to, in bytes.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// At the begin of a text.
    pub const fn begin(&self) -> Watch {
        let start = self.0.start();
        Watch { decoded: start, normal: start, carry: Carry::EMPTY, spaced: false, joined: true }
    }

    /// Watches the next piece. The lowest index of the rules whose matches are seen in it: a match is seen when what
    /// follows its last character is, or by [`end`](Self::end).
    pub fn piece(&self, watch: &mut Watch, text: &str) -> Option<usize> {
        if self.0.is_dead(watch.decoded) && self.0.is_dead(watch.normal) {
            return None;
        }
        let mut walk = Walk::new(&self.0);
        walk.text(watch, text);
        walk.found()
    }

    /// The text is complete: the lowest index of the rules whose matches are seen only now.
    pub fn end(&self, watch: &mut Watch) -> Option<usize> {
        let mut walk = Walk::new(&self.0);
        walk.end(watch);
        walk.found()
    }
}
