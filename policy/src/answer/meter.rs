//! Reads the cost that one JSON text of a response reports. A `usage` counts as a member of the text itself, of its
//! `response` (OpenAI's responses) or of its `message` (Anthropic's `message_start`), and nowhere else. It also reads
//! why the response ended, and counts the characters of content, for responses that report nothing.
//!
//! Characters are those of strings that a model writes ([`content`]), without identifiers and encoded data. A text that
//! repeats all of its parts (`text` of an event with a `type`, `generated_text`) is not counted twice.

use super::finish::Finish;
use super::usage::{Count, Digits, Usage};
use super::word::Word;
use crate::json::{Container, Events, Literal};
use core::ops::Range;

/// The cost of a response, as far as it has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metering {
    /// The tokens as the API reports them.
    pub usage: Usage,
    /// The reason why the response ended, if it states one.
    pub finish: Option<Finish>,
    /// The number of completed events, lines or documents with content. A streaming server sends about one token in
    /// each.
    pub content_events: u64,
    /// The number of characters of content in them, as Unicode scalar values.
    pub characters: u64,
}

impl Metering {
    /// The cost of an unread response.
    pub(super) const NONE: Self = Self { usage: Usage::NONE, finish: None, content_events: 0, characters: 0 };

    pub(super) fn merge(&mut self, other: &Self) {
        self.usage.merge(&other.usage);
        self.finish = self.finish.max(other.finish);
        self.content_events = self.content_events.saturating_add(other.content_events);
        self.characters = self.characters.saturating_add(other.characters);
    }
}

/// The kind of an open container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Elsewhere,
    Event,
    /// An array, as Gemini streams without `alt=sse`.
    List,
    Element,
    Choices,
    Choice,
    Message,
    Response,
    Reason,
    /// A container whose strings are content.
    Content,
    Usage,
    PromptDetails,
    CompletionDetails,
    Metadata,
    Timings,
    Native,
}

/// The kind of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    /// A container with members to read.
    Inner(Place),
    /// Content of any kind.
    Text,
    /// A string that repeats all content so far.
    Whole,
    /// `response`: content if it is a string, as in Ollama, and the whole response if it is an object, as in OpenAI.
    Response,
    /// A value that is neither content nor a count.
    Label,
    Count(Count),
    Reason,
    Kind,
}

/// The purpose of the string or number that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Nothing,
    Key,
    Text,
    Whole,
    Reason,
    Count(Count),
}

/// The depth to which members are read: `choices[0].message.content[0].text` and the like.
const DEEPEST: usize = 12;

/// The reader of one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    places: [Place; DEEPEST],
    depth: usize,
    member: Member,
    reading: Reading,
    word: Word,
    digits: Digits,
    has_kind: bool,
    whole: u64,
    metering: Metering,
}

impl Meter {
    /// Returns the cost that the text reports, once it has ended.
    pub(super) fn metering(&self) -> Metering {
        let repeats = self.has_kind || self.metering.characters > 0;
        let whole = if repeats { 0 } else { self.whole };
        Metering { characters: self.metering.characters.saturating_add(whole), ..self.metering }
    }

    fn place(&self) -> Place {
        let innermost = self.depth.checked_sub(1).and_then(|at| self.places.get(at));
        innermost.copied().unwrap_or_default()
    }

    fn take_member(&mut self) -> Member {
        core::mem::take(&mut self.member)
    }

    fn text(&mut self, text: &str, is_plain: bool) {
        let characters = || if is_plain { text.len() } else { text.chars().count() };
        let characters = |so_far: u64| so_far.saturating_add(u64::try_from(characters()).unwrap_or(u64::MAX));
        match self.reading {
            Reading::Nothing | Reading::Count(_) => {}
            Reading::Text => self.metering.characters = characters(self.metering.characters),
            Reading::Whole => self.whole = characters(self.whole),
            Reading::Key | Reading::Reason => self.word.add(text),
        }
    }
}

impl Events for Meter {
    fn open(&mut self, container: Container, _: u64) {
        let (outer, member) = (self.place(), self.take_member());
        let place = match (container, outer, member) {
            (Container::Object, _, _) if self.depth == 0 => Place::Event,
            (Container::Array, _, _) if self.depth == 0 => Place::List,
            (Container::Object, Place::List, _) => Place::Element,
            (Container::Object, Place::Choices, _) => Place::Choice,
            (Container::Array, _, Member::Inner(Place::Choices)) => Place::Choices,
            (Container::Object, _, Member::Inner(place)) if place != Place::Choices => place,
            (Container::Object, _, Member::Response) => Place::Response,
            (Container::Object, _, Member::Reason) => Place::Reason,
            (_, _, Member::Text) | (_, Place::Content, Member::Other) => Place::Content,
            _ => Place::Elsewhere,
        };
        if let Some(slot) = self.places.get_mut(self.depth) {
            *slot = place;
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self, _: Container, _: u64) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn string(&mut self, key: bool, _: u64) {
        self.word = Word::default();
        let member = if key { Member::Other } else { self.take_member() };
        self.has_kind |= member == Member::Kind && self.place() == Place::Event;
        self.reading = match (member, self.place()) {
            _ if key => Reading::Key,
            (Member::Text | Member::Response, _) | (Member::Other, Place::Content) => Reading::Text,
            (Member::Whole, _) => Reading::Whole,
            (Member::Reason, _) => Reading::Reason,
            _ => Reading::Nothing,
        };
    }

    fn raw(&mut self, text: &str, _: u64, is_plain: bool) {
        self.text(text, is_plain);
    }

    fn escaped(&mut self, _: char, _: Range<u64>) {}

    fn decoded(&mut self, text: &str) {
        self.text(text, false);
    }

    fn string_end(&mut self, _: u64) {
        match core::mem::take(&mut self.reading) {
            Reading::Key => self.member = member(self.place(), self.word.text()),
            Reading::Reason => {
                let reason = Finish::of(&self.word.text().to_ascii_lowercase());
                self.metering.finish = self.metering.finish.max(Some(reason));
            }
            Reading::Nothing | Reading::Text | Reading::Whole | Reading::Count(_) => {}
        }
    }

    fn number(&mut self, _: u64) {
        self.digits = Digits::default();
        self.reading = match self.take_member() {
            Member::Count(count) => Reading::Count(count),
            _ => Reading::Nothing,
        };
    }

    fn digits(&mut self, text: &str) {
        if self.reading != Reading::Nothing {
            self.digits.add(text);
        }
    }

    fn number_end(&mut self, _: u64) {
        if let Reading::Count(count) = core::mem::take(&mut self.reading)
            && let Some(tokens) = self.digits.count()
        {
            self.metering.usage.report(count, tokens);
        }
    }

    fn literal(&mut self, _: Literal, _: Range<u64>) {
        self.take_member();
    }
}

/// Returns the kind of the member `key` of an object in this place.
fn member(place: Place, key: &[u8]) -> Member {
    match place {
        Place::Event => event(key),
        Place::Element if key == b"usageMetadata" => Member::Inner(Place::Metadata),
        Place::Choice => match key {
            b"delta" | b"message" | b"text" | b"content" => Member::Text,
            b"finish_reason" | b"finishReason" => Member::Reason,
            _ => Member::Other,
        },
        Place::Message if key == b"usage" => Member::Inner(Place::Usage),
        Place::Message | Place::Content => content(key),
        Place::Response => match key {
            b"usage" => Member::Inner(Place::Usage),
            b"incomplete_details" => Member::Inner(Place::Reason),
            _ => Member::Other,
        },
        Place::Reason if matches!(key, b"reason" | b"type") => Member::Reason,
        Place::Usage => usage(key),
        Place::PromptDetails if key == b"cached_tokens" => Member::Count(Count::Cached),
        Place::CompletionDetails if key == b"reasoning_tokens" => Member::Count(Count::Reasoning),
        Place::Metadata | Place::Timings | Place::Native => native(place, key),
        _ => Member::Other,
    }
}

fn event(key: &[u8]) -> Member {
    match key {
        b"choices" | b"candidates" => Member::Inner(Place::Choices),
        b"usage" => Member::Inner(Place::Usage),
        b"usageMetadata" => Member::Inner(Place::Metadata),
        b"timings" => Member::Inner(Place::Timings),
        b"meta_info" | b"details" => Member::Inner(Place::Native),
        b"incomplete_details" => Member::Inner(Place::Reason),
        b"message" => Member::Inner(Place::Message),
        b"response" => Member::Response,
        b"delta" | b"content" | b"output" | b"thinking" | b"token" => Member::Text,
        b"text" | b"generated_text" => Member::Whole,
        b"type" => Member::Kind,
        b"stop_reason" | b"done_reason" | b"stop_type" => Member::Reason,
        b"prompt_eval_count" | b"tokens_evaluated" => Member::Count(Count::Prompt),
        b"eval_count" | b"tokens_predicted" => Member::Count(Count::Completion),
        _ => Member::Other,
    }
}

/// Returns the kind of the member `key` within content.
fn content(key: &[u8]) -> Member {
    match key {
        b"stop_reason" => Member::Reason,
        b"id" | b"call_id" | b"type" | b"role" | b"model" | b"object" | b"status" | b"index"
        | b"stop_sequence" | b"signature" | b"thoughtSignature" | b"encrypted_content" | b"data"
        | b"b64_json" | b"url" | b"mimeType" | b"annotations" | b"logprobs" | b"top_logprobs" => {
            Member::Label
        }
        _ => Member::Text,
    }
}

fn usage(key: &[u8]) -> Member {
    match key {
        b"prompt_tokens" => Member::Count(Count::Prompt),
        b"input_tokens" => Member::Count(Count::Input),
        b"completion_tokens" | b"output_tokens" => Member::Count(Count::Completion),
        b"total_tokens" => Member::Count(Count::Total),
        b"cached_tokens" | b"prompt_cache_hit_tokens" => Member::Count(Count::Cached),
        b"cache_read_input_tokens" => Member::Count(Count::CacheRead),
        b"cache_creation_input_tokens" => Member::Count(Count::CacheWritten),
        b"reasoning_tokens" => Member::Count(Count::Reasoning),
        b"prompt_tokens_details" | b"input_tokens_details" => Member::Inner(Place::PromptDetails),
        b"completion_tokens_details" | b"output_tokens_details" => Member::Inner(Place::CompletionDetails),
        _ => Member::Other,
    }
}

/// Returns the kind of a member named by Gemini, llama.cpp, SGLang or TGI.
fn native(place: Place, key: &[u8]) -> Member {
    match (place, key) {
        (Place::Metadata, b"promptTokenCount") => Member::Count(Count::Prompt),
        (Place::Metadata, b"candidatesTokenCount") => Member::Count(Count::Completion),
        (Place::Metadata, b"thoughtsTokenCount") => Member::Count(Count::Thoughts),
        (Place::Metadata, b"totalTokenCount") => Member::Count(Count::Total),
        (Place::Metadata, b"cachedContentTokenCount") => Member::Count(Count::Cached),
        (Place::Timings, b"prompt_n") => Member::Count(Count::Processed),
        (Place::Timings, b"cache_n") => Member::Count(Count::Reused),
        (Place::Timings, b"predicted_n") => Member::Count(Count::Predicted),
        (Place::Native, b"prompt_tokens") => Member::Count(Count::Prompt),
        (Place::Native, b"completion_tokens" | b"generated_tokens") => Member::Count(Count::Completion),
        (Place::Native, b"cached_tokens") => Member::Count(Count::Cached),
        (Place::Native, b"finish_reason") => Member::Reason,
        _ => Member::Other,
    }
}

#[cfg(test)]
mod tests;
