//! Token-bucket limits on requests, exact across all workers of a proxy.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one request against it. [`answer`]: what a
//! refused client is told. What limits are is [`tidegate_limits`].

pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::RateLimit;
