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
    ($($feature:literal: $root:ty,)+) => {
        $(#[cfg(feature = $feature)]
        type Chosen = $root;)+
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
    "connection-guard": Network<tidegate_connection_guard::ConnectionGuard>,
    "degradation": Http<tidegate_degradation::Degradation>,
    "header-limit": Http<tidegate_header_limit::HeaderLimit>,
    "input-limit": Http<tidegate_input_limit::InputLimit>,
    "rate-limit": Http<tidegate_rate_limit::RateLimit>,
    "retry-budget": Http<tidegate_retry_budget::RetryBudget>,
    "slow-client": Http<tidegate_slow_client::SlowClient>,
    "tidegate": Http<tidegate_composite::Tidegate>,
    "store-contract": Http<tidegate_store_contract::StoreContract>,
    "task-contract": Http<tidegate_task_contract::TaskContract>,
}

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Chosen::new()));
}}
