//! The filters as proxy-wasm modules: the only crate that knows proxy-wasm. A Cargo feature chooses the filter
//! that the module holds.
//!
//! [`root`] turns a plugin into proxy-wasm contexts: [`stream`] an HTTP filter, which sees [`exchange`], and
//! [`connection`] a network filter; [`task`] runs what it does beside both, whose [`calls`] leave the proxy and whom others
//! [`wake`]. [`proxy`] and [`worker`] are what they share, [`timer`] wakes them; [`hostcalls`] holds every call to the proxy, and [`ffi`] those that the SDK does not make as they are needed here.

#![allow(
    dead_code,
    reason = "a module holds an HTTP filter or a network filter, this crate the adapters of both"
)]
#![allow(missing_docs, reason = "the SDK's macro exports a function without any")]

mod calls;
mod connection;
mod exchange;
mod ffi;
mod hostcalls;
mod proxy;
mod root;
mod stream;
mod task;
mod timer;
mod wake;
mod worker;

#[allow(unused_imports, reason = "one of them is chosen")]
use root::{Http, Network};

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
