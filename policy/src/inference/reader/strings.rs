//! Sorts the strings of a body and handles their pieces.

use super::super::facts::{Part, Value};
use super::super::place::Role;
use super::super::reading::{Kind, Reading};
use super::super::{Key, TextSink};
use super::Reader;

const MODEL: usize = 256;

/// The sort of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Sort {
    Ignored,
    Text,
    Label(Key),
    Key,
    Model,
    /// A string that may still turn out to be encoded.
    Shape,
    Encoded,
    /// A text that may be signed.
    Sealed,
    Signature,
    Number,
    /// A constraint on decoding, or a stop condition.
    Guide,
}

impl Reader {
    #[inline]
    pub(in super::super) fn string(&mut self, key: bool, at: u64) {
        self.is_key = key;
        self.label.clear();
        self.shaped = 0;
        self.sort = if key {
            let at_top = self.place.is_top();
            let Some(frame) = self.frames.last_mut() else { return };
            frame.key = None;
            let reading = frame.reading;
            self.place.at_key(None);
            match reading {
                _ if at_top => {
                    self.key_at = at;
                    // A name longer than `label` is unknown.
                    (self.member, self.reading) = (None, Reading::Unknown);
                    Sort::Key
                }
                Reading::Text | Reading::Unknown | Reading::Settings => Sort::Key,
                Reading::All => Sort::Text,
                Reading::Guide | Reading::Stop => Sort::Guide,
                Reading::Bias => {
                    self.facts.biases = self.facts.biases.saturating_add(1);
                    Sort::Ignored
                }
                _ => Sort::Ignored,
            }
        } else {
            match self.begin(Kind::String, at) {
                Reading::Text | Reading::All => Sort::Text,
                Reading::Label(key) => Sort::Label(key),
                Reading::Model => Sort::Model,
                Reading::Encoded | Reading::Unknown | Reading::Envelope => Sort::Shape,
                Reading::Guide | Reading::Stop => Sort::Guide,
                Reading::Sealed => Sort::Sealed,
                Reading::Signature => Sort::Signature,
                Reading::Number => Sort::Number,
                Reading::Nothing | Reading::Settings | Reading::Bias => Sort::Ignored,
            }
        };
        match self.sort {
            Sort::Ignored | Sort::Shape if !key => self.picture.begin(),
            Sort::Guide => self.repeats.begin(),
            _ => {}
        }
    }

    #[inline]
    pub(in super::super) fn piece(
        &mut self,
        text: &str,
        characters: usize,
        sink: &mut (impl TextSink + ?Sized),
    ) {
        if let Some(print) = &mut self.print {
            print.text(text);
        }
        if self.picture.is_open() {
            self.picture.feed(text);
        }
        match self.sort {
            Sort::Ignored => {}
            Sort::Text => self.text(text, characters, sink),
            Sort::Key if self.label.push(text) => {}
            Sort::Key => {
                self.label.clear();
                self.sort = Sort::Ignored;
            }
            Sort::Label(_) if self.label.push(text) => {}
            Sort::Label(key) => {
                self.labelled(key, "");
                let label = self.label;
                self.text(label.text(), label.text().chars().count(), sink);
                self.text(text, characters, sink);
                self.sort = Sort::Text;
            }
            Sort::Model => self.model(text),
            Sort::Shape if is_encoded(text) || self.is_data_url(text) => self.encoded(text),
            Sort::Encoded if is_encoded(text) => self.encoded(text),
            Sort::Shape | Sort::Encoded => {
                let tail = self.label;
                let known = wide(tail.text().len());
                self.unheard(self.shaped.saturating_sub(known), sink);
                self.text(tail.text(), tail.text().len(), sink);
                self.text(text, characters, sink);
                self.sort = Sort::Text;
            }
            Sort::Sealed => {
                let Some(frame) = self.frames.last_mut() else { return };
                frame.sealed = frame.sealed.saturating_add(wide(characters));
                sink.sealed(&self.place, text);
            }
            Sort::Signature => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.signed |= !text.is_empty();
                }
            }
            Sort::Number if self.label.push(text) => {}
            // The string is longer than any number, whatever its chunks.
            Sort::Number => self.sort = Sort::Ignored,
            Sort::Guide => {
                self.facts.guided = self.facts.guided.saturating_add(wide(characters));
                self.repeats.feed(text);
                self.facts.repeats = self.repeats.most();
            }
        }
    }

    /// Returns true if the string so far is the beginning of a URL that contains its data: `data:image/png;base64,…`.
    fn is_data_url(&self, text: &str) -> bool {
        let come = self.label.text().bytes().chain(text.bytes());
        let begins = come.zip(*b"data:").all(|(byte, begin)| byte == begin);
        begins && text.bytes().all(|byte| is_encoded_byte(byte) || matches!(byte, b':' | b';' | b',' | b'.'))
    }

    /// Adds a piece that may be encoded. Its tail is kept, because a match may begin there if the string turns out to
    /// be text.
    fn encoded(&mut self, text: &str) {
        if !self.label.push(text) {
            self.sort = Sort::Encoded;
            self.label.keep_last(text);
        }
        self.shaped = self.shaped.saturating_add(wide(text.len()));
    }

    fn text(&mut self, text: &str, characters: usize, sink: &mut (impl TextSink + ?Sized)) {
        if text.is_empty() {
            return;
        }
        let characters = wide(characters);
        let facts = &mut self.facts;
        facts.characters = facts.characters.saturating_add(characters);
        self.message = self.message.saturating_add(characters);
        facts.longest_message = facts.longest_message.max(self.message);
        sink.piece(&self.place, text);
    }

    fn model(&mut self, text: &str) {
        let Some(model) = &mut self.facts.model else { return };
        let room = if model.is_cut { 0 } else { MODEL.saturating_sub(model.name.len()) };
        let longest = (0..=room.min(text.len())).rev().find(|length| text.is_char_boundary(*length));
        let fitting = longest.and_then(|length| text.get(..length)).unwrap_or_default();
        model.name.push_str(fitting);
        model.is_cut |= fitting.len() < text.len();
    }

    #[inline]
    pub(in super::super) fn string_end(&mut self, end: u64, sink: &mut (impl TextSink + ?Sized)) {
        if let Some(print) = &mut self.print {
            print.string_end(self.is_key);
        }
        match self.sort {
            Sort::Text => sink.end_of_text(&self.place),
            Sort::Label(key) => {
                let label = self.label.visible();
                self.labelled(key, label.text());
            }
            Sort::Key if self.place.is_top() => self.membered(),
            Sort::Key => self.keyed(),
            Sort::Shape => {
                let short = self.label;
                self.text(short.text(), short.text().len(), sink);
                sink.end_of_text(&self.place);
            }
            Sort::Sealed => sink.end_of_text(&self.place),
            Sort::Number => {
                let value = Value::of_number(self.label.text().trim());
                return self.end(end, value);
            }
            Sort::Encoded => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.encoded = frame.encoded.saturating_add(self.shaped);
                }
            }
            Sort::Model | Sort::Ignored | Sort::Guide | Sort::Signature => {}
        }
        if !self.is_key {
            self.facts.pixels = self.facts.pixels.saturating_add(self.picture.end());
            self.end(end, Value::Other);
        }
    }

    fn labelled(&mut self, key: Key, label: &str) {
        let is_message = match self.place.below_top() {
            1 => true,
            2 => self.place.index().is_some(),
            _ => false,
        };
        let Some(frame) = self.frames.last_mut() else { return };
        match key {
            Key::Role if is_message => self.place.role = (!label.is_empty()).then(|| Role::named(label)),
            Key::Type => {
                frame.typed = Some(Part::typed(label));
                let opaque = matches!(label, "base64" | "redacted_thinking");
                frame.opaque = Some(opaque && frame.opaque != Some(false));
                if frame.unread && !opaque {
                    self.facts.retyped.get_or_insert(self.place);
                }
            }
            _ => {}
        }
    }
}

/// Returns true if the piece is base64 of any alphabet, line breaks included.
fn is_encoded(text: &str) -> bool {
    text.bytes().all(is_encoded_byte)
}

const fn is_encoded_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' | b'-' | b'_' | b'\r' | b'\n')
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
