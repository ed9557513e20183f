//! The port between plugins and the proxy that runs them: a plugin and its proxy ([`plugin`], [`store`],
//! [`metrics`]), HTTP filters ([`exchange`], [`headers`], [`protocol`], [`tunnel`], [`bodies`], [`scan`]) and their
//! responses ([`reply`], [`retry_after`], [`wait`]), network filters ([`connection`]), work on a worker outside of
//! any stream ([`task`], [`call`], [`election`]), and the description of a configured plugin (`describe`). Nothing
//! here depends on proxy-wasm; the `module` crate is one implementation, [`fake`] another.

pub mod bodies;
pub mod call;
pub mod connection;
#[cfg(feature = "describe")]
pub mod describe;
pub mod election;
pub mod exchange;
#[cfg(feature = "fake")]
pub mod fake;
pub mod headers;
pub mod metrics;
pub mod plugin;
pub mod protocol;
pub mod reply;
pub mod retry_after;
pub mod scan;
pub mod store;
pub mod task;
pub mod tunnel;
pub mod wait;
