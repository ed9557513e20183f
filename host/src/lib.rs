//! The port between plugins and the proxy they run in: what each may ask ([`plugin`], [`store`]), what an HTTP filter
//! sees ([`exchange`], [`headers`], [`protocol`], [`tunnel`], [`scan`]) and answers ([`reply`], [`wait`]),
//! what a network filter does ([`connection`]), and what
//! their configurations are made of ([`config`], [`notation`]) and told as (`describe`). Nothing here knows proxy-wasm; the
//! `module` crate is one implementation, [`fake`] another.

pub mod config;
pub mod connection;
#[cfg(feature = "describe")]
pub mod describe;
pub mod exchange;
#[cfg(feature = "fake")]
pub mod fake;
pub mod headers;
pub mod notation;
pub mod plugin;
pub mod protocol;
pub mod reply;
pub mod scan;
pub mod shadow;
pub mod store;
pub mod tunnel;
pub mod wait;
