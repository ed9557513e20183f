//! Token-bucket limits on requests, exact across all workers of a proxy.
//!
//! [`config`]: the document as written and as enforced. [`filter`]: one request. [`answer`]: the response to a
//! refused one. The limits themselves are in [`tidegate_limits`].

pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::RateLimit;
