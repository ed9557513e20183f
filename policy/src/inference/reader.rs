//! Gives the parts of a body their meaning: the place of a value decides whether it is text, a fact, or neither.

use super::context::Context;
use super::facts::{Facts, Model, Part, Seen, Value};
use super::label::Label;
use super::member::Elements;
use super::picture::Picture;
use super::place::Place;
use super::print::Print;
use super::reading::{Kind, Reading};
use super::repeats::Repeats;
use super::{Key, Member, TextSink};
use crate::json::Container;
use core::ops::Range;

mod strings;

pub(super) use strings::Sort;

#[derive(Clone, Copy, Debug)]
struct Frame {
    container: Container,
    reading: Reading,
    key: Option<Key>,
    index: u32,
    /// A bit for each member or key that has occurred.
    known: u128,
    /// The depth of the outer request, if the members of this container are those of a request.
    outer_top: Option<u8>,
    /// The meaning of this array's elements: content parts, token ids, or media of this kind.
    holds_parts: bool,
    holds_tokens: bool,
    holds_media: Option<Part>,
    is_part: bool,
    typed: Option<Part>,
    media: Option<Part>,
    /// True if the type declares encoded data, false if a type has denied it.
    opaque: Option<bool>,
    /// True if encoded data were skipped.
    unread: bool,
    /// Characters that look encoded. They are text if the type says so.
    encoded: u64,
    /// Characters that count unless a signature is found.
    sealed: u64,
    signed: bool,
}

#[derive(Clone)]
pub(super) struct Reader {
    pub(super) facts: Facts,
    pub(super) print: Option<Print>,
    pub(super) place: Place,
    pub(super) sort: Sort,
    pub(super) is_key: bool,
    pub(super) context: Context,
    /// The positions of suspicious characters that the next piece spells as escapes.
    pub(super) escapes: Vec<Range<u64>>,
    /// The image in the current string, if that is no text.
    picture: Picture,
    /// Repetition counts in the expressions for guided decoding.
    repeats: Repeats,
    /// True if names match in any letter case.
    folds: bool,
    /// The current member of the request, how it is read, whether it has occurred before, and whether its name is
    /// exact.
    member: Option<Member>,
    reading: Reading,
    again: bool,
    is_exact: bool,
    /// Characters of the current string, while it looks encoded.
    shaped: u64,
    /// True while `label` holds all digits of the current number.
    digits: bool,
    frames: Vec<Frame>,
    label: Label,
    key_at: u64,
    value_at: u64,
    setting_at: u64,
    /// Characters in the current message or list element.
    message: u64,
}

impl Reader {
    pub(super) fn new(print: Option<Print>, folds: bool) -> Self {
        Self {
            facts: Facts::new(),
            print,
            place: Place::TOP,
            sort: Sort::Ignored,
            is_key: false,
            context: Context::default(),
            escapes: Vec::new(),
            picture: Picture::NONE,
            repeats: Repeats::NONE,
            folds,
            member: None,
            reading: Reading::Nothing,
            again: false,
            is_exact: false,
            shaped: 0,
            digits: false,
            frames: Vec::new(),
            label: Label::EMPTY,
            key_at: 0,
            value_at: 0,
            setting_at: 0,
            message: 0,
        }
    }

    /// Begins a value and returns how it is read.
    #[inline]
    pub(super) fn begin(&mut self, kind: Kind, at: u64) -> Reading {
        let below = self.place.below_top();
        let Some(frame) = self.frames.last_mut() else { return Reading::Nothing };
        if frame.container == Container::Array {
            let index = frame.index;
            frame.index = index.saturating_add(1);
            self.place.at_index(index);
            let reading = frame.reading;
            let is_list = kind == Kind::Container(Container::Array);
            if kind == Kind::Number && frame.holds_tokens {
                self.facts.token_ids = self.facts.token_ids.saturating_add(1);
            }
            if let Some(part) = frame.holds_media.filter(|_| !is_list) {
                self.facts.parts.add(part);
            }
            match reading {
                Reading::Stop if !is_list => count(&mut self.facts.stops),
                Reading::Bias if !is_list => count(&mut self.facts.biases),
                _ => {}
            }
            if below == 1 {
                self.element(kind, index);
            }
            return reading;
        }
        if below == 0 {
            self.value_at = at;
            self.message = 0;
            return self.member(kind);
        }
        if below == 1 {
            self.setting_at = at;
        }
        match (frame.reading, frame.key) {
            (Reading::Text | Reading::Unknown, Some(key)) => {
                let reading = key.reading(frame.opaque == Some(true));
                frame.unread |= key == Key::Data && reading == Reading::Nothing;
                reading
            }
            (Reading::Settings, _) => Reading::Nothing,
            (reading, _) => reading,
        }
    }

    fn member(&mut self, kind: Kind) -> Reading {
        self.place.role = self.member.and_then(Member::role);
        let Some(member) = self.member else { return self.reading };
        let is_list = kind == Kind::Container(Container::Array);
        match member.elements() {
            _ if is_list => {}
            Elements::Prompts | Elements::Items if kind == Kind::String => count(&mut self.facts.prompts),
            Elements::Media(part) if matches!(kind, Kind::String | Kind::Container(_)) => {
                self.facts.parts.add(part);
            }
            _ => {}
        }
        match self.reading {
            Reading::Model if self.facts.model.is_some() && !self.place.is_outermost() => {
                return Reading::Nothing;
            }
            Reading::Model => self.facts.model = (kind == Kind::String).then(Model::default),
            Reading::Stop if kind == Kind::String => count(&mut self.facts.stops),
            _ => {}
        }
        self.reading
    }

    /// Begins a number.
    #[inline]
    pub(super) fn digits(&mut self) {
        self.digits = match self.place.below_top() {
            0 => true,
            1 => self.frames.last().is_some_and(|frame| frame.reading == Reading::Settings),
            _ => false,
        };
        if self.digits {
            self.label.clear();
        }
    }

    #[inline]
    pub(super) fn more_digits(&mut self, text: &str) {
        if self.digits {
            self.digits = self.label.push(text);
        }
    }

    /// Returns the complete number.
    #[inline]
    pub(super) fn number(&self) -> Value {
        if self.digits { Value::of_number(self.label.text()) } else { Value::Other }
    }

    /// Counts characters as text that the sink did not receive.
    fn unheard(&mut self, characters: u64, sink: &mut (impl TextSink + ?Sized)) {
        if characters > 0 {
            self.facts.characters = self.facts.characters.saturating_add(characters);
            self.message = self.message.saturating_add(characters);
            self.facts.longest_message = self.facts.longest_message.max(self.message);
            sink.unheard(&self.place, characters);
        }
    }

    /// Begins an element of a member's list.
    fn element(&mut self, kind: Kind, index: u32) {
        self.message = 0;
        let member = self.place.member();
        self.place.role = member.and_then(Member::role);
        let Some(member) = member else { return };
        let facts = &mut self.facts;
        let is_lone = index == 0;
        match (member.elements(), kind) {
            (Elements::Messages, _) | (Elements::Items, Kind::Container(Container::Object)) => {
                count(&mut facts.messages);
            }
            (Elements::Prompts | Elements::Items, Kind::String | Kind::Container(Container::Array)) => {
                count(&mut facts.prompts);
            }
            (Elements::Prompts | Elements::Items, Kind::Number) if is_lone => count(&mut facts.prompts),
            (Elements::Tools, _) => count(&mut facts.tools),
            _ => {}
        }
    }

    pub(super) fn open(&mut self, container: Container, at: u64) {
        let is_array = container == Container::Array;
        let begun = self.begin(Kind::Container(container), at);
        let below = self.place.below_top();
        let reading = match begun {
            Reading::Label(_) | Reading::Sealed => Reading::Text,
            Reading::Encoded if !is_array => Reading::Text,
            Reading::Model | Reading::Number | Reading::Signature => Reading::Nothing,
            Reading::Settings if below > 0 || is_array => Reading::Nothing,
            reading => reading,
        };
        let holder = self.frames.last();
        let is_value = holder.is_some() && below == 0;
        let member = self.member.filter(|_| is_value);
        let of_key = holder.and_then(|holder| holder.key);
        let holds_parts = is_array
            && reading == Reading::Text
            && (member == Some(Member::System)
                || matches!(of_key, Some(Key::Content | Key::Output | Key::Parts)) && !is_value);
        let holds_tokens = is_array
            && match member {
                Some(member) => member.holds_tokens(),
                None => holder.is_some_and(|holder| holder.holds_tokens),
            };
        let holds_media = match (member.map(Member::elements), of_key) {
            _ if !is_array => None,
            (Some(Elements::Media(part)), _) => Some(part),
            (_, Some(Key::Images)) if reading == Reading::Encoded => Some(Part::Image),
            _ => holder.and_then(|holder| holder.holds_media),
        };
        let is_part = !is_array && holder.is_some_and(|holder| holder.holds_parts);
        if self.frames.is_empty() {
            self.facts.is_object = !is_array;
        }
        self.place.descend();
        let is_top = self.frames.is_empty() || begun == Reading::Envelope && !is_array;
        let outer_top = is_top.then(|| self.place.begin_top());
        if let Some(holder) = member.filter(|_| outer_top == Some(1)) {
            self.facts.holders.retain(|(known, _)| *known != holder);
            self.facts.holders.push((holder, at.saturating_add(1)));
        }
        self.frames.push(Frame {
            container,
            reading,
            key: None,
            index: 0,
            known: 0,
            outer_top,
            holds_parts,
            holds_tokens,
            holds_media,
            is_part,
            typed: None,
            media: None,
            opaque: None,
            unread: false,
            encoded: 0,
            sealed: 0,
            signed: false,
        });
        let depth = u8::try_from(self.frames.len()).unwrap_or(u8::MAX);
        self.facts.depth = self.facts.depth.max(depth);
    }

    pub(super) fn close(&mut self, end: u64, sink: &mut (impl TextSink + ?Sized)) {
        let Some(closed) = self.frames.pop() else { return };
        if closed.is_part {
            self.facts.parts.add(closed.media.or(closed.typed).unwrap_or(Part::Text));
        }
        self.place.ascend();
        if closed.encoded > 0 || closed.sealed > 0 {
            let is_text = closed.typed == Some(Part::Text);
            let encoded = if is_text { closed.encoded } else { 0 };
            let sealed = if closed.signed { 0 } else { closed.sealed };
            self.unheard(encoded.saturating_add(sealed), sink);
        }
        if let Some(outer) = closed.outer_top {
            self.place.end_top(outer);
            // An envelope is no value that anybody asks for.
            (self.member, self.reading) = (None, Reading::Nothing);
        }
        if self.place.below_top() == 1 && self.place.index().is_some() {
            sink.end_of_message(&self.place);
        }
        self.end(end, Value::Other);
    }

    /// Ends a value.
    #[inline]
    pub(super) fn end(&mut self, end: u64, value: Value) {
        let Some(frame) = self.frames.last().filter(|frame| frame.container == Container::Object) else {
            return;
        };
        if let Some(print) = &mut self.print {
            print.member_end();
            self.facts.repeated_key = print.repeated_key;
        }
        let (key_at, is_exact, is_own) = (self.key_at, self.is_exact, self.place.is_outermost());
        let seen = |at| Seen { value, key_at, range: at..end, is_exact, is_own, is_one_of_many: false };
        match self.place.below_top() {
            0 => {
                if let Some(member) = self.member {
                    let seen = seen(self.value_at);
                    self.facts.see(member, seen, self.again, self.place.is_outermost());
                }
            }
            1 if frame.reading == Reading::Settings && frame.key == Some(Key::BudgetTokens) => {
                self.facts.thinking_budget = Some(seen(self.setting_at));
            }
            _ => {}
        }
    }

    /// Enters a member of a request by its name.
    fn membered(&mut self) {
        let (found, reading) = Member::read_as(self.label.text(), self.folds);
        let member = found.map(|(member, _)| member);
        (self.member, self.reading) = (member, reading);
        self.is_exact = found.is_some_and(|(_, is_exact)| is_exact);
        self.place.at_member(member);
        self.again = member.is_some_and(|member| self.is_again(member.bit()));
    }

    /// Enters a key below a member by its name.
    fn keyed(&mut self) {
        let key = Key::known(self.label.text(), self.folds);
        self.place.at_key(key);
        let Some(frame) = self.frames.last_mut() else { return };
        frame.key = key;
        frame.media = frame.media.max(key.and_then(Key::part));
        if let Some(key) = key {
            self.is_again(key.bit());
        }
    }

    /// Notes a name and returns true if its object has had it before.
    fn is_again(&mut self, bit: u128) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        let again = frame.known & bit != 0;
        frame.known |= bit;
        if again {
            self.facts.duplicate.get_or_insert(self.place);
        }
        again
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
