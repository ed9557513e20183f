//! The facts in one JSON text, by position: a member counts only by its name in its place (see [`member`]), not by the
//! same name within a string or elsewhere.
//!
//! - A text with `choices` is content if a choice, or a member beside them, has a value that is not known to be empty.
//! - A text whose `type` announces something, or marks an end, is none. Any other text is content.
//! - A text is an error if its `error`, or that of its `response`, is not null, false, 0 or empty, or if its `type` or
//!   `object` says so. The blame is read from the error and from the members beside it.

use super::blame::{Blame, Said};
use super::finish::Finish;
use super::member::{Kind, Member, Place, member};
use super::word::Word;
use crate::json::{Container, Events, Literal};
use core::ops::Range;

/// The facts of a text so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    places: [Place; 6],
    depth: usize,
    word: Word,
    pub(super) member: Member,
    reading: Reading,
    pub(super) kind: Kind,
    is_object: bool,
    pub(super) has_ended: bool,
    has_choices: bool,
    /// True after a text, a tool call or the like.
    pub(super) shows: bool,
    /// True after an unknown member beside the choices.
    unknown: bool,
    has_error: bool,
    inner: Said,
    outer: Said,
    pub(super) finished: bool,
    pub(super) cut: bool,
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

impl Facts {
    pub(super) fn is_error(&self) -> bool {
        self.has_error || self.kind == Kind::Error
    }

    pub(super) fn blame(&self) -> Blame {
        self.inner.or(self.outer).blame()
    }

    pub(super) fn is_content(&self) -> bool {
        match self.kind {
            _ if self.has_choices => self.shows || self.unknown,
            Kind::Empty | Kind::Stop | Kind::Cut => false,
            Kind::Other | Kind::Error => !self.finished || self.shows,
        }
    }

    pub(super) fn place(&self) -> Place {
        let innermost = self.depth.checked_sub(1).and_then(|at| self.places.get(at));
        innermost.copied().unwrap_or_default()
    }

    /// Begins a value and returns its member.
    fn value(&mut self) -> Member {
        match self.place() {
            Place::Content => self.shows = true,
            Place::Unknown => self.unknown = true,
            _ => {}
        }
        core::mem::take(&mut self.member)
    }

    /// Records that a value begins that is not null, false or empty.
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
            Reading::Reason => self.cut |= Finish::of(word.text()).is_cut(),
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
