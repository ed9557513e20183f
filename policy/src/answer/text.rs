//! Reads one JSON text of a response in pieces and returns its facts at its end. A text longer than [`MAX_INSPECTED`]
//! counts by its beginning, except for its reported cost, which may stand at its end. A text that is not JSON is
//! content.

use super::facts::Facts;
use super::member::{Kind, Member, Place};
use super::meter::{Meter, Metering};
use super::{First, MAX_INSPECTED, Shown};
use crate::json::{Container, Events, Lexer, Literal};
use core::ops::Range;

const MAX_DEPTH: u8 = 64;

/// A JSON text that comes in pieces.
#[derive(Clone, Debug)]
pub(super) struct Text {
    lexer: Lexer,
    listeners: Listeners,
    inspected: u32,
    is_invalid: bool,
    is_invalid_later: bool,
}

/// The listeners on the lexer's events.
#[derive(Clone, Debug)]
struct Listeners {
    facts: Facts,
    is_inspected: bool,
    meter: Option<Meter>,
}

impl Text {
    /// Creates an empty text, whose cost is read if `is_metered`.
    pub(super) fn new(is_metered: bool) -> Self {
        let meter = is_metered.then(Meter::default);
        Self {
            lexer: Lexer::new(MAX_DEPTH),
            listeners: Listeners { facts: Facts::default(), is_inspected: true, meter },
            inspected: 0,
            is_invalid: false,
            is_invalid_later: false,
        }
    }

    /// Reads a piece.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let room = usize::try_from(MAX_INSPECTED.saturating_sub(self.inspected)).unwrap_or(0);
        let (bytes, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.inspected = self.inspected.saturating_add(u32::try_from(bytes.len()).unwrap_or(MAX_INSPECTED));
        self.is_invalid = self.is_invalid || self.lexer.feed(bytes, &mut self.listeners).is_err();
        if !rest.is_empty() && self.listeners.meter.is_some() && !self.is_invalid && !self.is_invalid_later {
            self.listeners.is_inspected = false;
            self.is_invalid_later = self.lexer.feed(rest, &mut self.listeners).is_err();
        }
    }

    /// Returns true if the text's value has ended, or is not JSON.
    pub(super) const fn is_ended(&self) -> bool {
        self.is_invalid || self.listeners.facts.has_ended
    }

    /// Returns true if an error has begun, so that the rest may show who is to blame.
    pub(super) fn is_in_error(&self) -> bool {
        let facts = &self.listeners.facts;
        facts.is_error() || facts.place() == Place::Error || facts.member == Member::Error
    }

    /// Ends the text and returns its facts and its reported cost. A text that is not JSON reports nothing.
    pub(super) fn said(mut self) -> (Shown, Metering) {
        let is_cut = self.inspected >= MAX_INSPECTED;
        self.listeners.is_inspected &= !is_cut;
        let is_unfinished = self.lexer.finish(&mut self.listeners).is_err();
        let malformed = self.is_invalid || (!is_cut && is_unfinished);
        let facts = &self.listeners.facts;
        let error = facts.is_error().then(|| facts.blame()).filter(|_| !malformed);
        let ends = facts.finished || facts.kind == Kind::Stop || facts.kind == Kind::Cut;
        let first = match error {
            Some(blame) => Some(First::Error(blame)),
            None if malformed || (is_cut && !facts.is_content()) => Some(First::Content),
            None if facts.is_content() => Some(First::Content),
            None if ends => Some(First::End),
            None => None,
        };
        let shown = Shown {
            first,
            error,
            content: facts.shows && !malformed,
            finished: facts.finished && !malformed,
            cut: (facts.cut || facts.kind == Kind::Cut) && !malformed,
            done: matches!(facts.kind, Kind::Stop | Kind::Cut) && !malformed,
            malformed,
        };
        let meter = self.listeners.meter.filter(|_| !is_unfinished);
        let content_events = u64::from(first == Some(First::Content));
        (shown, Metering { content_events, ..meter.map(|meter| meter.metering()).unwrap_or_default() })
    }
}

impl Listeners {
    fn each(&mut self, tell: impl Fn(&mut dyn Events)) {
        if self.is_inspected {
            tell(&mut self.facts);
        }
        if let Some(meter) = &mut self.meter {
            tell(meter);
        }
    }
}

impl Events for Listeners {
    fn open(&mut self, container: Container, at: u64) {
        self.each(|it| it.open(container, at));
    }

    fn close(&mut self, container: Container, end: u64) {
        self.each(|it| it.close(container, end));
    }

    fn string(&mut self, key: bool, at: u64) {
        self.each(|it| it.string(key, at));
    }

    fn raw(&mut self, text: &str, at: u64, plain: bool) {
        self.each(|it| it.raw(text, at, plain));
    }

    fn escaped(&mut self, character: char, range: Range<u64>) {
        self.each(|it| it.escaped(character, range.clone()));
    }

    fn decoded(&mut self, text: &str) {
        self.each(|it| it.decoded(text));
    }

    fn string_end(&mut self, end: u64) {
        self.each(|it| it.string_end(end));
    }

    fn number(&mut self, at: u64) {
        self.each(|it| it.number(at));
    }

    fn digits(&mut self, text: &str) {
        self.each(|it| it.digits(text));
    }

    fn number_end(&mut self, end: u64) {
        self.each(|it| it.number_end(end));
    }

    fn literal(&mut self, literal: Literal, range: Range<u64>) {
        self.each(|it| it.literal(literal, range.clone()));
    }
}
