//! Adds a limit of completion tokens to a request without one, whose server would otherwise generate up to the end of
//! the context. The limit is written where the API reads it. Unknown APIs get none.
//!
//! Sources: those of [`Member`]; for the precedence in llama.cpp's server (`n_predict`, then `max_tokens`) its
//! `server-schema.cpp`.

use super::{Clamped, Inconsistent};
use crate::api::{Api, Dialect};
use crate::inference::{Facts, Member, Seen, Value};
use crate::rewrite::Edit;
use core::fmt::Write;
use std::borrow::Cow;

/// The position at which an API reads its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The envelope that contains the limit, unless the request itself does.
    holder: Option<Member>,
    /// The member for the limit.
    name: Member,
    /// The members that the same server accepts instead.
    others: &'static [Member],
}

impl Spot {
    const fn top(name: Member, others: &'static [Member]) -> Self {
        Self { holder: None, name, others }
    }

    const fn held(holder: Member, name: Member, others: &'static [Member]) -> Self {
        Self { holder: Some(holder), name, others }
    }

    /// Returns the position for an API, if the request contains input for it.
    pub fn of(api: Api, facts: &Facts) -> Option<Self> {
        let asks = |member: Member| facts.member(member).is_some();
        let completion = [Member::MaxCompletionTokens, Member::NPredict].as_slice();
        match api {
            Api::Chat if asks(Member::Messages) => Some(Self::top(Member::MaxTokens, completion)),
            Api::Completion if asks(Member::Prompt) => Some(Self::top(Member::MaxTokens, completion)),
            Api::Message if asks(Member::Messages) => Some(Self::top(Member::MaxTokens, &[])),
            Api::Response if asks(Member::Input) => Some(Self::top(Member::MaxOutputTokens, &[])),
            _ => None,
        }
    }

    /// Returns the position for a canonical path (see [`crate::path`]). This covers the servers' native APIs too.
    pub fn at(path: &[u8], facts: &Facts) -> Option<Self> {
        let api = Api::of(path);
        if api != Api::Other {
            return Self::of(api, facts);
        }
        let asks = |members: &[Member]| members.iter().any(|member| facts.member(*member).is_some());
        let word = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        match word {
            b"chat" | b"generate" if Dialect::of(path) == Dialect::Ollama => {
                Some(Self::held(Member::Options, Member::NumPredict, &[]))
            }
            b"completion" | b"infill" => {
                Some(Self::top(Member::NPredict, &[Member::MaxTokens, Member::MaxCompletionTokens]))
            }
            b"generate" | b"generate_stream" if asks(&[Member::Inputs]) => {
                Some(Self::held(Member::Parameters, Member::MaxNewTokens, &[]))
            }
            b"generate" if asks(&[Member::Text, Member::InputIds]) => {
                Some(Self::held(Member::SamplingParams, Member::MaxNewTokens, &[]))
            }
            _ if asks(&[Member::Contents]) => {
                let snake = [Member::MaxOutputTokens].as_slice();
                Some(Self::held(Member::GenerationConfig, Member::MaxOutputTokensCamel, snake))
            }
            _ => None,
        }
    }

    /// Returns true if the request already states a limit where the API reads it.
    pub fn is_asked(self, facts: &Facts) -> bool {
        let is_read = |seen: &&Seen| seen.is_exact && seen.is_own == self.holder.is_none();
        let asked = |member: Member| {
            facts.member(member).filter(is_read).is_some_and(|seen| seen.value != Value::Null)
        };
        asked(self.name) || self.others.iter().any(|other| asked(*other))
    }

    /// Adds a limit, unless the request states one. `body` is the complete body.
    ///
    /// # Errors
    /// Returns an error if a thinking budget does not fit below the limit.
    pub fn limit(self, facts: &Facts, limit: u64, body: &[u8]) -> Result<Clamped, Inconsistent> {
        let mut clamped = Clamped::default();
        if self.is_asked(facts) {
            return Ok(clamped);
        }
        clamped.follow(facts, 0, limit)?;
        let name = self.name.name();
        let held = self.holder.map(|holder| (holder, facts.holder(holder)));
        let (range, with) = match (facts.member(self.name), held) {
            (Some(null), _) if null.is_exact && null.is_own == self.holder.is_none() => {
                (null.range.clone(), limit.to_string())
            }
            (_, None) => {
                let Some(open) = outermost(body) else { return Ok(Clamped::default()) };
                (open..open, member(body, open, format!("\"{name}\":{limit}")))
            }
            (_, Some((_, Some(open)))) => (open..open, member(body, open, format!("\"{name}\":{limit}"))),
            (_, Some((holder, None))) => {
                let Some(open) = outermost(body) else { return Ok(Clamped::default()) };
                let holder = holder.name();
                (open..open, member(body, open, format!("\"{holder}\":{{\"{name}\":{limit}}}")))
            }
        };
        clamped.edits.push(Edit { range, with: Cow::Owned(with.into_bytes()), most: Some(limit) });
        let mut note = format!(";{name}=none->{limit}");
        let _ = write!(note, "{}", clamped.note);
        clamped.note = note;
        Ok(clamped)
    }
}

/// Returns the offset after the brace that opens the request.
fn outermost(body: &[u8]) -> Option<u64> {
    let mark = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let before =
        body.iter().skip(mark).take_while(|byte| byte.is_ascii_whitespace()).count().saturating_add(mark);
    let opens = body.get(before) == Some(&b'{');
    u64::try_from(before).ok()?.checked_add(1).filter(|_| opens)
}

/// Completes the text of a new first member: adds a comma unless the object is empty.
fn member(body: &[u8], open: u64, mut member: String) -> String {
    let inner = usize::try_from(open).ok().and_then(|open| body.get(open..)).unwrap_or_default();
    if inner.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'}') {
        member.push(',');
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Scanner;
    use crate::rewrite::apply;

    fn limited(path: &str, body: &str) -> Option<String> {
        let mut scanner = Scanner::new(9);
        scanner.feed(body.as_bytes(), &mut ()).unwrap();
        let spot = Spot::at(path.as_bytes(), scanner.facts())?;
        let mut clamped = spot.limit(scanner.facts(), 8, body.as_bytes()).unwrap();
        assert_eq!(clamped.edits.is_empty(), clamped.note.is_empty());
        let changed = String::from_utf8(apply(body.as_bytes(), &mut clamped.edits).unwrap()).unwrap();
        let _: serde_json::Value = serde_json::from_str(changed.trim_start_matches('\u{FEFF}')).unwrap();
        (changed != body).then_some(changed)
    }

    #[test]
    fn a_limit_is_added_where_the_server_reads_it() {
        for (path, body, expected) in [
            ("/v1/chat/completions", r#" {"messages":[]}"#, r#" {"max_tokens":8,"messages":[]}"#),
            (
                "/v1/chat/completions",
                r#"{"messages":[],"max_tokens":null}"#,
                r#"{"messages":[],"max_tokens":8}"#,
            ),
            (
                "/v1/chat/completions",
                r#"{"messages":[],"num_predict":9}"#,
                r#"{"max_tokens":8,"messages":[],"num_predict":9}"#,
            ),
            ("/v1/responses", r#"{"input":"a"}"#, r#"{"max_output_tokens":8,"input":"a"}"#),
            ("/completion", r#"{"prompt":"a"}"#, r#"{"n_predict":8,"prompt":"a"}"#),
            ("/completion", r#"{"N_PREDICT":5}"#, r#"{"n_predict":8,"N_PREDICT":5}"#),
            (
                "/completion",
                r#"{"prompt":"a","options":{"n_predict":5}}"#,
                r#"{"n_predict":8,"prompt":"a","options":{"n_predict":5}}"#,
            ),
            ("/api/chat", r#"{"num_predict":5}"#, r#"{"options":{"num_predict":8},"num_predict":5}"#),
            ("/infill", "{\"input_prefix\":\"a\"}", r#"{"n_predict":8,"input_prefix":"a"}"#),
            ("/api/generate", r#"{"prompt":"a"}"#, r#"{"options":{"num_predict":8},"prompt":"a"}"#),
            ("/api/chat", r#"{"options":{ }}"#, r#"{"options":{"num_predict":8 }}"#),
            ("/api/chat", r#"{"options":{"seed":1}}"#, r#"{"options":{"num_predict":8,"seed":1}}"#),
            ("/api/chat", r#"{"Options":{"seed":1}}"#, r#"{"Options":{"num_predict":8,"seed":1}}"#),
            ("/generate", r#"{"inputs":"a"}"#, r#"{"parameters":{"max_new_tokens":8},"inputs":"a"}"#),
            (
                "/generate",
                r#"{"text":"a","sampling_params":{"n":1}}"#,
                r#"{"text":"a","sampling_params":{"max_new_tokens":8,"n":1}}"#,
            ),
            (
                "/v1beta/models/g:generateContent",
                r#"{"contents":[]}"#,
                r#"{"generationConfig":{"maxOutputTokens":8},"contents":[]}"#,
            ),
            ("/v1/completions", "\u{FEFF}{\"prompt\":1}", "\u{FEFF}{\"max_tokens\":8,\"prompt\":1}"),
        ] {
            assert_eq!(limited(path, body).as_deref(), Some(expected), "{path} {body}");
        }
    }

    #[test]
    fn a_request_with_a_limit_or_for_an_unknown_api_is_unchanged() {
        for (path, body) in [
            ("/v1/chat/completions", r#"{"messages":[],"max_completion_tokens":5}"#),
            ("/v1/chat/completions", r#"{"messages":[],"n_predict":5}"#),
            ("/v1/chat/completions", r#"{"prompt":"a"}"#),
            ("/completion", r#"{"prompt":"a","max_tokens":5}"#),
            ("/api/chat", r#"{"options":{"num_predict":5}}"#),
            ("/v1/embeddings", r#"{"input":"a"}"#),
            ("/v1/files", r#"{"input":"a"}"#),
            ("/generate", r#"{"prompt":"a"}"#),
            ("/anything", r#"{"prompt":"a"}"#),
        ] {
            assert_eq!(limited(path, body), None, "{path} {body}");
        }
    }
}
