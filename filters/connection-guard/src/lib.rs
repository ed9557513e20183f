//! Closes connections whose request heads trickle, and those of an address that opens too many, before the HTTP codec
//! has spent anything on them.
//!
//! [`config`]: the document as written and as enforced. [`filter`]: one connection.

pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::ConnectionGuard;
