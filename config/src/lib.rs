//! What an operator writes: a document is read into types that hold only what can be enforced ([`document`]). Quantities
//! have their ranges in their types ([`range`], [`rate`]), as have texts ([`text`]) and lists ([`list`]); rules can be put
//! into [`shadow`]. Under the feature `describe` the same types give the JSON Schema of a document, from which its
//! reference is made.

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
