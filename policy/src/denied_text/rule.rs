//! Compiles the texts of rules to an automaton, or says what is wrong with the first invalid one.

use super::Rules;
use super::automaton::Automaton;
use crate::pattern;
use core::fmt;
use regex_automata::nfa::thompson::{Compiler, Config, NFA, WhichCaptures};
use regex_automata::util::syntax;

/// The maximum size of the intermediate automaton (NFA), in bytes.
const MAX_NFA: usize = 1 << 20;

/// The reason why a text is not a rule, with what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRule {
    /// The index of the rule, from 0.
    pub index: usize,
    /// The problem, in one line.
    pub problem: String,
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.index, self.problem)
    }
}

impl core::error::Error for InvalidRule {}

pub(super) fn compile(rules: &[&str]) -> Result<Automaton, InvalidRule> {
    if rules.len() > Rules::MAX {
        let problem = format!("found {} rules, accepted are {}", rules.len(), Rules::MAX);
        return Err(InvalidRule { index: Rules::MAX, problem });
    }
    for (index, rule) in rules.iter().enumerate() {
        check(rule).map_err(|problem| InvalidRule { index, problem })?;
    }
    automaton(rules).ok_or_else(|| {
        let index = first_too_many(rules);
        let with = if index == 0 { "it compiles" } else { "with the rules before it, it compiles" };
        let advice = "shorter repetitions, fewer `.*` and ASCII classes such as (?-u:\\w) take less";
        InvalidRule { index, problem: format!("{with} to more than {} bytes: {advice}", Rules::MAX_COMPILED) }
    })
}

fn check(rule: &str) -> Result<(), String> {
    if rule.len() > Rules::MAX_LENGTH {
        return Err(format!("{} bytes long, accepted are {}", rule.len(), Rules::MAX_LENGTH));
    }
    let parsed = syntax::parse(rule).map_err(|error| pattern::last_line(&error))?;
    let properties = parsed.properties();
    if properties.look_set().contains_word_unicode() {
        return Err("Unicode word boundary, accepted are ASCII's: (?-u:\\b)".to_owned());
    }
    if properties.minimum_len() == Some(0) {
        return Err("matches the empty text, accepted is what matches at least one character".to_owned());
    }
    Ok(())
}

fn automaton(rules: &[&str]) -> Option<Automaton> {
    Automaton::new(&nfa(rules)?)
}

fn nfa(rules: &[&str]) -> Option<NFA> {
    let config = Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(MAX_NFA));
    Compiler::new().configure(config).build_many(rules).ok()
}

/// Finds by bisection the rule with which the rules no longer fit.
fn first_too_many(rules: &[&str]) -> usize {
    let (mut fitting, mut too_many) = (0_usize, rules.len());
    loop {
        let half = fitting.midpoint(too_many);
        if half == fitting {
            return fitting;
        }
        let some = rules.get(..half).unwrap_or_default();
        *(if automaton(some).is_some() { &mut fitting } else { &mut too_many }) = half;
    }
}
