//! The document as an operator writes it. Its shape is checked here; whether its parts are consistent, in
//! [`Config::read`](super::Config::read).

use super::retry_on::RetryOn;
use serde::Deserialize;
use tidegate_config::FailureMode;
use tidegate_config::list::List;
use tidegate_config::range::{Count, Fraction, GIB, KIB, MIB, ONE, SECOND, Size, Span};
use tidegate_config::text::{HeaderName, Method};
use tidegate_limits::attempt::RawRetryHeaders;
use tidegate_limits::client::{AddressSource, RawSource};

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    /// Whose budgets a retry draws on: each client's, each of Envoy's clusters', or both; then a retry needs balance in both.
    #[serde(default = "each_client")]
    pub(super) per: Option<List<Owner, 1, 2>>,
    /// How long a first attempt pays for retries.
    pub(super) ttl: Span<SECOND, { 60 * SECOND }, { 10 * SECOND }>,
    /// How many retries each first attempt pays for. The decimal counts exactly as it is written.
    pub(super) ratio: Fraction<0, { 10 * ONE }, { ONE / 5 }>,
    /// Retries per second that no first attempt pays for, in each budget. They come one at a time.
    pub(super) min_retries_per_second: Count<0, 10_000, 10>,
    /// Headers in which clients count their attempts, by default `x-stainless-retry-count` from 0, as the SDKs send it. The
    /// highest number of all counts; a value that is no number says nothing.
    pub(super) retry_headers: Option<RawRetryHeaders>,
    /// Detects retries of clients that do not announce them: the same JSON body, method, path and client as a request that
    /// failed shortly before. Off unless it is written. gRPC calls are never held, and count as first attempts.
    pub(super) silent_retries: Option<RawSilentRetries>,
    /// Has Envoy retry within the budgets. Envoy's retries are left to its routes unless this is written.
    pub(super) upstream: Option<RawUpstream>,
    /// When clients whose request failed are told to come back.
    pub(super) hints: RawHints,
    /// How clients are told apart: the first of these headers, or `address`, that a request has. By default the key where
    /// the API reads it, then the address.
    pub(super) client: Option<Vec<RawSource>>,
    /// Which address is a client's, and how much of it counts.
    pub(super) address: Option<AddressSource>,
    /// Memory for the budgets, of Envoy's and for all workers together; eight budgets take 780 bytes. Raise it if the
    /// `evicted` counter grows.
    pub(super) memory: Size<{ 64 * KIB }, GIB, { 16 * MIB }>,
    /// What happens to a retry whose budget cannot be read because every race for it was lost.
    pub(super) failure_mode: FailureMode,
    /// Count, and refuse and change nothing.
    pub(super) shadow: bool,
}

/// Who has a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub(super) enum Owner {
    Client,
    Cluster,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    /// Conditions on which Envoy retries, with commas between, for `x-envoy-retry-on`.
    #[serde(default = "usual_conditions")]
    pub(super) retry_on: Option<RetryOn>,
    /// How often Envoy retries one request, for `x-envoy-max-retries`: this, or the balance of the budget if that is less.
    #[serde(default)]
    pub(super) max_retries: Count<1, 10, 2>,
    /// Methods that are safe to repeat. Other requests get `x-envoy-max-retries: 0`.
    #[serde(default = "safe_methods")]
    pub(super) methods: Option<List<Method, 0, 64>>,
    /// Headers that say of any request that it is safe to repeat.
    #[serde(default = "safe_headers")]
    pub(super) headers: Option<List<HeaderName, 0, 64>>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHints {
    /// The first wait is a random part of this, at most `max`; each further attempt doubles it.
    pub(super) base: Span<1, { 60 * SECOND }, SECOND>,
    /// The longest wait. Clients that would have to wait longer are told not to retry.
    pub(super) max: Span<1, { 60 * SECOND }, { 60 * SECOND }>,
    /// After how many attempts a client is told not to retry.
    pub(super) attempts: Count<1, 100, 3>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSilentRetries {
    /// For how long after a failure the same request counts as its retry.
    pub(super) window: Span<1, { 600 * SECOND }>,
    /// Hold the request until its body has told which attempt it is, so that a refused retry costs the upstream nothing.
    /// Needs `allow_on_headers_stop_iteration: true` in Envoy's PluginConfig. Without it Envoy retries none of the requests
    /// whose body is awaited.
    #[serde(default)]
    pub(super) hold_headers: bool,
    /// Memory for failed requests, of Envoy's and for all workers together.
    #[serde(default)]
    pub(super) memory: Size<{ 64 * KIB }, GIB, { 4 * MIB }>,
}

pub(super) fn each_client() -> Option<List<Owner, 1, 2>> {
    List::of([Owner::Client])
}

pub(super) fn usual_conditions() -> Option<RetryOn> {
    RetryOn::new("connect-failure,refused-stream,reset")
}

pub(super) fn safe_methods() -> Option<List<Method, 0, 64>> {
    List::of(["GET", "HEAD", "OPTIONS"].into_iter().filter_map(Method::new))
}

pub(super) fn safe_headers() -> Option<List<HeaderName, 0, 64>> {
    List::of(HeaderName::new("idempotency-key"))
}
