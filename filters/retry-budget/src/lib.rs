//! A budget for retries, of clients and of the proxy, in proportion to first attempts.
//!
//! [`config`]: the document as written and as enforced. [`filter`]: one exchange. [`accounts`]: the budgets of an
//! exchange in the shared store. [`silent`]: the attempt of a request that does not state it. [`answer`]: the retry
//! headers of responses.

pub mod accounts;
pub mod answer;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod filter;
pub mod silent;

pub use filter::RetryBudget;
