//! How the value of a member is read, by its name and its first byte.

use super::Key;
use crate::json::Container;

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
    /// The same for all strings: nobody is known to read it.
    Unknown,
    /// A string is text that is signed, if a signature stands beside it.
    Sealed,
    /// A string signs what stands beside it.
    Signature,
    /// Its members are those of a request.
    Envelope,
    /// What a decoder follows.
    Guide,
    /// What ends an answer, of which there may be many.
    Stop,
    /// What makes tokens likelier, of which there may be many.
    Bias,
}

/// What a value begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Container(Container),
    String,
    Number,
    Literal,
}
