//! Finds phrases that no text may contain: regular expressions of an operator, matched against a text that arrives in pieces.
//!
//! Each expression is matched against the decoded text, and against a copy that is normalised on the fly: without invisible
//! characters, in NFKC, with every run of white space as one space. So full-width letters, joiners between letters, line breaks
//! and no-break spaces do not hide a phrase. All rules are one deterministic automaton, and a copy of a text is one state of it:
//! linear time, constant memory, and nothing of a text is kept but the few characters that the next may still change. Most text is
//! its own normal form, and copies that are in the same state are walked together.
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

/// Rules whose matches are seen: a bit for each, the first the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In a message, however its parts are joined.
    pub alone: u64,
    /// The same, or in the message and those before it.
    pub run: u64,
}

/// How far the texts of a message, and of the messages before it, have been watched: for each way to join them. It is
/// of use only to the rules that began it.
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
    /// Where other ways to join the texts have led elsewhere.
    lanes: Lanes,
}

impl Rules {
    /// The maximum number of rules.
    pub const MAX: usize = 64;
    /// The longest text of a rule, in bytes.
    pub const MAX_LENGTH: usize = 1_024;
    /// What all rules together may compile to, in bytes.
    pub const MAX_COMPILED: usize = 4 << 20;

    /// From their regular expressions. They know Unicode's `(?i)`, `\w`, `\d` and `\s`, but no other property (`\p{L}`):
    /// those tables are left out. `^` and `$` are the text's begin and end.
    ///
    /// # Errors
    /// The first rule that is one too many, is no regular expression, is longer or takes more memory than it may, has a
    /// Unicode `\b`, or can match no characters at all.
    pub fn new(rules: &[&str]) -> Result<Self, InvalidRule> {
        let rules = rule::compile(rules).map(Self)?;
        Forms::get();
        Ok(rules)
    }

    /// What they compiled to, in bytes.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// At the begin of a message.
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

    /// Watches the next piece of a text. A match is seen when what follows its last character is, or by
    /// [`end`](Self::end).
    #[inline]
    pub fn piece(&self, watch: &mut Watch, text: &str) -> Found {
        if self.0.is_dead(watch.decoded) && self.0.is_dead(watch.normal) && !watch.is_split() {
            return Found::default();
        }
        let mut walk = Walk::new(&self.0);
        walk.text(watch, text);
        walk.found()
    }

    /// Another part of the message begins.
    pub fn part(&self, watch: &mut Watch, joint: Joint) -> Found {
        let mut walk = Walk::new(&self.0);
        walk.part(watch, joint);
        walk.found()
    }

    /// Another message begins, which a server may join to the one before.
    pub fn message(&self, watch: &mut Watch) -> Found {
        let mut walk = Walk::new(&self.0);
        walk.message(watch, self.begin());
        walk.found()
    }

    /// What is seen if the message ends here.
    pub fn end(&self, watch: &Watch) -> Found {
        let mut walk = Walk::new(&self.0);
        walk.end(*watch);
        walk.found()
    }
}

impl Found {
    /// Whether no rule has matched.
    pub const fn is_empty(self) -> bool {
        self.alone | self.run == 0
    }

    /// What is seen here or there.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { alone: self.alone | other.alone, run: self.run | other.run }
    }
}
