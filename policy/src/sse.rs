//! What a stream of events shows while it passes: its first content, an error within it, and whether it came to its
//! end. Comments, pings, role-only deltas and blank lines are no content. It reads raw bytes in chunks of any size,
//! copies none, and keeps only where it is in a line, an event and a JSON text.
//!
//! An event counts when the blank line after it has come, as for its client. Of each event at most [`MAX_INSPECTED`]
//! bytes are looked at; what they show of a longer one counts.
//!
//! Source: WHATWG HTML, section 9.2.6 (event stream interpretation), of which only `data` matters here.

mod facts;

use crate::json::Lexer;
use facts::Facts;

/// How many bytes of one event's data are looked at: 64 KiB.
pub const MAX_INSPECTED: u32 = 64 << 10;

const MAX_DEPTH: u8 = 64;
const FIELD: &[u8] = b"data:";
const DONE: &[u8] = b"[DONE]";

/// What came first in a stream, of what a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Something to show: text, reasoning, a tool call.
    Content,
    /// An error.
    Error,
    /// The end, with nothing to show.
    End,
}

/// What a stream has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What came first.
    pub first: Option<First>,
    /// Some event was an error.
    pub error: bool,
    /// Some choice or message told why it ended.
    pub finished: bool,
    /// The stream told that it is over: `[DONE]` or `message_stop`.
    pub done: bool,
    /// Some event's data was no JSON.
    pub malformed: bool,
}

impl Shown {
    /// Whether the stream is the whole of a good answer.
    pub const fn is_whole(&self) -> bool {
        self.done && !self.error && !self.malformed
    }
}

/// Watches one stream.
#[derive(Clone, Debug)]
pub struct Watch {
    line: Line,
    after_return: bool,
    event: Event,
    shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So many bytes of the field's name and colon have come.
    Name(usize),
    /// Its value comes next, perhaps after one space.
    Space,
    Data,
    Skipped,
}

#[derive(Clone, Debug)]
struct Event {
    lexer: Lexer,
    facts: Facts,
    has_data: bool,
    inspected: u32,
    done: usize,
    invalid: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self { line: Line::Name(0), after_return: false, event: Event::default(), shown: Shown::default() }
    }
}

impl Default for Event {
    fn default() -> Self {
        let lexer = Lexer::new(MAX_DEPTH);
        Self { lexer, facts: Facts::default(), has_data: false, inspected: 0, done: 0, invalid: false }
    }
}

impl Watch {
    /// Reads on, and tells what the stream has shown so far.
    pub fn feed(&mut self, chunk: &[u8]) -> Shown {
        let mut rest = chunk;
        while let Some((first, others)) = rest.split_first() {
            let feed = core::mem::take(&mut self.after_return) && *first == b'\n';
            rest = if feed { others } else { self.line(rest) };
        }
        self.shown
    }

    fn line<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let (text, end) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.text(text);
        let Some((end, rest)) = end.split_first() else { return end };
        self.after_return = *end == b'\r';
        match core::mem::replace(&mut self.line, Line::Name(0)) {
            Line::Name(0) => self.dispatch(),
            Line::Name(4) => self.event.next_line(),
            _ => {}
        }
        rest
    }

    fn text(&mut self, mut text: &[u8]) {
        while let Some((first, rest)) = text.split_first() {
            (self.line, text) = match self.line {
                Line::Name(at) if FIELD.get(at) != Some(first) => (Line::Skipped, rest),
                Line::Name(4) => {
                    self.event.next_line();
                    (Line::Space, rest)
                }
                Line::Name(at) => (Line::Name(at.saturating_add(1)), rest),
                Line::Space => (Line::Data, if *first == b' ' { rest } else { text }),
                Line::Data => {
                    self.event.data(text);
                    return;
                }
                Line::Skipped => return,
            };
        }
    }

    fn dispatch(&mut self) {
        if !self.event.has_data {
            return;
        }
        let mut event = core::mem::take(&mut self.event);
        let shown = &mut self.shown;
        if !event.is_valid() {
            shown.malformed = true;
            return;
        }
        let facts = &event.facts;
        shown.error |= facts.error();
        shown.finished |= facts.finished();
        shown.done |= facts.done() || event.is_done();
        let first = match () {
            () if facts.error() => Some(First::Error),
            () if facts.content() => Some(First::Content),
            () if shown.finished || shown.done => Some(First::End),
            () => None,
        };
        shown.first = shown.first.or(first);
    }
}

impl Event {
    const fn is_done(&self) -> bool {
        self.done == DONE.len()
    }

    fn is_valid(&mut self) -> bool {
        match () {
            () if self.is_done() => true,
            () if self.invalid => false,
            () if self.inspected >= MAX_INSPECTED => true,
            () => self.lexer.finish(&mut self.facts).is_ok(),
        }
    }

    fn next_line(&mut self) {
        if core::mem::replace(&mut self.has_data, true) {
            self.data(b"\n");
        }
    }

    fn data(&mut self, text: &[u8]) {
        let matched = DONE.iter().skip(self.done).zip(text).take_while(|(done, byte)| done == byte).count();
        let room = usize::try_from(MAX_INSPECTED.saturating_sub(self.inspected)).unwrap_or(0);
        let text = text.get(..room).unwrap_or(text);
        if usize::try_from(self.inspected) == Ok(self.done) {
            self.done = self.done.saturating_add(matched);
        }
        self.inspected = self.inspected.saturating_add(u32::try_from(text.len()).unwrap_or(MAX_INSPECTED));
        self.invalid = self.invalid || self.lexer.feed(text, &mut self.facts).is_err();
    }
}

#[cfg(test)]
mod tests;
