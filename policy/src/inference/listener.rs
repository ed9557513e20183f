//! Passes the lexer's events to the reader and to the fingerprint.

use super::characters::{self, Class, Suspect};
use super::context::Context;
use super::facts::{Facts, First, Value};
use super::reader::{Reader, Sort};
use super::reading::Kind;
use super::{Place, TextSink};
use crate::json::{Container, Events, Literal};
use core::ops::Range;

/// A reader and the sink for its texts.
pub(super) struct Listener<'a, S: ?Sized> {
    pub(super) reader: &'a mut Reader,
    pub(super) sink: &'a mut S,
}

impl<S: TextSink + ?Sized> Listener<'_, S> {
    /// Passes a piece without suspicious characters.
    #[inline]
    fn passes(&mut self, text: &str) {
        if !self.looks_through() {
            return;
        }
        let Reader { context, facts, place, .. } = &mut *self.reader;
        if context.waits() {
            tell(facts, place, self.sink, context.settle(text.chars().next()));
        }
        context.ends_in(text.chars().next_back());
    }

    const fn looks_through(&self) -> bool {
        matches!(self.reader.sort, Sort::Text | Sort::Label(_) | Sort::Shape | Sort::Encoded)
    }

    /// Counts the characters of a piece and reports the suspicious ones. The piece is either spelled literally from
    /// `at` on, or in escapes whose ranges have been kept.
    fn look_through(&mut self, text: &str, at: Option<u64>) -> usize {
        let Reader { context, escapes, facts, place, .. } = &mut *self.reader;
        let mut tell = |context: &mut Context, after| tell(facts, place, self.sink, context.settle(after));
        if context.waits() {
            tell(context, text.chars().next());
        }
        let mut ranges = escapes.drain(..);
        let count = characters::count(text, |class, character, offset| {
            let behind = offset.wrapping_add(character.len_utf8());
            let written = at.map(|at| at.wrapping_add(wide(offset))..at.wrapping_add(wide(behind)));
            let range = written.or_else(|| ranges.next()).unwrap_or_default();
            let before = text.get(..offset).and_then(|before| before.chars().next_back());
            context.meet(class, character, range, before);
            if let Some(after) = text.get(behind..).and_then(|after| after.chars().next()) {
                tell(context, Some(after));
            }
        });
        context.ends_in(text.chars().next_back());
        count
    }
}

#[cold]
fn tell<S: TextSink + ?Sized>(facts: &mut Facts, place: &Place, sink: &mut S, suspect: Option<Suspect>) {
    let Some(suspect) = suspect else { return };
    sink.suspect(place, &suspect);
    if let Some(first) = facts.first.get_mut(suspect.class.index()) {
        first.get_or_insert_with(|| First { suspect, place: *place });
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<S: TextSink + ?Sized> Events for Listener<'_, S> {
    fn open(&mut self, container: Container, at: u64) {
        self.reader.open(container, at);
        if let Some(print) = &mut self.reader.print {
            print.open(container);
        }
    }

    fn close(&mut self, container: Container, end: u64) {
        if let Some(print) = &mut self.reader.print {
            print.close(container);
        }
        self.reader.close(end, self.sink);
    }

    #[inline]
    fn string(&mut self, key: bool, at: u64) {
        self.reader.context.begin();
        if let Some(print) = &mut self.reader.print {
            print.string(key);
        }
        self.reader.string(key, at);
    }

    #[inline]
    fn raw(&mut self, text: &str, at: u64, plain: bool) {
        let characters = if plain {
            self.passes(text);
            text.len()
        } else if self.looks_through() {
            self.look_through(text, Some(at))
        } else if matches!(self.reader.sort, Sort::Sealed | Sort::Guide) {
            text.chars().count()
        } else {
            0
        };
        self.reader.piece(text, characters, self.sink);
    }

    #[inline]
    fn escaped(&mut self, character: char, range: Range<u64>) {
        if self.looks_through() && Class::of(character).is_some() {
            self.reader.escapes.push(range);
        }
    }

    #[inline]
    fn decoded(&mut self, text: &str) {
        let characters = if self.reader.escapes.is_empty() {
            self.passes(text);
            text.chars().count()
        } else {
            self.look_through(text, None)
        };
        self.reader.piece(text, characters, self.sink);
    }

    #[inline]
    fn string_end(&mut self, end: u64) {
        if self.reader.context.waits() {
            let Reader { context, facts, place, .. } = &mut *self.reader;
            tell(facts, place, self.sink, context.settle(None));
        }
        self.reader.string_end(end, self.sink);
    }

    #[inline]
    fn number(&mut self, at: u64) {
        self.reader.begin(Kind::Number, at);
        self.reader.digits();
        if let Some(print) = &mut self.reader.print {
            print.number();
        }
    }

    #[inline]
    fn digits(&mut self, text: &str) {
        if let Some(print) = &mut self.reader.print {
            print.text(text);
        }
        self.reader.more_digits(text);
    }

    #[inline]
    fn number_end(&mut self, end: u64) {
        if let Some(print) = &mut self.reader.print {
            print.number_end();
        }
        let value = self.reader.number();
        self.reader.end(end, value);
    }

    fn literal(&mut self, literal: Literal, range: Range<u64>) {
        self.reader.begin(Kind::Literal, range.start);
        if let Some(print) = &mut self.reader.print {
            print.literal(literal);
        }
        let value = match literal {
            Literal::True => Value::Bool(true),
            Literal::False => Value::Bool(false),
            Literal::Null => Value::Null,
        };
        self.reader.end(range.end, value);
    }
}
