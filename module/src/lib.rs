//! The filters as proxy-wasm modules: the only crate that knows proxy-wasm. A Cargo feature chooses the filter
//! that the module holds.
//!
//! [`root`] turns a filter into proxy-wasm contexts, [`exchange`] is the port that it sees, [`timer`] lets held
//! requests go; [`hostcalls`] holds every call to the proxy, and [`ffi`] those that the SDK does not make
//! as they are needed here.

#![allow(missing_docs, reason = "the SDK's macro exports a function without any")]

mod exchange;
mod ffi;
mod hostcalls;
mod root;
mod timer;

#[cfg(all(feature = "rate-limit", not(feature = "store-contract")))]
type Chosen = tidegate_rate_limit::RateLimit;
#[cfg(feature = "store-contract")]
type Chosen = tidegate_store_contract::StoreContract;
#[cfg(not(any(feature = "rate-limit", feature = "store-contract")))]
compile_error!("choose the filter by a feature: rate-limit");

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::<Chosen>::default()));
}}
