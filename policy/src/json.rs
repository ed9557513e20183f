//! A push lexer for JSON in chunks of any size, over raw bytes. It is strict (RFC 8259), copies only text that an escape or the
//! border of a chunk cuts, keeps one bit per open container, and never looks back, so its memory is constant and its time linear
//! whatever the body.
//!
//! It accepts what serde_json accepts for a `Value`, with three exceptions: a byte-order mark before it is skipped, a number may be
//! of any magnitude (`1e999`), since the grammar sets no bound, and the caller chooses how deep containers may nest.

mod lexer;
mod number;
mod plain;
mod string;

#[cfg(test)]
mod tests;

pub use lexer::Lexer;

use core::ops::Range;

/// What holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `{}`
    Object,
    /// `[]`
    Array,
}

/// A value that is a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// Hears what a [`Lexer`] reads. Offsets are in bytes from the beginning of the body.
pub trait Events {
    /// A container begins at this offset.
    fn open(&mut self, container: Container, at: u64);
    /// The innermost container ends; `end` is the offset after it.
    fn close(&mut self, container: Container, end: u64);
    /// A member's key, or a value that is a string, begins at this offset, which is its quote's.
    fn string(&mut self, key: bool, at: u64);
    /// A piece of the string as it was written. `plain`: all of it is known to be printable ASCII.
    fn raw(&mut self, text: &str, at: u64, plain: bool);
    /// A character of the string was written as an escape, or as a pair of them. Its text comes with
    /// [`decoded`](Self::decoded), together with its neighbours'.
    fn escaped(&mut self, character: char, range: Range<u64>);
    /// A piece of the string that was written in escapes and printable ASCII between them, decoded.
    fn decoded(&mut self, text: &str);
    /// The string ends; `end` is the offset after its quote.
    fn string_end(&mut self, end: u64);
    /// A number begins at this offset.
    fn number(&mut self, at: u64);
    /// A piece of the number as it was written, ASCII.
    fn digits(&mut self, text: &str);
    /// The number ends; `end` is the offset after it.
    fn number_end(&mut self, end: u64);
    /// A literal.
    fn literal(&mut self, literal: Literal, range: Range<u64>);
}

/// Why a body is no JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Bytes before what is wrong.
    pub at: u64,
    /// What is wrong there.
    pub what: Fault,
}

/// What may be wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A byte that cannot stand there.
    Unexpected,
    /// Something other than white space after the value.
    Trailing,
    /// A control character within a string, not escaped.
    ControlCharacter,
    /// A `\` with something behind it that is no escape.
    Escape,
    /// Half a surrogate pair.
    LoneSurrogate,
    /// Bytes that are no UTF-8.
    Utf8,
    /// Containers nested deeper than accepted.
    TooDeep,
    /// The body ends before its value does.
    Incomplete,
}
