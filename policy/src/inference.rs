//! Reads an inference request from its body as the body streams in: one pass, no tree, constant memory.
//!
//! The scanner knows every name under which a model server reads a text or a number. It never guesses the API from the
//! path, so a request cannot be scanned as the wrong one. [`Member`] lists the members of a request and of its
//! envelopes; [`Key`] lists the keys below them that are not text. Every other string counts as text that reaches the
//! model, because a server's template may print it. That includes strings under unknown names, unless they are encoded,
//! and a role, a type or an id that is longer than any real one.

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

/// Receives every text that reaches the model, in pieces, in the order of the body.
pub trait TextSink {
    /// Receives one decoded piece of the text at `place`.
    fn piece(&mut self, place: &Place, text: &str);
    /// Ends the text at `place`.
    fn end_of_text(&mut self, place: &Place);
    /// Reports a suspicious character at `place`, once the character after it is known. Labels (roles, types, ids) are
    /// searched as well, although they are not texts.
    fn suspect(&mut self, place: &Place, suspect: &Suspect);
    /// Receives a piece of a signed text. It may be inspected but not changed, and does not count as characters.
    fn sealed(&mut self, _place: &Place, _text: &str) {}
    /// Ends a message, or another object in a list. By now its role is known if it has one.
    fn end_of_message(&mut self, _place: &Place) {}
    /// Reports characters at `place` that count as text after all, although no piece delivered them.
    fn unheard(&mut self, _place: &Place, _characters: u64) {}
}

/// A sink that ignores everything.
impl TextSink for () {
    fn piece(&mut self, _: &Place, _: &str) {}
    fn end_of_text(&mut self, _: &Place) {}
    fn suspect(&mut self, _: &Place, _: &Suspect) {}
}
