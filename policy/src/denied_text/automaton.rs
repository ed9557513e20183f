//! Compiles all rules to one transition table.
//!
//! The table is built completely at configuration. A state is therefore a plain number that stays valid, however many
//! texts are searched at a time and in whatever order their pieces arrive.

use super::Rules;
use regex_automata::MatchKind;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::NFA;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

#[derive(Clone, Debug)]
pub(super) struct Automaton {
    table: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Automaton {
    /// Builds the table, or returns `None` if it exceeds the memory limit.
    pub(super) fn new(nfa: &NFA) -> Option<Self> {
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Unanchored)
            .accelerate(false)
            .dfa_size_limit(Some(Rules::MAX_COMPILED))
            .determinize_size_limit(Some(Rules::MAX_COMPILED));
        let table = dense::Builder::new().configure(config).build_from_nfa(nfa).ok()?;
        let start = table.start_state(&start::Config::new()).ok()?;
        Some(Self { table, start })
    }

    pub(super) fn memory(&self) -> usize {
        self.table.memory_usage()
    }

    pub(super) const fn start(&self) -> StateID {
        self.start
    }

    /// Returns true if nothing can match any more.
    pub(super) fn is_dead(&self, state: StateID) -> bool {
        self.table.is_dead_state(state)
    }

    /// Returns the state after a byte and adds the rules that match there to `found`.
    #[inline(always)]
    pub(super) fn next(&self, state: StateID, byte: u8, found: &mut u64) -> StateID {
        let next = self.table.next_state(state, byte);
        if self.table.is_special_state(next) {
            *found |= self.matches(next);
        }
        next
    }

    /// Returns the rules that match at the end of the text.
    pub(super) fn last(&self, state: StateID) -> u64 {
        self.matches(self.table.next_eoi_state(state))
    }

    #[cold]
    fn matches(&self, state: StateID) -> u64 {
        if !self.table.is_match_state(state) {
            return 0;
        }
        let rules = (0..self.table.match_len(state)).map(|at| self.table.match_pattern(state, at).as_u32());
        rules.fold(0, |found, rule| found | 1_u64.checked_shl(rule).unwrap_or(0))
    }
}
