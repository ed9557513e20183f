//! The lexer's events, handed to the reader and the fingerprint.

use super::TextSink;
use super::characters::{self, Class, Suspect};
use super::facts::{First, Value};
use super::reader::{Kind, Reader, Sort};
use crate::json::{Container, Events, Literal};
use core::ops::Range;

/// A reader and who hears its texts.
pub(super) struct Listener<'a, S: ?Sized> {
    pub(super) reader: &'a mut Reader,
    pub(super) sink: &'a mut S,
}

impl<S: TextSink + ?Sized> Listener<'_, S> {
    const fn looks_through(&self) -> bool {
        matches!(self.reader.sort, Sort::Text | Sort::Label(_))
    }

    #[cold]
    fn suspect(&mut self, suspect: Suspect) {
        let Reader { facts, place, .. } = &mut *self.reader;
        self.sink.suspect(place, &suspect);
        if let Some(first) = facts.first.get_mut(suspect.class.index()) {
            first.get_or_insert_with(|| First { suspect, place: *place });
        }
    }
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
        self.reader.close(end);
    }

    #[inline]
    fn string(&mut self, key: bool, at: u64) {
        if let Some(print) = &mut self.reader.print {
            print.string(key);
        }
        self.reader.string(key, at);
    }

    #[inline]
    fn raw(&mut self, text: &str, at: u64, plain: bool) {
        let characters = match () {
            () if plain => text.len(),
            () if self.looks_through() => characters::count(text, at, |suspect| self.suspect(suspect)),
            () => 0,
        };
        self.reader.piece(text, characters, self.sink);
    }

    #[inline]
    fn escaped(&mut self, character: char, range: Range<u64>) {
        if self.looks_through()
            && let Some(class) = Class::of(character)
        {
            self.suspect(Suspect { class, character, range });
        }
    }

    #[inline]
    fn decoded(&mut self, text: &str) {
        let characters = text.chars().count();
        self.reader.piece(text, characters, self.sink);
    }

    #[inline]
    fn string_end(&mut self, end: u64) {
        self.reader.string_end(end, self.sink);
    }

    #[inline]
    fn number(&mut self, at: u64) {
        self.reader.begin(Kind::Number, at);
        self.reader.integer = Some(0);
        if let Some(print) = &mut self.reader.print {
            print.number();
        }
    }

    #[inline]
    fn digits(&mut self, text: &str) {
        if let Some(print) = &mut self.reader.print {
            print.text(text);
        }
        if self.reader.at_top() {
            let more = |value: u64, byte| {
                let digit = char::from(byte).to_digit(10)?;
                value.checked_mul(10)?.checked_add(u64::from(digit))
            };
            let integer = self.reader.integer;
            self.reader.integer = integer.and_then(|value| text.bytes().try_fold(value, more));
        }
    }

    #[inline]
    fn number_end(&mut self, end: u64) {
        if let Some(print) = &mut self.reader.print {
            print.number_end();
        }
        self.reader.end(end, self.reader.integer.map_or(Value::Other, Value::Integer));
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
