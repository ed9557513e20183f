//! Reads a stream of events. Comments, other fields and events without data are no content. An event counts once its
//! blank line has come, as for its client. At most [`MAX_INSPECTED`] bytes of each event are read, and a longer one
//! counts by these.
//!
//! Source: WHATWG HTML, section 9.2.6 (event stream interpretation), of which only `data` matters here.

use super::meter::Metering;
use super::text::Text;
use super::{First, Shown, may_hold_an_error};

/// The maximum number of bytes read of one event's data: 64 KiB.
pub const MAX_INSPECTED: u32 = 64 << 10;

const FIELD: &[u8] = b"data:";
const DONE: &[u8] = b"[DONE]";

/// The reader of a stream of events.
#[derive(Clone, Debug)]
pub struct EventStream {
    line: Line,
    after_return: bool,
    event: Event,
    only_errors: bool,
    is_metered: bool,
    shown: Shown,
    metering: Metering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// In the field's name and colon, after this many bytes.
    Name(usize),
    /// Before the value, perhaps after one space.
    Space,
    Data,
    Skipped,
}

#[derive(Clone, Debug)]
struct Event {
    text: Text,
    has_data: bool,
    has_text: bool,
    read: usize,
    done: usize,
}

impl EventStream {
    pub(super) fn new(is_metered: bool) -> Self {
        Self {
            line: Line::Name(0),
            after_return: false,
            event: Event::new(is_metered),
            only_errors: false,
            is_metered,
            shown: Shown::default(),
            metering: Metering::default(),
        }
    }

    /// Reads a chunk and returns the facts so far.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Shown {
        if self.only_errors && self.is_between_events() && ends_an_event(chunk) && !may_hold_an_error(chunk) {
            return self.shown;
        }
        let mut rest = chunk;
        while let Some((first, others)) = rest.split_first() {
            let feed = core::mem::take(&mut self.after_return) && *first == b'\n';
            rest = if feed { others } else { self.line(rest) };
        }
        self.shown
    }

    /// Skips chunks that cannot contain an error, unless the response is metered.
    pub(super) const fn only_errors(&mut self) {
        self.only_errors = !self.is_metered;
    }

    pub(super) const fn metering(&self) -> Metering {
        self.metering
    }

    fn is_between_events(&self) -> bool {
        self.line == Line::Name(0) && !self.after_return && !self.event.has_data
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
        let event = core::mem::replace(&mut self.event, Event::new(self.is_metered));
        if let Some((shown, metering)) = event.said() {
            self.shown.merge(shown);
            self.metering.merge(&metering);
        }
    }
}

/// Returns true if a chunk that begins between events also ends between events, so that none continues in the next
/// chunk.
fn ends_an_event(chunk: &[u8]) -> bool {
    chunk.ends_with(b"\n\n") || chunk.ends_with(b"\n\r\n")
}

impl Event {
    fn new(is_metered: bool) -> Self {
        Self { text: Text::new(is_metered), has_data: false, has_text: false, read: 0, done: 0 }
    }

    /// Returns the facts of the event, or `None` if its data is empty.
    fn said(self) -> Option<(Shown, Metering)> {
        if self.done == DONE.len() {
            let end = Shown { first: Some(First::End), done: true, ..Shown::default() };
            return Some((end, Metering::default()));
        }
        self.has_text.then(|| self.text.said())
    }

    fn next_line(&mut self) {
        if core::mem::replace(&mut self.has_data, true) {
            self.data(b"\n");
        }
    }

    fn data(&mut self, text: &[u8]) {
        let matched = DONE.iter().skip(self.done).zip(text).take_while(|(done, byte)| done == byte).count();
        if self.read == self.done {
            self.done = self.done.saturating_add(matched);
        }
        self.read = self.read.saturating_add(text.len());
        self.has_text |= !text.trim_ascii().is_empty();
        self.text.feed(text);
    }
}
