//! Reads a response as it passes: its first content, an error within it and who is to blame for that, and whether it is
//! complete. Everything that is not known to be empty (comments, blank lines, a role, the start of a message, a ping)
//! is content. The bytes come in chunks of any size and are not copied; only the position in a line, an event and a
//! JSON text is kept.
//!
//! [`Form`]: the form by media type. [`events`]: event streams. [`lines`]: JSON texts, one per line. [`document`]: one
//! JSON text. [`text`], [`facts`], [`member`]: the facts in one JSON text. [`blame`]: who caused an error. [`finish`]:
//! why a response ended. [`meter`], [`usage`]: its reported cost, read on request.

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

/// The form of a response, by its media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A stream of events: `text/event-stream`.
    Events,
    /// JSON texts, one per line, as Ollama sends them.
    Lines,
    /// One JSON text.
    Document,
    /// Any other or encoded response. It is not read, and its first byte is content.
    #[default]
    Unreadable,
}

impl Form {
    /// Returns the form for a value of `content-type`.
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

/// The first part of a response that a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Content: anything that is not known to be empty.
    Content,
    /// An error.
    Error(Blame),
    /// The end of an empty response.
    End,
}

/// The facts that a response has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The first content, error or end.
    pub first: Option<First>,
    /// The first error, wherever it came.
    pub error: Option<Blame>,
    /// True after a text, a tool call or the like in a known form.
    pub content: bool,
    /// True after the reason why a choice or a message ended.
    pub finished: bool,
    /// True if it ended incomplete: at its length limit, by a content filter, or because it was aborted.
    pub cut: bool,
    /// True after a final event of the stream: `[DONE]`, `message_stop`, `response.completed`.
    pub done: bool,
    /// True if an event or a line was not JSON.
    pub malformed: bool,
}

impl Shown {
    /// Returns true if a stream is a complete, successful response.
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

/// The reader of one response.
#[derive(Clone, Debug)]
pub enum Watch {
    /// Reads a stream of events.
    Events(Box<EventStream>),
    /// Reads JSON texts, one per line.
    Lines(Lines),
    /// Reads one JSON text.
    Document(Document),
    /// Reads nothing, and records only whether bytes have come.
    Unreadable(Shown),
}

impl Watch {
    /// Creates a reader for this form.
    pub fn new(form: Form) -> Self {
        Self::of(form, false)
    }

    /// Creates a reader that also supports [`Watch::metering`].
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

    /// Returns the reported cost so far: of events and lines as they come, of a document at its end. It is empty unless
    /// the reader is [`metered`](Self::metered) and the form is readable.
    pub fn metering(&self) -> Metering {
        match self {
            Self::Events(events) => events.metering(),
            Self::Lines(lines) => lines.metering(),
            Self::Document(document) => document.metering(),
            Self::Unreadable(_) => Metering::NONE,
        }
    }

    /// Reads a chunk and returns the facts so far.
    pub fn feed(&mut self, chunk: &[u8]) -> Shown {
        match self {
            Self::Events(events) => events.feed(chunk),
            Self::Lines(lines) => lines.feed(chunk),
            Self::Document(document) => document.feed(chunk),
            Self::Unreadable(_) => self.pass(chunk.len()),
        }
    }

    /// Returns true if the reader needs the bytes, and false if their number is enough.
    pub const fn reads(&self) -> bool {
        !matches!(self, Self::Unreadable(_))
    }

    /// Records that this many bytes came unread, and returns the facts so far.
    pub fn pass(&mut self, bytes: usize) -> Shown {
        if let Self::Unreadable(shown) = self {
            shown.first = shown.first.or((bytes > 0).then_some(First::Content));
            return *shown;
        }
        self.feed(&[])
    }

    /// Ends the response and returns its facts.
    pub fn end(&mut self) -> Shown {
        match self {
            Self::Events(events) => events.feed(&[]),
            Self::Lines(lines) => lines.end(),
            Self::Document(document) => document.end(),
            Self::Unreadable(shown) => *shown,
        }
    }

    /// Returns true if no further bytes can change the facts of a response that has begun.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Events(_) | Self::Lines(_) => false,
            Self::Document(document) => document.is_judged(),
            Self::Unreadable(_) => true,
        }
    }

    /// Returns true if a response of this form without any content up to its end is known to be empty.
    pub const fn is_empty_without_content(&self) -> bool {
        matches!(self, Self::Events(_) | Self::Lines(_))
    }

    /// Restricts the reader to errors: chunks that cannot contain one are skipped whole, unless the response is
    /// metered.
    pub fn only_errors(&mut self) {
        match self {
            Self::Events(events) => events.only_errors(),
            Self::Lines(lines) => lines.only_errors(),
            Self::Document(_) | Self::Unreadable(_) => {}
        }
    }
}

/// Returns true if these whole events or lines may contain an error: each error contains one of two words.
fn may_hold_an_error(bytes: &[u8]) -> bool {
    holds(bytes, b"error") || holds(bytes, b"failed")
}

/// Returns true if `word` is in these bytes, of which few are compared.
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
