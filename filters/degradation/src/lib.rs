//! When the cluster fails or saturates, clients get, in this order: the real answer of a smaller job, the last good
//! answer to the same question, a default answer that their SDK understands. What is degraded says so in
//! `x-tidegate-degraded`.
//!
//! [`config`]: what an operator writes, and what can be enforced. [`gate`]: how the cluster is, and whether a
//! request may reach it. [`caller`]: who asks for what. [`asked`]: what a request's head and
//! body say that counts for its answer. [`reduce`], [`cache`] and [`fallback`]: the three tiers. [`collect`], [`good`],
//! [`kept`]: which answers are kept, and given again when. [`answer`]: what clients are sent. [`worker`]: what all exchanges
//! of a worker share.
//! [`filter`]: one exchange, and [`response`] its second half.

pub mod answer;
pub mod asked;
pub mod cache;
pub mod caller;
pub mod collect;
pub mod condition;
pub mod config;
#[cfg(feature = "describe")]
pub mod describe;
pub mod fallback;
pub mod filter;
pub mod gate;
pub mod good;
pub mod kept;
pub mod metrics;
pub mod reduce;
mod response;
pub mod worker;

pub use filter::Degradation;
