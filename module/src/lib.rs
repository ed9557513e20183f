//! The filters as proxy-wasm modules; the only crate that depends on proxy-wasm. A Cargo feature selects the plugin
//! of the module, and with it the adapter, `http` or `network`.
//!
//! [`root`] turns a plugin into proxy-wasm contexts: `stream` for an HTTP filter, which sees an `exchange`, and
//! `connection` for a network filter. [`task`] runs a plugin's task, which makes [`calls`] to upstreams and may
//! [`wake`] other workers. All of them share [`proxy`] and [`worker`]; [`timer`] wakes them. [`hostcalls`] contains
//! every call to the proxy, [`ffi`] those that the SDK does not offer in the required form.

#![allow(missing_docs, reason = "the SDK's macro exports a function without any")]

mod calls;
#[cfg(feature = "network")]
mod connection;
#[cfg(feature = "http")]
mod exchange;
mod ffi;
mod hostcalls;
mod proxy;
mod root;
#[cfg(feature = "http")]
mod stream;
mod task;
mod timer;
mod wake;
mod worker;

#[cfg(feature = "http")]
use root::http::Http;
#[cfg(feature = "network")]
use root::network::Network;

macro_rules! choose {
    ($($kind:ident $feature:literal $key:ident: $plugin:path,)+) => {
        $(#[cfg(feature = $feature)]
        type Chosen = choose!($kind $plugin);)+
        #[cfg(not(any($(feature = $feature),+)))]
        compile_error!(concat!("choose the filter by a feature:" $(, " ", $feature)+));
        choose!(one of $($feature)+);
    };
    (network $guard:path) => { Network<$guard> };
    (http $filter:path) => { Http<$filter> };
    (one of $first:literal $($other:literal)*) => {
        $(#[cfg(all(feature = $first, feature = $other))]
        compile_error!(concat!("choose one filter, not both ", $first, " and ", $other));)*
        choose!(one of $($other)*);
    };
    (one of) => {};
}

tidegate_chain::each_filter!(choose,
    http "tidegate" tidegate: tidegate_composite::Tidegate,
    http "store-contract" store_contract: tidegate_store_contract::StoreContract,
    http "task-contract" task_contract: tidegate_task_contract::TaskContract,
);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Chosen::new()));
}}
