//! Request bodies that trickle are answered 408 before they hold anything: a worker's attention, or, where headers
//! can be held, a place at the upstream.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one body against it.

pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::SlowClient;
