//! The port between plugins and the proxy they run in: what each may ask ([`plugin`], [`store`]), what an HTTP filter
//! sees ([`exchange`], [`headers`], [`attempt`], [`protocol`], [`tunnel`], [`scan`]) and answers ([`reply`], [`wait`]),
//! what a network filter does ([`connection`]), by what clients and requests are known ([`client`], [`route`]), and how a
//! configured plugin is described (`describe`). Nothing here knows proxy-wasm; the `module` crate is one implementation,
//! [`fake`] another.

pub mod attempt;
pub mod client;
pub mod connection;
#[cfg(feature = "describe")]
pub mod describe;
pub mod exchange;
#[cfg(feature = "fake")]
pub mod fake;
pub mod headers;
pub mod metrics;
pub mod network;
pub mod plugin;
pub mod protocol;
pub mod reply;
pub mod route;
pub mod scan;
pub mod store;
pub mod tunnel;
pub mod wait;
