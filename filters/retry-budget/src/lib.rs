//! Retries, of clients and of the proxy, within what first attempts pay for.
//!
//! [`config`]: what an operator writes, and what can be enforced.

pub mod config;
