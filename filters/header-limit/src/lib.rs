//! Limits on a request's headers: how many, how large, of which bytes, and what they must not say.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one request against it.
//! [`answer`]: what a refused client is told.

pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::HeaderLimit;
