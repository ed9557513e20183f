//! The ways in which a value is read, by its name, and the kinds of token that it begins with.

use super::Key;
use crate::json::Container;

/// The way in which a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Nothing,
    /// Strings are text, except under keys that [`Key`] treats otherwise.
    Text,
    /// All strings are text, including keys.
    All,
    /// A short string; a longer one is text.
    Label(Key),
    Model,
    /// A number, as digits or in a string.
    Number,
    /// Numbers under known keys.
    Settings,
    /// A string that looks encoded is ignored; any other is text.
    Encoded,
    /// No server is known to read it. All strings are treated as in `Encoded`.
    Unknown,
    /// A text that does not count if a signature accompanies it.
    Sealed,
    /// The signature of a text beside it.
    Signature,
    /// An object whose members are those of a request.
    Envelope,
    /// A constraint on decoding.
    Guide,
    /// Stop conditions, of which there may be many.
    Stop,
    /// Biased or allowed tokens, of which there may be many.
    Bias,
}

/// The kind of token that a value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Container(Container),
    String,
    Number,
    Literal,
}
