//! What one event's JSON says, by where it says it: only a member of that name in that place counts, not its name
//! within a text or in another place.
//!
//! - OpenAI chat: `choices[].delta` with text in `content`, `reasoning_content`, `reasoning` or `refusal`, or anything
//!   in `tool_calls` or `function_call`. Completions: `choices[].text`. Both: `choices[].finish_reason`.
//! - Anthropic: `type` is `content_block_delta`, `message_stop` or `error`; `delta.stop_reason`.
//! - Errors: a member `error` that is not null or false; `object` is `error` (vLLM).

use crate::json::{Container, Events, Literal};
use core::ops::Range;

const LONGEST: usize = 24;

/// What an event says.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    places: [Place; 5],
    depth: usize,
    word: Word,
    member: Member,
    reading: Reading,
    kind: Kind,
    has_text: bool,
    has_error: bool,
    finished: bool,
}

/// What an open container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Elsewhere,
    Event,
    Choices,
    Choice,
    Delta,
    /// Whose members and elements are content.
    Parts,
}

/// Which member of its object a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    Choices,
    Delta,
    Text,
    Parts,
    Reason,
    Error,
    Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Nothing,
    Key,
    Text,
    Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    Content,
    Stop,
    Error,
}

/// A short string as it comes in pieces; one that is too long is none that is looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Word {
    fn add(&mut self, text: &str) {
        let free = self.bytes.get_mut(self.length..).unwrap_or_default();
        free.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        self.length = self.length.saturating_add(text.len());
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Facts {
    pub(super) fn content(&self) -> bool {
        self.has_text || self.kind == Kind::Content
    }

    pub(super) fn error(&self) -> bool {
        self.has_error || self.kind == Kind::Error
    }

    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    pub(super) fn done(&self) -> bool {
        self.kind == Kind::Stop
    }

    fn place(&self) -> Place {
        let innermost = self.depth.checked_sub(1).and_then(|at| self.places.get(at));
        innermost.copied().unwrap_or_default()
    }

    /// The member that a value that begins now is.
    fn value(&mut self) -> Member {
        if self.place() == Place::Parts {
            self.has_text = true;
        }
        core::mem::take(&mut self.member)
    }

    fn text(&mut self, text: &str) {
        match self.reading {
            Reading::Nothing => {}
            Reading::Key | Reading::Kind => self.word.add(text),
            Reading::Text => self.has_text |= !text.is_empty(),
        }
    }
}

fn member(place: Place, key: &[u8]) -> Member {
    match (place, key) {
        (Place::Event, b"choices") => Member::Choices,
        (Place::Event, b"error") => Member::Error,
        (Place::Event, b"type" | b"object") => Member::Kind,
        (Place::Event | Place::Choice, b"delta") => Member::Delta,
        (Place::Choice, b"text") => Member::Text,
        (Place::Choice, b"finish_reason") | (Place::Delta, b"stop_reason") => Member::Reason,
        (Place::Delta, b"content" | b"reasoning_content" | b"reasoning" | b"refusal") => Member::Text,
        (Place::Delta, b"tool_calls" | b"function_call") => Member::Parts,
        _ => Member::Other,
    }
}

impl Events for Facts {
    fn open(&mut self, container: Container, _: u64) {
        let (outer, member) = (self.place(), self.value());
        let place = match (container, outer, member) {
            (Container::Object, _, _) if self.depth == 0 => Place::Event,
            (Container::Array, Place::Event, Member::Choices) => Place::Choices,
            (Container::Object, Place::Choices, _) => Place::Choice,
            (Container::Object, Place::Event | Place::Choice, Member::Delta) => Place::Delta,
            (_, Place::Delta, Member::Parts | Member::Text) => Place::Parts,
            _ => Place::Elsewhere,
        };
        self.has_error |= member == Member::Error;
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
        let member = if key { Member::Other } else { self.value() };
        self.reading = match member {
            _ if key => Reading::Key,
            Member::Text => Reading::Text,
            Member::Kind => Reading::Kind,
            _ => Reading::Nothing,
        };
        self.finished |= member == Member::Reason;
        self.has_error |= member == Member::Error;
    }

    fn raw(&mut self, text: &str, _: u64, _: bool) {
        self.text(text);
    }

    fn escaped(&mut self, _: char, _: Range<u64>) {}

    fn decoded(&mut self, text: &str) {
        self.text(text);
    }

    fn string_end(&mut self, _: u64) {
        match core::mem::take(&mut self.reading) {
            Reading::Key => self.member = member(self.place(), self.word.text()),
            Reading::Kind => {
                let kind = match self.word.text() {
                    b"content_block_delta" => Kind::Content,
                    b"message_stop" => Kind::Stop,
                    b"error" => Kind::Error,
                    _ => return,
                };
                self.kind = kind;
            }
            Reading::Nothing | Reading::Text => {}
        }
    }

    fn number(&mut self, _: u64) {
        self.has_error |= self.value() == Member::Error;
    }

    fn digits(&mut self, _: &str) {}

    fn number_end(&mut self, _: u64) {}

    fn literal(&mut self, literal: Literal, _: Range<u64>) {
        self.has_error |= self.value() == Member::Error && literal == Literal::True;
    }
}
