//! Fallbacks for a cluster that fails or saturates. In order of preference: the real response to a reduced request,
//! the last good response to the same question, or a default response that the client's SDK understands. Degraded
//! responses carry `x-tidegate-degraded`.
//!
//! [`config`]: the document as written and as enforced. [`asked`] and [`caller`]: the relevant facts about a request.
//! [`filter`]: one exchange, and [`response`], its second half. [`worker`]: the state shared by all exchanges of a
//! worker. They wire four parts: [`breaker`], [`deadline`], [`reduce`] and [`fallback`].

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
