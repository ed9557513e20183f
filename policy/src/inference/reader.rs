//! What the parts of a body mean: where each stands, and so whether it is text, a fact, or neither.

use super::context::Context;
use super::facts::{Facts, Model, Part, Seen, Value};
use super::label::Label;
use super::place::{Place, Role};
use super::print::Print;
use super::{Key, Member, TextSink};
use crate::json::Container;
use core::ops::Range;

mod strings;

pub(super) use strings::Sort;

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Nothing,
    /// Its strings are text, but for what [`Key`] knows better.
    Text,
    /// All of its strings are text, keys included.
    All,
    /// A short string; text if it is none.
    Label(Key),
    Model,
    /// A number, in digits or as a string of them.
    Number,
    /// Numbers under keys that are known.
    Settings,
    /// A string is encoded if it looks so; else it is text.
    Encoded,
    /// A string is text that is signed, if a signature stands beside it.
    Sealed,
    /// A string signs what stands beside it.
    Signature,
}

/// What a value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Container(Container),
    String,
    Number,
    Literal,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    container: Container,
    reading: Reading,
    key: Option<Key>,
    index: u32,
    /// Its elements are content parts; its numbers are token ids.
    holds_parts: bool,
    holds_tokens: bool,
    is_part: bool,
    typed: Option<Part>,
    media: Option<Part>,
    /// Its type says that its data is encoded.
    opaque: Option<bool>,
    /// Characters that look encoded: text if its type says so.
    encoded: u64,
    /// Characters that count unless they are signed.
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
    /// Where suspicious characters of the piece that comes next are written as escapes.
    pub(super) escapes: Vec<Range<u64>>,
    /// Characters of the string that is read, while it looks encoded.
    shaped: u64,
    /// `label` holds all digits of a number that is read.
    digits: bool,
    frames: Vec<Frame>,
    label: Label,
    key_at: u64,
    value_at: u64,
    setting_at: u64,
    /// Characters in the message, or the like, that is being read.
    message: u64,
}

impl Reader {
    pub(super) fn new(print: Option<Print>) -> Self {
        Self {
            facts: Facts::new(),
            print,
            place: Place::TOP,
            sort: Sort::Ignored,
            is_key: false,
            context: Context::default(),
            escapes: Vec::new(),
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

    pub(super) fn at_top(&self) -> bool {
        self.frames.len() == 1
    }

    /// A value begins: how it is read.
    #[inline]
    pub(super) fn begin(&mut self, kind: Kind, at: u64) -> Reading {
        let depth = self.frames.len();
        let Some(frame) = self.frames.last_mut() else { return Reading::Nothing };
        if frame.container == Container::Array {
            let index = frame.index;
            frame.index = index.saturating_add(1);
            self.place.at_index(index);
            let reading = frame.reading;
            if kind == Kind::Number && frame.holds_tokens {
                self.facts.token_ids = self.facts.token_ids.saturating_add(1);
            }
            if depth == 2 {
                self.element(kind, index);
            }
            return reading;
        }
        if depth == 1 {
            self.value_at = at;
            self.message = 0;
            return self.member(kind);
        }
        if depth == 2 {
            self.setting_at = at;
        }
        match (frame.reading, frame.key) {
            (Reading::Text, Some(key)) => key.reading(frame.opaque == Some(true)),
            (Reading::Settings, _) => Reading::Nothing,
            (reading, _) => reading,
        }
    }

    fn member(&mut self, kind: Kind) -> Reading {
        let Some(member) = self.place.member else { return Reading::Nothing };
        self.place.role = match member {
            Member::System | Member::Instructions => Some(Role::System),
            _ => None,
        };
        match member {
            Member::Model => self.facts.model = (kind == Kind::String).then(Model::default),
            Member::Prompt | Member::Input if kind == Kind::String => count(&mut self.facts.prompts),
            _ => {}
        }
        member.reading()
    }

    /// A number begins.
    #[inline]
    pub(super) fn digits(&mut self) {
        self.digits = match self.frames.as_slice() {
            [_] => true,
            [_, inner] => inner.reading == Reading::Settings,
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

    /// The number that is complete.
    #[inline]
    pub(super) fn number(&self) -> Value {
        if self.digits { Value::of_number(self.label.text()) } else { Value::Other }
    }

    /// Characters count as text after all.
    fn unheard(&mut self, characters: u64, sink: &mut (impl TextSink + ?Sized)) {
        if characters > 0 {
            self.facts.characters = self.facts.characters.saturating_add(characters);
            self.message = self.message.saturating_add(characters);
            self.facts.longest_message = self.facts.longest_message.max(self.message);
            sink.unheard(&self.place, characters);
        }
    }

    /// An element of a list of the top level begins.
    fn element(&mut self, kind: Kind, index: u32) {
        self.message = 0;
        let facts = &mut self.facts;
        match (self.place.member, kind) {
            (Some(Member::Messages), _) | (Some(Member::Input), Kind::Container(Container::Object)) => {
                self.place.role = None;
                count(&mut facts.messages);
            }
            (Some(Member::Prompt | Member::Input), Kind::String | Kind::Container(Container::Array)) => {
                count(&mut facts.prompts);
            }
            (Some(Member::Prompt | Member::Input), Kind::Number) if index == 0 => count(&mut facts.prompts),
            (Some(Member::Tools | Member::Functions), _) => count(&mut facts.tools),
            _ => {}
        }
    }

    pub(super) fn open(&mut self, container: Container, at: u64) {
        let reading = match self.begin(Kind::Container(container), at) {
            Reading::Label(_) | Reading::Sealed => Reading::Text,
            Reading::Encoded if container == Container::Object => Reading::Text,
            Reading::Model | Reading::Number | Reading::Signature => Reading::Nothing,
            Reading::Settings if !self.at_top() || container == Container::Array => Reading::Nothing,
            reading => reading,
        };
        let is_array = container == Container::Array;
        let (holder, member) = (self.frames.last(), self.place.member);
        let below_member = self.at_top();
        let holds_parts = is_array
            && reading == Reading::Text
            && match holder {
                Some(_) if below_member => member == Some(Member::System),
                Some(holder) => matches!(holder.key, Some(Key::Content | Key::Output)),
                None => false,
            };
        let holds_tokens = is_array
            && match holder {
                Some(_) if below_member => matches!(member, Some(Member::Prompt | Member::Input)),
                Some(holder) => holder.holds_tokens,
                None => false,
            };
        let is_part = !is_array && holder.is_some_and(|holder| holder.holds_parts);
        if self.frames.is_empty() {
            self.facts.is_object = !is_array;
        } else {
            self.place.descend();
        }
        self.frames.push(Frame {
            container,
            reading,
            key: None,
            index: 0,
            holds_parts,
            holds_tokens,
            is_part,
            typed: None,
            media: None,
            opaque: None,
            encoded: 0,
            sealed: 0,
            signed: false,
        });
        let depth = u8::try_from(self.frames.len()).unwrap_or(u8::MAX);
        self.facts.depth = self.facts.depth.max(depth);
    }

    pub(super) fn close(&mut self, end: u64, sink: &mut (impl TextSink + ?Sized)) {
        let closed = self.frames.pop();
        if let Some(part) = closed.filter(|frame| frame.is_part) {
            self.facts.parts.add(part.media.or(part.typed).unwrap_or(Part::Text));
        }
        self.place.ascend();
        if let Some(frame) = closed.filter(|frame| frame.encoded > 0 || frame.sealed > 0) {
            let is_text = frame.typed == Some(Part::Text);
            let encoded = if is_text { frame.encoded } else { 0 };
            let sealed = if frame.signed { 0 } else { frame.sealed };
            self.unheard(encoded.saturating_add(sealed), sink);
        }
        if self.frames.len() == 2 && self.place.index().is_some() {
            sink.end_of_message(&self.place);
        }
        self.end(end, Value::Other);
    }

    /// A value is complete.
    #[inline]
    pub(super) fn end(&mut self, end: u64, value: Value) {
        if self.frames.last().is_none_or(|frame| frame.container != Container::Object) {
            return;
        }
        if let Some(print) = &mut self.print {
            print.member_end();
            self.facts.repeated_key = print.repeated_key;
        }
        let Some(member) = self.place.member else { return };
        let seen = |at| Seen { value, key_at: self.key_at, range: at..end };
        if let [_, settings] = self.frames.as_slice()
            && settings.reading == Reading::Settings
            && settings.key == Some(Key::BudgetTokens)
        {
            self.facts.thinking_budget = Some(seen(self.setting_at));
        }
        if self.frames.len() != 1 {
            return;
        }
        let seen = seen(self.value_at);
        let place = self.facts.members.get_mut(member.index());
        if place.and_then(|place| place.replace(seen)).is_some() {
            self.facts.duplicate = self.facts.duplicate.or(Some(member));
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
