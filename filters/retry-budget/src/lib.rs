//! Retries, of clients and of the proxy, within what first attempts pay for.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`filter`]: one exchange against it. [`accounts`]:
//! whose budgets it draws on, and how, in the shared store. [`silent`]: which attempt a request is that does not say.
//! [`answer`]: what clients are told.

pub mod accounts;
pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;
pub mod silent;

pub use filter::RetryBudget;
