//! The filters as proxy-wasm modules: the only crate that knows proxy-wasm. A Cargo feature chooses the filter
//! that the module holds.
//!
//! [`root`] and [`stream`] turn a filter into proxy-wasm contexts, [`exchange`] is the port that it sees, [`timer`]
//! wakes streams; [`hostcalls`] holds every call to the proxy, and [`ffi`] those that the SDK does not make as
//! they are needed here.

#![allow(missing_docs, reason = "the SDK's macro exports a function without any")]

mod exchange;
mod ffi;
mod hostcalls;
mod root;
mod stream;
mod timer;

macro_rules! choose {
    ($($feature:literal: $filter:ty,)+) => {
        $(#[cfg(feature = $feature)]
        type Chosen = $filter;)+
        #[cfg(not(any($(feature = $feature),+)))]
        compile_error!(concat!("choose the filter by a feature:" $(, " ", $feature)+));
        choose!(one of $($feature)+);
    };
    (one of $first:literal $($other:literal)*) => {
        $(#[cfg(all(feature = $first, feature = $other))]
        compile_error!(concat!("choose one filter, not both ", $first, " and ", $other));)*
        choose!(one of $($other)*);
    };
    (one of) => {};
}

choose! {
    "header-limit": tidegate_header_limit::HeaderLimit,
    "rate-limit": tidegate_rate_limit::RateLimit,
    "slow-client": tidegate_slow_client::SlowClient,
    "store-contract": tidegate_store_contract::StoreContract,
}

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::<Chosen>::default()));
}}
