//! The list of filters, in the order in which a request passes them. Everything that depends on the set of filters is
//! derived from it: the modules, the composite, the catalogue of `check`, the tests' chains and, through `generate`,
//! the shipped files.
//!
//! A line is `kind "root-id" key: type`. The kind is `network` for a filter in front of the HTTP codec and `http` for
//! the others. The root id is also the name of the folder under `filters/`, of the feature of `module/` and of the
//! product in `dist/`; the key names the filter in the composite's document and in metrics.

/// Passes the list to the macro `$then`, after the tokens `$arguments`.
#[macro_export]
macro_rules! each_filter {
    ($then:path $(, $($arguments:tt)*)?) => {
        $then! {
            $($($arguments)*)?
            network "connection-guard" connection_guard: tidegate_connection_guard::ConnectionGuard,
            http "header-limit" header_limit: tidegate_header_limit::HeaderLimit,
            http "rate-limit" rate_limit: tidegate_rate_limit::RateLimit,
            http "slow-client" slow_client: tidegate_slow_client::SlowClient,
            http "input-limit" input_limit: tidegate_input_limit::InputLimit,
            http "retry-budget" retry_budget: tidegate_retry_budget::RetryBudget,
            http "degradation" degradation: tidegate_degradation::Degradation,
        }
    };
}

/// Passes the HTTP filters of the list to the macro `$then`, each as `key: type`.
#[macro_export]
macro_rules! each_http_filter {
    ($then:path) => {
        $crate::each_filter!($crate::only_http, $then; []);
    };
}

/// Keeps the HTTP filters of a list.
#[doc(hidden)]
#[macro_export]
macro_rules! only_http {
    ($then:path; [$($kept:tt)*] network $root_id:literal $key:ident: $filter:path, $($rest:tt)*) => {
        $crate::only_http! { $then; [$($kept)*] $($rest)* }
    };
    ($then:path; [$($kept:tt)*] http $root_id:literal $key:ident: $filter:path, $($rest:tt)*) => {
        $crate::only_http! { $then; [$($kept)* $key: $filter,] $($rest)* }
    };
    ($then:path; [$($kept:tt)*]) => {
        $then! { $($kept)* }
    };
}

macro_rules! listed {
    ($($kind:ident $root_id:literal $key:ident: $filter:path,)+) => {
        /// Every filter, in the order in which a request passes them.
        pub const FILTERS: [Listed; [$($root_id),+].len()] =
            [$(Listed { kind: Kind::$kind, root_id: $root_id, key: stringify!($key) }),+];
    };
}

/// An entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Position relative to the HTTP codec.
    pub kind: Kind,
    /// Name of the filter's module, folder and feature, such as `rate-limit`.
    pub root_id: &'static str,
    /// Key in the composite's document, such as `rate_limit`.
    pub key: &'static str,
}

/// The position of a filter relative to the HTTP codec.
#[allow(non_camel_case_types, reason = "spelt as in the list")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In front of the codec: sees the bytes of connections.
    network,
    /// After the codec: sees requests and their responses.
    http,
}

/// Returns the HTTP filters, which are those of the composite.
pub fn http_filters() -> impl Iterator<Item = Listed> {
    FILTERS.into_iter().filter(|filter| filter.kind == Kind::http)
}

each_filter!(listed);
