//! A push lexer for JSON over raw bytes in chunks of any size. It is strict (RFC 8259), copies text only where a chunk
//! boundary or an escape splits it, keeps one bit per open container and never looks back. Memory is therefore constant
//! and time linear, whatever the body.
//!
//! It accepts what serde_json accepts for a `Value`, with three differences: it skips a leading byte-order mark,
//! accepts numbers of any magnitude (`1e999`), since the grammar sets no bound, and lets the caller choose how deep
//! containers may nest.

mod lexer;
mod number;
mod plain;
mod string;

#[cfg(test)]
mod tests;

pub use lexer::Lexer;

use core::ops::Range;

/// A value that contains other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `{}`
    Object,
    /// `[]`
    Array,
}

/// A value that is a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// Receives the events of a [`Lexer`]. Offsets are in bytes from the beginning of the body.
pub trait Events {
    /// Begins a container at this offset.
    fn open(&mut self, container: Container, at: u64);
    /// Ends the innermost container; `end` is the offset after it.
    fn close(&mut self, container: Container, end: u64);
    /// Begins a member's key or a string value; `at` is the offset of its opening quote.
    fn string(&mut self, key: bool, at: u64);
    /// Receives a literal piece of the string. `plain` means that all of it is known to be printable ASCII.
    fn raw(&mut self, text: &str, at: u64, plain: bool);
    /// Receives the position of a character that is spelled as an escape or as a pair of them. Its text arrives with
    /// [`decoded`](Self::decoded), joined with its neighbours.
    fn escaped(&mut self, character: char, range: Range<u64>);
    /// Receives a decoded piece of the string that was spelled in escapes and the printable ASCII between them.
    fn decoded(&mut self, text: &str);
    /// Ends the string; `end` is the offset after its closing quote.
    fn string_end(&mut self, end: u64);
    /// Begins a number at this offset.
    fn number(&mut self, at: u64);
    /// Receives a piece of the number as written, in ASCII.
    fn digits(&mut self, text: &str);
    /// Ends the number; `end` is the offset after it.
    fn number_end(&mut self, end: u64);
    /// Receives a literal and its bytes.
    fn literal(&mut self, literal: Literal, range: Range<u64>);
}

/// The reason why a body is not JSON, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The offset of the fault in bytes.
    pub at: u64,
    /// The kind of fault.
    pub what: Fault,
}

/// A kind of fault in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A byte that the grammar does not allow there.
    Unexpected,
    /// Anything but white space after the value.
    Trailing,
    /// An unescaped control character in a string.
    ControlCharacter,
    /// A `\` that begins no valid escape.
    Escape,
    /// Half a surrogate pair.
    LoneSurrogate,
    /// Invalid UTF-8.
    Utf8,
    /// Containers nested deeper than the limit.
    TooDeep,
    /// The end of the body before the end of its value.
    Incomplete,
}
