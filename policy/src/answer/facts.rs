//! What one JSON text says, by where it says it: only a member of that name in that place counts, not its name within a
//! text or in another place.
//!
//! - Chat and completions: `choices[]` with `delta`, `text` or `message`, and why they ended. A choice whose members are
//!   all known and empty, or a role, is no content.
//! - Anthropic and Responses: `type` announces (`message_start`, `response.created`), ends (`message_stop`,
//!   `response.completed`) or is anything else, which is content; `delta.stop_reason`.
//! - Errors: a member `error`, of the text or of its `response`, that is not null, false, 0 or empty; `type` or `object` is
//!   `error`; `type` is `response.failed`.
//! - Any other text is content.

use super::blame::{Blame, Said};
use super::{First, MAX_INSPECTED, Shown};
use crate::json::{Container, Events, Lexer, Literal};
use core::ops::Range;

const LONGEST: usize = 40;
const MAX_DEPTH: u8 = 64;

/// A JSON text as it comes. Of one that is longer than [`MAX_INSPECTED`], what its beginning says counts.
#[derive(Clone, Debug)]
pub(super) struct Text {
    lexer: Lexer,
    facts: Facts,
    inspected: u32,
    is_invalid: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self { lexer: Lexer::new(MAX_DEPTH), facts: Facts::default(), inspected: 0, is_invalid: false }
    }
}

impl Text {
    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = usize::try_from(MAX_INSPECTED.saturating_sub(self.inspected)).unwrap_or(0);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        self.inspected = self.inspected.saturating_add(u32::try_from(bytes.len()).unwrap_or(MAX_INSPECTED));
        self.is_invalid = self.is_invalid || self.lexer.feed(bytes, &mut self.facts).is_err();
    }

    /// Whether its value has come to its end, or is none.
    pub(super) const fn is_ended(&self) -> bool {
        self.is_invalid || self.facts.has_ended
    }

    /// Whether an error has begun, so that more of it may say whose fault it is.
    pub(super) fn is_in_error(&self) -> bool {
        self.facts.is_error() || self.facts.place() == Place::Error || self.facts.member == Member::Error
    }

    /// What it says, now that it has come to its end.
    pub(super) fn said(mut self) -> Shown {
        let is_cut = self.inspected >= MAX_INSPECTED;
        let malformed = self.is_invalid || (!is_cut && self.lexer.finish(&mut self.facts).is_err());
        let facts = &self.facts;
        let error = facts.is_error().then(|| facts.blame()).filter(|_| !malformed);
        let ends = facts.finished || facts.kind == Kind::Stop || facts.kind == Kind::Cut;
        let first = match error {
            Some(blame) => Some(First::Error(blame)),
            None if malformed || (is_cut && !facts.is_content()) => Some(First::Content),
            None if facts.is_content() => Some(First::Content),
            None if ends => Some(First::End),
            None => None,
        };
        Shown {
            first,
            error,
            content: facts.shows && !malformed,
            finished: facts.finished && !malformed,
            cut: (facts.cut || facts.kind == Kind::Cut) && !malformed,
            done: matches!(facts.kind, Kind::Stop | Kind::Cut) && !malformed,
            malformed,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Facts {
    places: [Place; 6],
    depth: usize,
    word: Word,
    member: Member,
    reading: Reading,
    kind: Kind,
    is_object: bool,
    has_ended: bool,
    has_choices: bool,
    /// A text, a tool call or the like.
    shows: bool,
    /// Something beside it that is not known.
    unknown: bool,
    has_error: bool,
    inner: Said,
    outer: Said,
    finished: bool,
    cut: bool,
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
    Response,
    Error,
    /// Whose members and elements are content.
    Content,
    /// Whose members and elements are not known.
    Unknown,
}

/// Which member of its object a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    #[default]
    Other,
    Choices,
    Delta,
    Content,
    Unknown,
    Reason,
    Response,
    Error,
    Kind,
    /// Where the status of an error may stand.
    Fault,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    Nothing,
    Key,
    Content,
    Unknown,
    Kind,
    Reason,
    Error,
    Fault,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    /// Known to hold nothing to show.
    Empty,
    /// The end.
    Stop,
    /// The end of what is not complete.
    Cut,
    Error,
}

impl Kind {
    fn of(word: &[u8]) -> Self {
        match word {
            b"error" | b"response.failed" => Self::Error,
            b"response.created"
            | b"response.in_progress"
            | b"response.queued"
            | b"message_start"
            | b"ping"
            | b"processing"
            | b"keepalive"
            | b"heartbeat" => Self::Empty,
            b"message_stop" | b"response.completed" => Self::Stop,
            b"response.incomplete" | b"response.cancelled" => Self::Cut,
            _ => Self::Other,
        }
    }
}

/// A short string or number as it comes in pieces; one that is too long is none that is looked for.
#[derive(Clone, Copy, Debug)]
struct Word {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Default for Word {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }
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
    fn is_error(&self) -> bool {
        self.has_error || self.kind == Kind::Error
    }

    fn blame(&self) -> Blame {
        self.inner.or(self.outer).blame()
    }

    fn is_content(&self) -> bool {
        match self.kind {
            _ if self.has_choices => self.shows || self.unknown,
            Kind::Empty | Kind::Stop | Kind::Cut => false,
            Kind::Other | Kind::Error => !self.finished || self.shows,
        }
    }

    fn place(&self) -> Place {
        let innermost = self.depth.checked_sub(1).and_then(|at| self.places.get(at));
        innermost.copied().unwrap_or_default()
    }

    /// The member that a value that begins now is.
    fn value(&mut self) -> Member {
        match self.place() {
            Place::Content => self.shows = true,
            Place::Unknown => self.unknown = true,
            _ => {}
        }
        core::mem::take(&mut self.member)
    }

    /// A value begins that is neither null nor false, nor empty.
    fn is_there(&mut self, member: Member) {
        match (self.place(), member) {
            (_, Member::Content | Member::Delta) => self.shows = true,
            (_, Member::Unknown) => self.unknown = true,
            (_, Member::Error) | (Place::Error, _) => self.has_error = true,
            _ => {}
        }
    }

    fn fault(&mut self) -> &mut Said {
        if self.place() == Place::Event { &mut self.outer } else { &mut self.inner }
    }

    fn text(&mut self, text: &str) {
        match self.reading {
            Reading::Nothing => {}
            Reading::Content => self.shows |= !text.is_empty(),
            Reading::Unknown => self.unknown |= !text.is_empty(),
            Reading::Error | Reading::Fault
                if self.place() == Place::Error || self.reading == Reading::Error =>
            {
                self.has_error |= !text.is_empty();
                self.word.add(text);
            }
            Reading::Key | Reading::Kind | Reading::Reason | Reading::Error | Reading::Fault => {
                self.word.add(text);
            }
        }
    }
}

fn member(place: Place, key: &[u8]) -> Member {
    match (place, key) {
        (Place::Event, b"choices") => Member::Choices,
        (Place::Event, b"response") => Member::Response,
        (Place::Event | Place::Response | Place::Error, b"error") => Member::Error,
        (Place::Event, b"type" | b"object") => Member::Kind,
        (Place::Event, b"code" | b"status" | b"error_type") => Member::Fault,
        (Place::Error, b"code" | b"status" | b"status_code" | b"http_status" | b"type") => Member::Fault,
        (Place::Event | Place::Choice, b"delta") => Member::Delta,
        (Place::Choice, b"text" | b"message") => Member::Content,
        (Place::Choice, b"finish_reason") | (Place::Delta, b"stop_reason") => Member::Reason,
        (
            Place::Event,
            b"id"
            | b"created"
            | b"model"
            | b"system_fingerprint"
            | b"service_tier"
            | b"usage"
            | b"provider"
            | b"obfuscation"
            | b"timings"
            | b"sequence_number",
        )
        | (
            Place::Choice,
            b"index" | b"logprobs" | b"stop_reason" | b"native_finish_reason" | b"matched_stop",
        )
        | (Place::Delta, b"role" | b"type" | b"stop_sequence") => Member::Other,
        (Place::Event | Place::Choice, _) => Member::Unknown,
        (Place::Delta, _) => Member::Content,
        _ => Member::Other,
    }
}

/// Whether a reason to end means that the answer is not complete.
fn is_cut(reason: &[u8]) -> bool {
    matches!(
        reason,
        b"length"
            | b"max_tokens"
            | b"max_output_tokens"
            | b"model_length"
            | b"model_context_window_exceeded"
            | b"content_filter"
            | b"safety"
            | b"abort"
            | b"cancelled"
            | b"error"
    )
}

impl Events for Facts {
    fn open(&mut self, container: Container, _: u64) {
        let (outer, member) = (self.place(), self.value());
        let place = match (container, outer, member) {
            (Container::Object, _, _) if self.depth == 0 => Place::Event,
            (Container::Array, Place::Event, Member::Choices) => Place::Choices,
            (Container::Object, Place::Choices, _) => Place::Choice,
            (Container::Object, Place::Event | Place::Choice, Member::Delta) => Place::Delta,
            (Container::Object, Place::Event, Member::Response) => Place::Response,
            (_, _, Member::Error) => Place::Error,
            (_, _, Member::Content) => Place::Content,
            (_, _, Member::Unknown) => Place::Unknown,
            _ => Place::Elsewhere,
        };
        self.has_choices |= place == Place::Choices;
        self.has_error |= outer == Place::Error;
        self.is_object |= place == Place::Event;
        if let Some(slot) = self.places.get_mut(self.depth) {
            *slot = place;
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self, _: Container, _: u64) {
        self.depth = self.depth.saturating_sub(1);
        self.has_ended = self.depth == 0;
    }

    fn string(&mut self, key: bool, _: u64) {
        self.word = Word::default();
        let member = if key { Member::Other } else { self.value() };
        self.reading = match member {
            _ if key => Reading::Key,
            Member::Content | Member::Delta => Reading::Content,
            Member::Unknown => Reading::Unknown,
            Member::Kind => Reading::Kind,
            Member::Reason => Reading::Reason,
            Member::Fault => Reading::Fault,
            Member::Error => Reading::Error,
            _ if self.place() == Place::Error => Reading::Error,
            _ => Reading::Nothing,
        };
        self.finished |= member == Member::Reason;
    }

    fn raw(&mut self, text: &str, _: u64, _: bool) {
        self.text(text);
    }

    fn escaped(&mut self, _: char, _: Range<u64>) {}

    fn decoded(&mut self, text: &str) {
        self.text(text);
    }

    fn string_end(&mut self, _: u64) {
        let word = self.word;
        match core::mem::take(&mut self.reading) {
            Reading::Key => self.member = member(self.place(), word.text()),
            Reading::Kind => {
                self.outer.word(word.text());
                self.kind = match (self.kind, Kind::of(word.text())) {
                    (Kind::Error, _) | (_, Kind::Other) => self.kind,
                    (_, kind) => kind,
                };
            }
            Reading::Reason => self.cut |= is_cut(word.text()),
            Reading::Fault => self.fault().word(word.text()),
            Reading::Error if self.place() != Place::Error => self.inner.word(word.text()),
            Reading::Error | Reading::Nothing | Reading::Content | Reading::Unknown => {}
        }
        self.has_ended |= self.depth == 0;
    }

    fn number(&mut self, _: u64) {
        self.word = Word::default();
        let member = self.value();
        self.reading = match member {
            Member::Fault => Reading::Fault,
            Member::Error => Reading::Error,
            _ if self.place() == Place::Error => Reading::Error,
            _ => Reading::Nothing,
        };
        if self.reading == Reading::Nothing {
            self.is_there(member);
        }
    }

    fn digits(&mut self, text: &str) {
        if self.reading != Reading::Nothing {
            self.word.add(text);
        }
    }

    fn number_end(&mut self, _: u64) {
        let word = self.word;
        let counts = self.reading == Reading::Error || self.place() == Place::Error;
        match core::mem::take(&mut self.reading) {
            Reading::Fault => self.fault().number(word.text()),
            Reading::Error => self.inner.number(word.text()),
            _ => {}
        }
        self.has_error |= counts && word.text() != b"0";
    }

    fn literal(&mut self, literal: Literal, _: Range<u64>) {
        let member = self.value();
        if literal == Literal::True {
            self.is_there(member);
        }
    }
}
