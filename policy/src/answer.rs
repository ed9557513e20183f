//! What an answer shows while it passes: its first content, an error within it and whose fault that is, and whether it
//! came to its end. Whatever is not known is content: only what is known to be empty (comments, blank lines, a role, the
//! announcement of a message, a ping) is none. It reads raw bytes in chunks of any size, copies none, and keeps only where
//! it is in a line, an event and a JSON text.
//!
//! [`Form`]: what its media type says it is. [`events`]: streams of events, [`lines`]: of JSON texts, one a line,
//! [`document`]: one JSON text. [`text`], [`facts`], [`member`]: what one JSON text says. [`blame`]: whose fault an error is, [`finish`]: why an answer
//! ended. [`meter`] and [`usage`]: what it reports of its cost, where somebody asks for that.

pub mod blame;
mod document;
mod events;
mod facts;
mod finish;
mod lines;
mod member;
mod meter;
mod text;
mod usage;
mod word;

pub use events::MAX_INSPECTED;
pub use finish::Finish;
pub use meter::Metering;
pub use usage::Usage;

use blame::Blame;
use document::Document;
use events::EventStream;
use lines::Lines;

/// What an answer is, as its media type says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A stream of events: `text/event-stream`.
    Events,
    /// JSON texts, one a line, as Ollama sends them.
    Lines,
    /// One JSON text.
    Document,
    /// Anything else, or coded: it is not read, and its first byte is content.
    #[default]
    Unreadable,
}

impl Form {
    /// By the value of `content-type`.
    pub fn of(content_type: &[u8]) -> Self {
        let media = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        match media.trim_ascii().to_ascii_lowercase().as_slice() {
            b"text/event-stream" => Self::Events,
            b"application/x-ndjson"
            | b"application/ndjson"
            | b"application/jsonl"
            | b"application/x-jsonlines"
            | b"application/stream+json" => Self::Lines,
            b"application/json" | b"text/json" => Self::Document,
            other if other.starts_with(b"application/") && other.ends_with(b"+json") => Self::Document,
            _ => Self::Unreadable,
        }
    }
}

/// What came first in an answer, of what a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Something that is not known to be empty.
    Content,
    /// An error.
    Error(Blame),
    /// The end, with nothing before it.
    End,
}

/// What an answer has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What came first.
    pub first: Option<First>,
    /// The first error in it, wherever it came.
    pub error: Option<Blame>,
    /// A text, a tool call or the like, in a form that is known.
    pub content: bool,
    /// Some choice or message told why it ended.
    pub finished: bool,
    /// It ended before it was complete: by its length, a content filter, or because it was given up.
    pub cut: bool,
    /// The stream told that it is over: `[DONE]`, `message_stop`, `response.completed`.
    pub done: bool,
    /// Some event or line was no JSON.
    pub malformed: bool,
}

impl Shown {
    /// Whether a stream is the whole of a good answer.
    pub const fn is_whole(&self) -> bool {
        self.done && self.content && !self.cut && self.error.is_none() && !self.malformed
    }

    fn merge(&mut self, said: Shown) {
        self.first = self.first.or(said.first);
        self.error = self.error.or(said.error);
        self.content |= said.content;
        self.finished |= said.finished;
        self.cut |= said.cut;
        self.done |= said.done;
        self.malformed |= said.malformed;
    }
}

/// Watches one answer.
#[derive(Clone, Debug)]
pub enum Watch {
    /// A stream of events.
    Events(Box<EventStream>),
    /// JSON texts, one a line.
    Lines(Lines),
    /// One JSON text.
    Document(Document),
    /// What is not read: whether anything has come.
    Unreadable(Shown),
}

impl Watch {
    /// For an answer of this form.
    pub fn new(form: Form) -> Self {
        Self::of(form, false)
    }

    /// The same, with [`Watch::metering`].
    pub fn metered(form: Form) -> Self {
        Self::of(form, true)
    }

    fn of(form: Form, is_metered: bool) -> Self {
        match form {
            Form::Events => Self::Events(Box::new(EventStream::new(is_metered))),
            Form::Lines => Self::Lines(Lines::new(is_metered)),
            Form::Document => Self::Document(Document::new(is_metered)),
            Form::Unreadable => Self::Unreadable(Shown::default()),
        }
    }

    /// What it has reported of its cost: events and lines as they come, a document at its end. Nothing unless it is
    /// [`metered`](Self::metered) and can be read.
    pub fn metering(&self) -> Metering {
        match self {
            Self::Events(events) => events.metering(),
            Self::Lines(lines) => lines.metering(),
            Self::Document(document) => document.metering(),
            Self::Unreadable(_) => Metering::NONE,
        }
    }

    /// Reads on, and tells what the answer has shown so far.
    pub fn feed(&mut self, chunk: &[u8]) -> Shown {
        match self {
            Self::Events(events) => events.feed(chunk),
            Self::Lines(lines) => lines.feed(chunk),
            Self::Document(document) => document.feed(chunk),
            Self::Unreadable(_) => self.pass(chunk.len()),
        }
    }

    /// Whether the bytes matter, or only that there are some.
    pub const fn reads(&self) -> bool {
        !matches!(self, Self::Unreadable(_))
    }

    /// So many bytes have come that are not read.
    pub fn pass(&mut self, bytes: usize) -> Shown {
        if let Self::Unreadable(shown) = self {
            shown.first = shown.first.or((bytes > 0).then_some(First::Content));
            return *shown;
        }
        self.feed(&[])
    }

    /// The answer has come to its end: tells what it has shown.
    pub fn end(&mut self) -> Shown {
        match self {
            Self::Events(events) => events.feed(&[]),
            Self::Lines(lines) => lines.end(),
            Self::Document(document) => document.end(),
            Self::Unreadable(shown) => *shown,
        }
    }

    /// Whether nothing that may come can change what an answer that has begun shows.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Events(_) | Self::Lines(_) => false,
            Self::Document(document) => document.is_judged(),
            Self::Unreadable(_) => true,
        }
    }

    /// Whether an answer of this form that has shown nothing to its end is known to be empty.
    pub const fn is_empty_without_content(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Lines(_))
    }

    /// From now on only errors matter: what cannot hold one is passed over, a chunk at a time, unless it is metered.
    pub fn only_errors(&mut self) {
        match self {
            Self::Events(events) => events.only_errors(),
            Self::Lines(lines) => lines.only_errors(),
            Self::Document(_) | Self::Unreadable(_) => {}
        }
    }
}

/// Whether some error can be in these bytes, which are whole events or lines: each names it, or says that it failed.
fn may_hold_an_error(bytes: &[u8]) -> bool {
    holds(bytes, b"error") || holds(bytes, b"failed")
}

/// Whether `word` is in these bytes; few of them are looked at.
///
/// Source: Horspool, "Practical Fast Searching in Strings" (1980).
fn holds(bytes: &[u8], word: &[u8]) -> bool {
    let (last, mut rest) = (word.len().saturating_sub(1), bytes);
    while let Some(byte) = rest.get(last) {
        if rest.starts_with(word) {
            return true;
        }
        let step = word.iter().rev().skip(1).position(|other| other == byte);
        let step = step.map_or(word.len(), |step| step.saturating_add(1));
        rest = rest.get(step..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests;
