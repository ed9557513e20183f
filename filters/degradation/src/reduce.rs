//! A smaller job from a request as it was sent: parts of the body are replaced, every other byte stays as it is. What is
//! dropped becomes `null`, which the APIs take for absent; so a member that occurs twice is reduced where it counts,
//! in its last occurrence.

use crate::config::{Extra, Reduce};
use core::fmt::Write;
use std::borrow::Cow;
use tidegate_policy::api::Api;
use tidegate_policy::inference::{Facts, Member, Seen, Value};
use tidegate_policy::rewrite::Edit;

const TOKENS: [Member; 3] = [Member::MaxTokens, Member::MaxCompletionTokens, Member::MaxOutputTokens];

/// What makes a body smaller, and how a header says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// What to change in it.
    pub edits: Vec<Edit>,
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
    let Job { edits, note } = job;
    (!edits.is_empty()).then_some(Reduced { edits, note })
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
            Api::Embedding | Api::Rerank | Api::Management | Api::Other => return,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;
    use tidegate_policy::inference::Scanner;
    use tidegate_policy::rewrite::apply;

    fn all() -> Reduce {
        Reduce {
            clamp_completion_tokens: Some(256),
            drop: Extra::ALL.into_iter().collect(),
            refuse_paths: Vec::new(),
            model: None,
        }
    }

    fn smaller(rule: &Reduce, api: Api, body: &str) -> Option<(Json, String)> {
        let mut scanner = Scanner::new(64);
        scanner.feed(body.as_bytes(), &mut ()).unwrap();
        scanner.finish(&mut ()).unwrap();
        let mut reduced = reduce(rule, api, scanner.facts(), body.as_bytes())?;
        let smaller = apply(body.as_bytes(), &mut reduced.edits).unwrap();
        Some((serde_json::from_slice(&smaller).unwrap(), reduced.note))
    }

    #[test]
    fn a_limit_is_put_in_under_the_name_that_the_api_has_for_it() {
        for (api, name) in [
            (Api::Chat, "max_tokens"),
            (Api::Completion, "max_tokens"),
            (Api::Message, "max_tokens"),
            (Api::Response, "max_output_tokens"),
        ] {
            let (body, note) = smaller(&all(), api, " { \"model\" : 1 } ").unwrap();
            assert_eq!((body, note), (json!({ name: 256, "model": 1 }), format!("reduce;{name}=none->256")));
        }
        assert_eq!(smaller(&all(), Api::Other, r#"{"model":1}"#), None);
        assert_eq!(smaller(&all(), Api::Chat, " { } "), None);
    }

    #[test]
    fn the_last_of_two_is_the_one_that_counts() {
        let (body, _) = smaller(&all(), Api::Chat, r#"{"max_tokens":1,"max_tokens":9999}"#).unwrap();
        assert_eq!(body["max_tokens"], 256);
    }

    #[test]
    fn what_is_no_whole_number_is_replaced_too() {
        let (body, note) = smaller(&all(), Api::Chat, r#"{"max_tokens":1e9,"n":4.0}"#).unwrap();
        assert_eq!(body, json!({ "max_tokens": 256, "n": 1 }));
        assert_eq!(note, "reduce;max_tokens=other->256;n=other->1");
    }

    #[test]
    fn another_model_answers() {
        let rule = Reduce {
            clamp_completion_tokens: None,
            drop: BTreeSet::new(),
            refuse_paths: Vec::new(),
            model: Some("a\\b".to_owned()),
        };
        assert_eq!(smaller(&rule, Api::Chat, r#"{"model":"large"}"#).unwrap().0["model"], "a\\b");
        assert_eq!(smaller(&rule, Api::Chat, r#"{"model":"a\\b"}"#), None);
        assert_eq!(smaller(&rule, Api::Chat, "{}"), None);
    }

    proptest! {
        #[test]
        fn a_smaller_job_is_json_within_the_limit_and_the_same_otherwise(
            tokens in prop::option::of(any::<u64>()),
            n in prop::option::of(any::<u8>()),
            logprobs in prop::option::of(any::<bool>()),
            text: String,
        ) {
            let mut body = json!({ "messages": [{ "content": text, "n": 9, "max_tokens": 9999 }] });
            tokens.into_iter().for_each(|tokens| body["max_completion_tokens"] = json!(tokens));
            n.into_iter().for_each(|n| body["n"] = json!(n));
            logprobs.into_iter().for_each(|logprobs| body["logprobs"] = json!(logprobs));
            match smaller(&all(), Api::Chat, &body.to_string()) {
                None => {
                    prop_assert!(tokens.is_some_and(|tokens| tokens <= 256));
                    prop_assert!(n.is_none_or(|n| n <= 1) && logprobs != Some(true));
                }
                Some((new, _)) => {
                    prop_assert_eq!(&new["messages"], &body["messages"]);
                    let most = tokens.map_or(256, |tokens| tokens.min(256));
                    let name = if tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
                    prop_assert_eq!(&new[name], &json!(most));
                    prop_assert!(new["n"].as_u64().is_none_or(|n| n <= 1));
                    prop_assert!(new["logprobs"] != json!(true));
                }
            }
        }
    }
}
