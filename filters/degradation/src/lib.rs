//! When the cluster fails or saturates, clients get, in this order: the real answer of a smaller job, the last good
//! answer to the same question, a default answer that their SDK understands. What is degraded says so in
//! `x-tidegate-degraded`.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`asked`] and [`caller`]: what a request says that counts
//! here. [`filter`]: one exchange, and [`response`] its second half; [`worker`]: what all exchanges of a worker share.
//! They wire four parts: [`breaker`], [`deadline`], [`reduce`] and [`fallback`].

pub mod asked;
pub mod breaker;
pub mod caller;
pub mod config;
pub mod deadline;
#[cfg(feature = "describe")]
pub mod describe;
pub mod fallback;
pub mod filter;
pub mod metrics;
pub mod reduce;
mod response;
pub mod worker;

pub use filter::Degradation;
