//! Connections that trickle their request heads, or that one address hoards, are closed before the HTTP codec has
//! spent anything on them.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one connection against it.

pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;

pub use filter::ConnectionGuard;
