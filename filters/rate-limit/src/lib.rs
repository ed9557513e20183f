//! Token-bucket limits on requests, exact across all workers of a proxy.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one request against it.
//! [`charges`]: what a request is charged, and when; [`exempt`]: what is not. [`identity`]: whose bucket a limit charges. [`model`]: what a
//! request's body says that counts. [`admission`]: how buckets in several places of the shared store are charged
//! together or not at all. [`answer`]: what a refused client is told.

pub mod answer;
pub mod charges;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::RateLimit;
