//! The port between filters and the proxy they run in: what a filter may ask ([`exchange`], [`store`],
//! [`headers`]), how it answers ([`reply`]), and what its configuration is made of ([`config`], [`notation`],
//! [`client`]). Nothing here knows proxy-wasm; the `module` crate is one implementation, [`fake`] another.

pub mod client;
pub mod config;
pub mod exchange;
#[cfg(feature = "fake")]
pub mod fake;
pub mod headers;
pub mod notation;
pub mod reply;
pub mod store;
