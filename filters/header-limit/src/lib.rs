//! Limits on the number, size, repetition, bytes and content of request headers.
//!
//! [`config`]: the document as written and as enforced. [`filter`]: one request. [`answer`]: the response to a
//! refused one.

pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::HeaderLimit;
