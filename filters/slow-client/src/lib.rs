//! Responds with 408 to request bodies that trickle, before they tie up a worker's attention or, if headers can be
//! held, a slot at the upstream.
//!
//! [`config`]: the document as written and as enforced. [`filter`]: one body.

pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::SlowClient;
