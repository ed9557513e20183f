//! Decides whether a JSON response of status 200 is good enough to be cached: it has the content that its API
//! promises, it ended normally, and it is not an error. A response not known to be good is not cached, which costs a
//! client only a fallback; a list of bad ones would always miss the next server's way of reporting overload.
//!
//! - Chat: some `choices`, each with a message that has content. Completions: each with a `text`.
//! - Messages: some `content`, and a `stop_reason`. Responses: `status` is `completed`, and some `output`.
//! - Embeddings: some `data`, `embeddings` or `embedding`, or a list of them. Rerank: some `results` or `data`, or a list.
//!
//! A value has content unless it is null, false, or an empty text, list or object, or contains only such values and
//! labels.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use tidegate_policy::api::Api;

/// Object members that are not content by themselves.
const LABELS: [&str; 9] =
    ["type", "object", "id", "role", "status", "index", "annotations", "logprobs", "cache_control"];

/// Returns true if this is a good response of that API.
pub fn is_good(api: Api, body: &[u8]) -> bool {
    let document = || serde_json::from_slice::<Document>(body).ok().filter(Document::is_well);
    let listed = || serde_json::from_slice::<List>(body).is_ok_and(|list| list.0);
    match api {
        Api::Chat => document().is_some_and(|it| it.each_choice(Choice::is_message)),
        Api::Completion => document().is_some_and(|it| it.each_choice(Choice::is_text)),
        Api::Message => document().is_some_and(|it| it.content.0 && is_natural(&it.stop_reason)),
        Api::Response => document().is_some_and(|it| it.status == "completed" && it.output.0),
        Api::Embedding => {
            listed() || document().is_some_and(|it| it.data.0 || it.embeddings.0 || it.embedding.0)
        }
        Api::Rerank => listed() || document().is_some_and(|it| it.data.0 || it.results.0),
        Api::Management | Api::Other => false,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    error: Value,
    object: Value,
    status: Value,
    choices: Vec<Choice>,
    content: Says,
    stop_reason: Value,
    output: Says,
    data: Says,
    embeddings: Says,
    embedding: Says,
    results: Says,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    message: Message,
    text: Says,
    finish_reason: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Says,
    refusal: Says,
    tool_calls: Says,
    function_call: Says,
    reasoning: Says,
    reasoning_content: Says,
    reasoning_details: Says,
    thinking: Says,
    audio: Says,
    images: Says,
}

/// True if a value has content.
#[derive(Clone, Copy, Default)]
struct Says(bool);

/// True if a document is a list whose elements all have content.
struct List(bool);

impl Document {
    fn is_well(&self) -> bool {
        let is_over = self.status.as_str().is_none_or(|status| status == "completed");
        !is_error(&self.error) && self.object != "error" && is_over
    }

    fn each_choice(&self, is_good: impl Fn(&Choice) -> bool) -> bool {
        let ended = |reason: &Value| reason.is_null() || is_natural(reason);
        let whole = |choice: &Choice| ended(&choice.finish_reason) && is_good(choice);
        !self.choices.is_empty() && self.choices.iter().all(whole)
    }
}

impl Choice {
    fn is_message(&self) -> bool {
        let Message { content, refusal, tool_calls, function_call, .. } = self.message;
        let Message { reasoning, reasoning_content, reasoning_details, thinking, audio, images, .. } =
            self.message;
        [content, refusal, tool_calls, function_call, audio, images].iter().any(|says| says.0)
            || [reasoning, reasoning_content, reasoning_details, thinking].iter().any(|says| says.0)
    }

    const fn is_text(&self) -> bool {
        self.text.0
    }
}

/// Returns true if a response ended because it was complete: it was not cut, filtered or aborted, nor ended for an
/// unknown reason.
fn is_natural(reason: &Value) -> bool {
    const KNOWN: [&str; 11] = [
        "stop",
        "stop_sequence",
        "end_turn",
        "eos",
        "eos_token",
        "complete",
        "completed",
        "tool_use",
        "tool_call",
        "tool_calls",
        "function_call",
    ];
    let known = |reason: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(reason));
    reason.as_str().is_some_and(known)
}

fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

impl<'de> Deserialize<'de> for Says {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Says;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Says, E> {
                Ok(Says(!text.trim().is_empty()))
            }
            fn visit_unit<E: Error>(self) -> Result<Says, E> {
                Ok(Says(false))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Says, E> {
                Ok(Says(value))
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Says, E> {
                Ok(Says(true))
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Says, E> {
                Ok(Says(true))
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Says, E> {
                Ok(Says(true))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Says, A::Error> {
                let mut says = false;
                while let Some(element) = list.next_element::<Says>()? {
                    says |= element.0;
                }
                Ok(Says(says))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Says, A::Error> {
                let mut says = false;
                while let Some(Label(is_label)) = map.next_key()? {
                    says |= map.next_value::<Says>()?.0 && !is_label;
                }
                Ok(Says(says))
            }
        }
        from.deserialize_any(Any)
    }
}

/// A member's name; true if it is a label.
struct Label(bool);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Label;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Label, E> {
                Ok(Label(LABELS.contains(&name)))
            }
        }
        from.deserialize_str(Name)
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::<Says>::deserialize(from).map(|list| Self(!list.is_empty() && list.iter().all(|says| says.0)))
    }
}

#[cfg(test)]
mod tests;
