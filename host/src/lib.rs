//! The port between plugins and the proxy they run in: what each may ask ([`plugin`], [`store`]), what an HTTP filter
//! sees ([`exchange`], [`headers`], [`protocol`], [`tunnel`], [`bodies`]) and answers ([`reply`],
//! [`retry_after`], [`wait`]), what a network filter does ([`connection`]), what a plugin does on a worker without a stream
//! ([`task`]), whom it may call ([`call`]) and who of many leads ([`election`]), and how a configured plugin is described
//! (`describe`). Nothing here knows proxy-wasm; the `module` crate is one implementation, [`fake`] another.

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
