//! What an answer shows while it passes: its first content, an error within it and whose fault that is, and whether it
//! came to its end. Whatever is not known is content: only what is known to be empty (comments, blank lines, a role, the
//! announcement of a message, a ping) is none. It reads raw bytes in chunks of any size, copies none, and keeps only where
//! it is in a line, an event and a JSON text.
//!
//! [`Form`]: what its media type says it is. [`events`]: streams of events, [`lines`]: of JSON texts, one a line,
//! [`document`]: one JSON text. [`text`], [`facts`], [`member`]: what one JSON text says. [`blame`]: whose fault an error is.

pub mod blame;
mod document;
mod events;
mod facts;
mod lines;
mod member;
mod text;

pub use events::MAX_INSPECTED;

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
    Opaque,
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
            _ => Self::Opaque,
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

    fn hear(&mut self, said: Shown) {
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
    Events(EventStream),
    /// JSON texts, one a line.
    Lines(Lines),
    /// One JSON text.
    Document(Document),
    /// What is not read: whether anything has come.
    Opaque(Shown),
}

impl Watch {
    /// For an answer of this form.
    pub fn new(form: Form) -> Self {
        match form {
            Form::Events => Self::Events(EventStream::default()),
            Form::Lines => Self::Lines(Lines::default()),
            Form::Document => Self::Document(Document::default()),
            Form::Opaque => Self::Opaque(Shown::default()),
        }
    }

    /// Reads on, and tells what the answer has shown so far.
    pub fn feed(&mut self, chunk: &[u8]) -> Shown {
        match self {
            Self::Events(events) => events.feed(chunk),
            Self::Lines(lines) => lines.feed(chunk),
            Self::Document(document) => document.feed(chunk),
            Self::Opaque(_) => self.pass(chunk.len()),
        }
    }

    /// Whether the bytes matter, or only that there are some.
    pub const fn reads(&self) -> bool {
        !matches!(self, Self::Opaque(_))
    }

    /// So many bytes have come that are not read.
    pub fn pass(&mut self, bytes: usize) -> Shown {
        if let Self::Opaque(shown) = self {
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
            Self::Opaque(shown) => *shown,
        }
    }

    /// Whether nothing that may come can change what is known of an answer that has begun.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Events(_) | Self::Lines(_) => false,
            Self::Document(document) => document.is_judged(),
            Self::Opaque(_) => true,
        }
    }

    /// Whether an answer of this form that has shown nothing to its end is known to be empty.
    pub const fn is_empty_without_content(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Lines(_))
    }

    /// From now on only errors matter: what cannot hold one is passed over, a chunk at a time.
    pub const fn only_errors(&mut self) {
        match self {
            Self::Events(events) => events.only_errors(),
            Self::Lines(lines) => lines.only_errors(),
            Self::Document(_) | Self::Opaque(_) => {}
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
