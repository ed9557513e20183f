//! What an operator writes: a document is read into types that hold only what can be enforced ([`document`]), in the
//! notations of [`notation`]; rules can be put into [`shadow`]. Under the feature `describe` the same types give the JSON
//! Schema of a document.

pub mod document;
pub mod notation;
#[cfg(feature = "describe")]
pub mod schema;
pub mod shadow;

pub use document::{ConfigError, FailureMode, check_rule_name, parse};
