//! A smaller job from a request as it was sent: parts of the body are replaced, every other byte stays as it is. What is
//! dropped becomes `null`, which the APIs take for absent; so a member that occurs twice is reduced where it counts,
//! in its last occurrence.

use crate::asked::Api;
use crate::config::{Extra, Reduce};
use core::fmt::Write;
use std::borrow::Cow;
use tidegate_policy::inference::{Facts, Member, Seen, Value};
use tidegate_policy::rewrite::{Edit, apply};

const TOKENS: [Member; 3] = [Member::MaxTokens, Member::MaxCompletionTokens, Member::MaxOutputTokens];

/// A body made smaller, and what was done, as a header says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// The new body.
    pub body: Vec<u8>,
    /// Such as `reduce;max_tokens=4096->256`.
    pub note: String,
}

/// The smaller job; `None` if there is nothing to leave out.
pub fn reduce(rule: &Reduce, api: Api, facts: &Facts, body: &[u8]) -> Option<Reduced> {
    let mut job = Job { edits: Vec::new(), note: "reduce".to_owned() };
    if let Some(most) = rule.clamp_completion_tokens {
        job.clamp(most, api, facts, body);
    }
    for extra in &rule.drop {
        job.leave_out(*extra, facts);
    }
    if let Some(model) = &rule.model {
        job.answer_by(model, facts);
    }
    let Job { mut edits, note } = job;
    if edits.is_empty() {
        return None;
    }
    Some(Reduced { body: apply(body, &mut edits)?, note })
}

struct Job {
    edits: Vec<Edit>,
    note: String,
}

impl Job {
    fn clamp(&mut self, most: u32, api: Api, facts: &Facts, body: &[u8]) {
        let mut asked = false;
        for member in TOKENS {
            let Some(seen) = facts.member(member).filter(|seen| seen.value != Value::Null) else { continue };
            asked = true;
            let found = match seen.value {
                Value::Integer(found) if found <= u64::from(most) => continue,
                Value::Integer(found) => found.to_string(),
                _ => "other".to_owned(),
            };
            self.replace(seen, most.to_string());
            self.say(format_args!("{}={found}->{most}", member.name()));
        }
        if asked {
            return;
        }
        let member = match api {
            Api::Chat | Api::Completion | Api::Message => Member::MaxTokens,
            Api::Response => Member::MaxOutputTokens,
            Api::Other => return,
        };
        match facts.member(member) {
            Some(null) => self.replace(null, most.to_string()),
            None => {
                let Some(at) = first_member(body) else { return };
                let with = Cow::Owned(format!("\"{}\":{most},", member.name()).into_bytes());
                self.edits.push(Edit { range: at..at, with });
            }
        }
        self.say(format_args!("{}=none->{most}", member.name()));
    }

    fn leave_out(&mut self, extra: Extra, facts: &Facts) {
        let dropped = match extra {
            Extra::Choices => return self.one(Member::N, facts),
            Extra::BestOf => return self.one(Member::BestOf, facts),
            Extra::Logprobs => [Member::Logprobs, Member::TopLogprobs].as_slice(),
            Extra::Tools => &[Member::Tools, Member::Functions, Member::ToolChoice],
        };
        let wanted = |seen: &&Seen| !matches!(seen.value, Value::Null | Value::Bool(false));
        let mut any = false;
        for seen in dropped.iter().filter_map(|member| facts.member(*member)).filter(wanted) {
            self.replace(seen, "null".to_owned());
            any = true;
        }
        if any {
            self.say(format_args!("{}", extra.name()));
        }
    }

    fn one(&mut self, member: Member, facts: &Facts) {
        let Some(seen) = facts.member(member) else { return };
        let found = match seen.value {
            Value::Integer(0 | 1) | Value::Null | Value::Bool(_) => return,
            Value::Integer(found) => found.to_string(),
            Value::Other => "other".to_owned(),
        };
        self.replace(seen, "1".to_owned());
        self.say(format_args!("{}={found}->1", member.name()));
    }

    fn answer_by(&mut self, model: &str, facts: &Facts) {
        let asked = facts.model().filter(|asked| asked.is_cut || asked.name != model);
        if let Some(seen) = facts.member(Member::Model).filter(|_| asked.is_some()) {
            self.replace(seen, format!("\"{}\"", model.replace('\\', "\\\\")));
            self.say(format_args!("model={model}"));
        }
    }

    fn replace(&mut self, seen: &Seen, with: String) {
        self.edits.push(Edit { range: seen.range.clone(), with: Cow::Owned(with.into_bytes()) });
    }

    fn say(&mut self, what: core::fmt::Arguments<'_>) {
        let _ = write!(self.note, ";{what}");
    }
}

/// Where the first member of an object begins that has one.
fn first_member(body: &[u8]) -> Option<u64> {
    let space = |byte: &u8| byte.is_ascii_whitespace();
    let before = body.iter().take_while(|byte| space(byte)).count();
    let (open, inner) = body.get(before..)?.split_first()?;
    let first = inner.iter().find(|byte| !space(byte))?;
    let at = u64::try_from(before).ok()?.checked_add(1)?;
    (*open == b'{' && *first == b'"').then_some(at)
}
