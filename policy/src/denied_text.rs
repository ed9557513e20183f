//! Searches streamed text for what no prompt may say: an operator's regular expressions.
//!
//! Every rule is matched against the decoded text and against a normalised copy, made on the fly: hidden characters
//! removed, NFKC, each run of white space a single space. Full-width letters, joiners between letters, line breaks and
//! no-break spaces therefore do not hide a phrase. All rules are one deterministic automaton and each copy is one state
//! of it, so time is linear and memory constant. Only the few characters that the next one may still change are kept.
//! While copies are in the same state, one walk serves them all.
//!
//! Sources: UAX #15 (NFKC); [`regex_automata`].

mod automaton;
mod carry;
mod escapes;
mod forms;
mod kind;
mod lanes;
mod rule;
mod walk;

#[cfg(test)]
mod tests;

pub use escapes::Escapes;
pub use lanes::Joint;
pub use rule::InvalidRule;

use automaton::Automaton;
use carry::Carry;
use forms::Forms;
use lanes::Lanes;
use regex_automata::util::primitives::StateID;
use walk::Walk;

/// Compiled rules.
#[derive(Clone, Debug)]
pub struct Rules(Automaton);

/// The rules that match, one bit each; the first rule is the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The rules that match within one message, however its parts are joined.
    pub alone: u64,
    /// These rules, and those that match across the message and its predecessors.
    pub run: u64,
}

/// The progress through the texts of a message and of its predecessors, for each way to join them. It is valid only for
/// the rules that began it.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    decoded: StateID,
    /// The state of the normalised copy, without the carried characters.
    normal: StateID,
    carry: Carry,
    /// True if the normalised copy, without the carried characters, ends in a space.
    spaced: bool,
    /// True if the normalised copy would be in the state `decoded` once the carried characters are added.
    joined: bool,
    /// The states of the other ways to join the texts, where they differ.
    lanes: Lanes,
}

impl Rules {
    /// The maximum number of rules.
    pub const MAX: usize = 64;
    /// The maximum length of a rule, in bytes.
    pub const MAX_LENGTH: usize = 1_024;
    /// The maximum size of all compiled rules together, in bytes.
    pub const MAX_COMPILED: usize = 4 << 20;

    /// Compiles regular expressions. They support `(?i)`, `\w`, `\d` and `\s` with Unicode, but no other property
    /// (`\p{L}`), to save the tables. `^` and `$` match the beginning and the end of the text.
    ///
    /// # Errors
    /// Returns the first rule that exceeds [`Self::MAX`], is no regular expression, is too long, exceeds the memory
    /// limit, contains a Unicode `\b`, or can match the empty text.
    pub fn new(rules: &[&str]) -> Result<Self, InvalidRule> {
        let rules = rule::compile(rules).map(Self)?;
        Forms::get();
        Ok(rules)
    }

    /// Returns the size of the compiled rules, in bytes.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// Returns the state at the beginning of a message.
    pub const fn begin(&self) -> Watch {
        let start = self.0.start();
        Watch {
            decoded: start,
            normal: start,
            carry: Carry::EMPTY,
            spaced: false,
            joined: true,
            lanes: Lanes::ONE,
        }
    }

    /// Reads the next piece of a text. A match is reported once the character after it is read, or by [`end`](Self::end).
    #[inline]
    pub fn piece(&self, watch: &mut Watch, text: &str) -> Found {
        if self.0.is_dead(watch.decoded) && self.0.is_dead(watch.normal) && !watch.is_split() {
            return Found::default();
        }
        let mut walk = Walk::new(&self.0);
        walk.text(watch, text);
        walk.found()
    }

    /// Begins another part of the message.
    pub fn part(&self, watch: &mut Watch, joint: Joint) -> Found {
        let mut walk = Walk::new(&self.0);
        walk.part(watch, joint);
        walk.found()
    }

    /// Begins another message, which a server may join to the previous one.
    pub fn message(&self, watch: &mut Watch) -> Found {
        let mut walk = Walk::new(&self.0);
        walk.message(watch, self.begin());
        walk.found()
    }

    /// Returns the rules that match if the message ends here.
    pub fn end(&self, watch: &Watch) -> Found {
        let mut walk = Walk::new(&self.0);
        walk.end(*watch);
        walk.found()
    }
}

impl Found {
    /// Returns true if no rule matches.
    pub const fn is_empty(self) -> bool {
        self.alone | self.run == 0
    }

    /// Returns the rules in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { alone: self.alone | other.alone, run: self.run | other.run }
    }
}
