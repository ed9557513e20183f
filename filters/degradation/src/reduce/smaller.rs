//! The edits that reduce a request: parts of the body are replaced, every other byte stays the same. Dropped members
//! become `null`, which the APIs treat as absent, so a repeated member is reduced in its last occurrence, which is
//! the one that counts. The body of a request that is not inference is left alone, and a number is changed together
//! with all that depend on it, or not at all.

use crate::config::{Extra, Reduce};
use core::fmt::Write;
use std::borrow::Cow;
use tidegate_policy::api::Api;
use tidegate_policy::clamp::{Clamped, Spot, clamp};
use tidegate_policy::inference::{Facts, Member, Seen, Value};
use tidegate_policy::rewrite::Edit;

/// Members that contain the question to the model.
const ASKED: [Member; 3] = [Member::Messages, Member::Prompt, Member::Input];

/// The edits of a body, and the header value that reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// Edits of the body.
    pub edits: Vec<Edit>,
    /// Header value, such as `reduce;max_tokens=4096->256`.
    pub note: String,
}

/// Returns the reduction of a request; `None` if there is nothing to leave out.
pub fn smaller(rule: &Reduce, api: Api, facts: &Facts, body: &[u8]) -> Option<Reduced> {
    let asks = ASKED.into_iter().any(|member| facts.member(member).is_some());
    if !api.is_inference() || !asks {
        return None;
    }
    let drops_choices = rule.drop.contains(&Extra::Choices);
    let mut job = Job { edits: Vec::new(), note: "reduce".to_owned(), drops_choices };
    if let Some(most) = rule.clamp_completion_tokens {
        job.clamp(most, api, facts, body);
    }
    for extra in &rule.drop {
        job.leave_out(*extra, facts);
    }
    if let Some(model) = &rule.model {
        job.answer_by(model, facts);
    }
    let Job { edits, note, .. } = job;
    (!edits.is_empty()).then_some(Reduced { edits, note })
}

struct Job {
    edits: Vec<Edit>,
    note: String,
    drops_choices: bool,
}

impl Job {
    fn clamp(&mut self, most: u32, api: Api, facts: &Facts, body: &[u8]) {
        let limit = u64::from(most);
        let Ok(Clamped { edits, note }) = clamp(facts, limit, true) else { return };
        self.edits.extend(edits);
        self.note.push_str(&note);
        let added = Spot::of(api, facts).map(|spot| spot.limit(facts, limit, body));
        if let Some(Ok(Clamped { edits, note })) = added {
            self.edits.extend(edits);
            self.note.push_str(&note);
        }
    }

    fn leave_out(&mut self, extra: Extra, facts: &Facts) {
        let dropped = match extra {
            Extra::Choices => return self.fewer(Member::N, 1, facts),
            // Servers refuse a request whose `best_of` is smaller than its `n`.
            Extra::BestOf => {
                let choices = facts.member(Member::N).map(|seen| seen.value);
                let kept = match choices {
                    Some(Value::Integer(choices)) if !self.drops_choices => choices.max(1),
                    _ => 1,
                };
                return self.fewer(Member::BestOf, kept, facts);
            }
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

    fn fewer(&mut self, member: Member, most: u64, facts: &Facts) {
        let Some(seen) = facts.member(member) else { return };
        if let Value::Integer(found) = seen.value
            && found > most
        {
            self.replace(seen, most.to_string());
            self.say(format_args!("{}={found}->{most}", member.name()));
        }
    }

    fn answer_by(&mut self, model: &str, facts: &Facts) {
        let asked = facts.model().filter(|asked| asked.is_cut || asked.name != model);
        if let Some(seen) = facts.member(Member::Model).filter(|_| asked.is_some()) {
            self.replace(seen, format!("\"{}\"", model.replace('\\', "\\\\")));
            self.say(format_args!("model={model}"));
        }
    }

    fn replace(&mut self, seen: &Seen, with: String) {
        self.edits.push(Edit { range: seen.range.clone(), with: Cow::Owned(with.into_bytes()), most: None });
    }

    fn say(&mut self, what: core::fmt::Arguments<'_>) {
        let _ = write!(self.note, ";{what}");
    }
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
            drop: [Extra::Logprobs, Extra::Choices, Extra::BestOf, Extra::Tools].into(),
            refuse_paths: Vec::new(),
            model: None,
        }
    }

    fn smaller(rule: &Reduce, api: Api, body: &str) -> Option<(Json, String)> {
        let mut scanner = Scanner::new(64);
        scanner.feed(body.as_bytes(), &mut ()).unwrap();
        scanner.finish(&mut ()).unwrap();
        let mut reduced = super::smaller(rule, api, scanner.facts(), body.as_bytes())?;
        let smaller = apply(body.as_bytes(), &mut reduced.edits).unwrap();
        Some((serde_json::from_slice(&smaller).unwrap(), reduced.note))
    }

    #[test]
    fn a_limit_is_inserted_under_its_name_in_the_api() {
        for (api, asked, name) in [
            (Api::Chat, "messages", "max_tokens"),
            (Api::Completion, "prompt", "max_tokens"),
            (Api::Message, "messages", "max_tokens"),
            (Api::Response, "input", "max_output_tokens"),
        ] {
            let (body, note) = smaller(&all(), api, &format!(" {{ \"{asked}\" : 1 }} ")).unwrap();
            assert_eq!((body, note), (json!({ name: 256, asked: 1 }), format!("reduce;{name}=none->256")));
        }
        assert_eq!(smaller(&all(), Api::Other, r#"{"messages":1}"#), None);
        assert_eq!(smaller(&all(), Api::Chat, " { } "), None);
    }

    #[test]
    fn a_body_that_is_not_inference_is_left_alone() {
        for (api, body) in [
            (Api::Management, r#"{"messages":[],"max_tokens":9000}"#),
            (Api::Message, r#"{"role":"user","content":"x"}"#),
            (Api::Other, r#"{"n":9,"max_tokens":9000,"tools":[{}]}"#),
            (Api::Chat, r#"{"prompt":"x","temperature":1}"#),
        ] {
            assert_eq!(smaller(&all(), api, body), None, "{body}");
        }
    }

    #[test]
    fn a_number_is_changed_with_those_that_depend_on_it_or_not_at_all() {
        let rule = |most, drop: &[Extra]| Reduce {
            clamp_completion_tokens: Some(most),
            drop: drop.iter().copied().collect(),
            refuse_paths: Vec::new(),
            model: None,
        };
        let thinks = r#"{"messages":[],"max_tokens":16000,"thinking":{"budget_tokens":8000}}"#;
        let (body, _) = smaller(&rule(4_000, &[]), Api::Message, thinks).unwrap();
        assert_eq!((&body["max_tokens"], &body["thinking"]["budget_tokens"]), (&json!(4_000), &json!(2_000)));
        assert_eq!(smaller(&rule(512, &[]), Api::Message, thinks), None);
        let least = r#"{"prompt":"x","min_tokens":900,"max_tokens":1000}"#;
        let (body, note) = smaller(&rule(512, &[]), Api::Completion, least).unwrap();
        assert_eq!(body, json!({ "prompt": "x", "min_tokens": 512, "max_tokens": 512 }));
        assert_eq!(note, "reduce;max_tokens=1000->512;min_tokens=900->512");
        let unasked = r#"{"prompt":"x","min_tokens":900}"#;
        let (body, _) = smaller(&rule(512, &[]), Api::Completion, unasked).unwrap();
        assert_eq!(body, json!({ "prompt": "x", "min_tokens": 512, "max_tokens": 512 }));
        let picks = r#"{"prompt":"x","n":3,"best_of":8,"max_tokens":1}"#;
        let best_of = |drop: &[Extra]| {
            let body = smaller(&rule(512, drop), Api::Completion, picks).unwrap().0;
            (body["n"].as_u64(), body["best_of"].as_u64())
        };
        assert_eq!(best_of(&[Extra::BestOf]), (Some(3), Some(3)));
        assert_eq!(best_of(&[Extra::Choices]), (Some(1), Some(8)));
        assert_eq!(best_of(&[Extra::BestOf, Extra::Choices]), (Some(1), Some(1)));
    }

    #[test]
    fn the_last_of_two_equal_members_is_reduced() {
        let (body, _) =
            smaller(&all(), Api::Chat, r#"{"max_tokens":1,"messages":[],"max_tokens":9999}"#).unwrap();
        assert_eq!(body["max_tokens"], 256);
    }

    #[test]
    fn numbers_are_read_as_servers_read_them() {
        let body = r#"{"max_tokens":1e9,"n":4.0,"messages":[]}"#;
        let (body, note) = smaller(&all(), Api::Chat, body).unwrap();
        assert_eq!(body, json!({ "max_tokens": 256, "n": 1, "messages": [] }));
        assert_eq!(note, "reduce;max_tokens=1000000000->256;n=4->1");
        let unlimited = smaller(&all(), Api::Chat, r#"{"messages":[],"max_tokens":-1}"#).unwrap();
        assert_eq!(unlimited.0["max_tokens"], 256);
        for same in [r#"{"messages":[],"max_tokens":100.0}"#, r#"{"messages":[],"max_tokens":"100"}"#] {
            assert_eq!(smaller(&all(), Api::Chat, same), None);
        }
    }

    #[test]
    fn another_model_answers() {
        let rule = Reduce {
            clamp_completion_tokens: None,
            drop: BTreeSet::new(),
            refuse_paths: Vec::new(),
            model: Some("a\\b".to_owned()),
        };
        assert_eq!(
            smaller(&rule, Api::Chat, r#"{"model":"large","messages":[]}"#).unwrap().0["model"],
            "a\\b"
        );
        assert_eq!(smaller(&rule, Api::Chat, r#"{"model":"a\\b","messages":[]}"#), None);
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
