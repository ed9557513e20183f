//! Lowers the number of completion tokens to a limit, together with the values that may not exceed it: a thinking
//! budget and a minimum. If no value satisfies all constraints, nothing is changed.
//!
//! Sources: Anthropic's extended thinking (a budget is at least 1,024 and below `max_tokens`), vLLM's `SamplingParams`
//! (`min_tokens` is at most `max_tokens`).

mod unset;

pub use unset::Spot;

use crate::inference::{Facts, Member, Seen, Value};
use crate::rewrite::Edit;
use core::fmt::Write;
use std::borrow::Cow;

/// The minimum thinking budget, in tokens.
pub const LEAST_BUDGET: u64 = 1_024;

/// The changes to a request and their description for a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clamped {
    /// The changes to the body.
    pub edits: Vec<Edit>,
    /// The description, such as `max_tokens=8192->4096`, with a `;` before each entry.
    pub note: String,
}

/// The reason why the completion tokens cannot be lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inconsistent {
    /// The requested thinking budget is not below the limit and cannot be lowered far enough.
    Budget(u64),
    /// Several objects contain this member.
    Several(Member),
}

/// Lowers the completion tokens to `limit`. With `unlimited`, a negative number, which means no limit, is replaced too.
///
/// # Errors
/// Returns an error if the request contains the member several times, or if its thinking budget cannot follow.
pub fn clamp(facts: &Facts, limit: u64, unlimited: bool) -> Result<Clamped, Inconsistent> {
    let mut clamped = Clamped::default();
    let mut asked = 0;
    for member in Member::COMPLETION_TOKENS {
        let Some(seen) = facts.member(member) else { continue };
        match seen.value {
            Value::Integer(number) if number > limit && seen.is_one_of_many => {
                return Err(Inconsistent::Several(member));
            }
            Value::Integer(number) if number > limit => {
                asked = number.max(asked);
                clamped.change(member.name(), seen, &number, limit);
            }
            Value::Negative if unlimited => clamped.change(member.name(), seen, &"unlimited", limit),
            _ => {}
        }
    }
    if !clamped.edits.is_empty() {
        clamped.follow(facts, asked, limit)?;
    }
    Ok(clamped)
}

impl Clamped {
    /// Lowers the values that depend on the completion tokens, which change from `asked` to `limit`.
    ///
    /// # Errors
    /// Returns an error if the thinking budget cannot follow.
    pub fn follow(&mut self, facts: &Facts, asked: u64, limit: u64) -> Result<(), Inconsistent> {
        for member in Member::LEAST_TOKENS {
            if let Some(seen) = facts.member(member)
                && let Value::Integer(least) = seen.value
                && least > limit
            {
                self.change(member.name(), seen, &least, limit);
            }
        }
        let Some(seen) = &facts.thinking_budget else { return Ok(()) };
        let Value::Integer(budget) = seen.value else { return Ok(()) };
        if budget < limit {
            return Ok(());
        }
        let share = u128::from(budget).saturating_mul(u128::from(limit)).checked_div(u128::from(asked));
        let share = share.and_then(|share| u64::try_from(share).ok()).unwrap_or(limit.wrapping_shr(1));
        let fitting = share.clamp(LEAST_BUDGET, limit.saturating_sub(1).max(LEAST_BUDGET));
        if fitting >= limit {
            return Err(Inconsistent::Budget(budget));
        }
        self.change("thinking.budget_tokens", seen, &budget, fitting);
        Ok(())
    }

    /// Replaces the value of a member by `number`.
    pub fn change(&mut self, name: &str, seen: &Seen, found: &dyn core::fmt::Display, number: u64) {
        let with = Cow::Owned(number.to_string().into_bytes());
        self.edits.push(Edit { range: seen.range.clone(), with, most: Some(number) });
        let _ = write!(self.note, ";{name}={found}->{number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Scanner;
    use crate::rewrite::apply;

    fn clamped(body: &str, limit: u64) -> Result<(String, String), Inconsistent> {
        let mut scanner = Scanner::new(9);
        scanner.feed(body.as_bytes(), &mut ()).unwrap();
        let mut clamped = clamp(scanner.facts(), limit, false)?;
        let body = apply(body.as_bytes(), &mut clamped.edits).unwrap();
        Ok((String::from_utf8(body).unwrap(), clamped.note))
    }

    #[test]
    fn a_thinking_budget_and_a_minimum_follow_the_completion_tokens() {
        for (body, changed, note) in [
            (
                r#"{"max_tokens":16000,"thinking":{"type":"enabled","budget_tokens":10000}}"#,
                r#"{"max_tokens":4096,"thinking":{"type":"enabled","budget_tokens":2560}}"#,
                ";max_tokens=16000->4096;thinking.budget_tokens=10000->2560",
            ),
            (
                r#"{"thinking":{"budget_tokens":31999},"max_tokens":32000}"#,
                r#"{"thinking":{"budget_tokens":4095},"max_tokens":4096}"#,
                ";max_tokens=32000->4096;thinking.budget_tokens=31999->4095",
            ),
            (
                r#"{"min_tokens":5000,"max_tokens":"8192"}"#,
                r#"{"min_tokens":4096,"max_tokens":4096}"#,
                ";max_tokens=8192->4096;min_tokens=5000->4096",
            ),
            (
                r#"{"max_tokens":9000,"thinking":{"budget_tokens":2000}}"#,
                r#"{"max_tokens":4096,"thinking":{"budget_tokens":2000}}"#,
                ";max_tokens=9000->4096",
            ),
            (r#"{"max_tokens":100.0}"#, r#"{"max_tokens":100.0}"#, ""),
            (r#"{"max_tokens":-1,"min_tokens":9000}"#, r#"{"max_tokens":-1,"min_tokens":9000}"#, ""),
        ] {
            assert_eq!(clamped(body, 4_096), Ok((changed.to_owned(), note.to_owned())));
        }
    }

    #[test]
    fn every_name_is_clamped_in_place_unless_it_occurs_several_times() {
        for (body, changed) in [
            (r#"{"prompt":"a","n_predict":5000}"#, r#"{"prompt":"a","n_predict":100}"#),
            (
                r#"{"text":"a","sampling_params":{"min_new_tokens":500,"max_new_tokens":5000}}"#,
                r#"{"text":"a","sampling_params":{"min_new_tokens":100,"max_new_tokens":100}}"#,
            ),
            (
                r#"{"OPTIONS":{"Num_Predict":5000},"prompt":""}"#,
                r#"{"OPTIONS":{"Num_Predict":100},"prompt":""}"#,
            ),
            (
                r#"{"max_tokens":5000,"parameters":{"max_new_tokens":6000}}"#,
                r#"{"max_tokens":100,"parameters":{"max_new_tokens":100}}"#,
            ),
        ] {
            assert_eq!(clamped(body, 100).unwrap().0, changed);
        }
        for body in [
            r#"{"requests":[{"params":{"max_tokens":5}},{"params":{"max_tokens":5000}}]}"#,
            r#"{"requests":[{"params":{"max_tokens":5000}},{"params":{"max_tokens":5,"max_tokens":6}}]}"#,
            r#"{"max_tokens":5000,"sampling_params":{"max_tokens":5}}"#,
        ] {
            assert_eq!(clamped(body, 100), Err(Inconsistent::Several(Member::MaxTokens)), "{body}");
        }
        let few = r#"{"requests":[{"params":{"max_tokens":5}},{"params":{"max_tokens":50}}]}"#;
        assert_eq!(clamped(few, 100).unwrap().0, few);
    }

    #[test]
    fn a_budget_that_cannot_follow_prevents_every_change() {
        let body = r#"{"max_tokens":16000,"thinking":{"budget_tokens":10000}}"#;
        assert_eq!(clamped(body, 1_024), Err(Inconsistent::Budget(10_000)));
        assert!(clamped(body, 1_025).unwrap().0.contains("1024"));
    }
}
