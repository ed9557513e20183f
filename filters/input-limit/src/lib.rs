//! Prompts that are too long, that hold forbidden characters or texts, or that ask for absurd work are refused while they
//! stream in, or have just that taken out.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one request against it. [`rewrite`]: what is
//! taken out. [`answer`]: what a refused client is told.

pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;
pub mod rewrite;

pub use filter::InputLimit;
