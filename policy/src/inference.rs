//! What a request asks of a model, read from its body while that arrives: one pass, no tree, constant memory.
//!
//! It knows every name by which a model server reads a text or a number, and recognises APIs by their members alone, so a
//! request cannot be scanned as one of the wrong API. [`Member`] lists what is read at the top of a request, and in objects that
//! contain the rest of one; [`Key`] what below it is not text. Every other string there counts as text that reaches the model: a
//! server's template may print it. So does a string under an unknown name, unless it is encoded, and a role, a type or an id that
//! is longer than any real one.

mod characters;
mod context;
mod facts;
mod key;
mod label;
mod listener;
mod member;
mod names;
mod origin;
mod picture;
mod place;
mod print;
mod reader;
mod reading;
mod repeats;
mod scanner;

#[cfg(test)]
mod tests;

pub use characters::{Class, Suspect};
pub use facts::{Facts, First, Model, Parts, Seen, Value};
pub use key::Key;
pub use member::Member;
pub use origin::{Origin, Origins, Strand};
pub use place::{Place, Role};
pub use scanner::Scanner;

/// Hears every text that reaches the model, in pieces, in the order of the body.
pub trait TextSink {
    /// A piece of the text at `place`, decoded.
    fn piece(&mut self, place: &Place, text: &str);
    /// The text at `place` is complete.
    fn end_of_text(&mut self, place: &Place);
    /// A suspicious character at `place`, as soon as the one behind it is known. Labels (roles, types, ids) are looked
    /// through too, though they are no texts.
    fn suspect(&mut self, place: &Place, suspect: &Suspect);
    /// A piece of a text that is signed: it can be looked at, must not be changed, and counts for nothing.
    fn sealed(&mut self, _place: &Place, _text: &str) {}
    /// The message, or another element of a list that is an object, is complete; its role is known if it ever said one.
    fn end_of_message(&mut self, _place: &Place) {}
    /// So many characters at `place` count as text after all, though they were not heard.
    fn unheard(&mut self, _place: &Place, _characters: u64) {}
}

/// Ignores every text.
impl TextSink for () {
    fn piece(&mut self, _: &Place, _: &str) {}
    fn end_of_text(&mut self, _: &Place) {}
    fn suspect(&mut self, _: &Place, _: &Suspect) {}
}
