//! Reads an operator's configuration into types that hold only enforceable values ([`document`]). Quantities have their
//! ranges in their types ([`range`], [`rate`]), as do texts ([`text`]) and lists ([`list`]). Rules can be in [`shadow`]
//! mode. With the feature `describe`, the same types generate a document's JSON Schema, from which its reference is
//! made.

pub mod document;
pub mod list;
mod notation;
pub mod range;
pub mod rate;
#[cfg(feature = "describe")]
pub mod schema;
pub mod shadow;
pub mod text;

pub use document::{ConfigError, FailureMode, parse};
