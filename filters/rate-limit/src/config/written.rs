//! The document as an operator writes it. Its shape is checked here; whether it can be enforced, in
//! [`Config::read`](super::Config::read).

use serde::Deserialize;
use tidegate_config::FailureMode;
use tidegate_config::list::List;
use tidegate_config::range::{Count, GIB, MIB, Size};
use tidegate_config::text::RuleName;
use tidegate_limits::attempt::RawRetryHeaders;
use tidegate_limits::charges::MAX_RULES;
use tidegate_limits::client::{AddressSource, RawSource};
use tidegate_limits::written::{Exceed, RawAmount, RawCondition, RawRule};
use tidegate_policy::slots::Table;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    /// The limits. Every one that applies to a request must admit it; a request that one refuses is charged to none.
    pub(super) limits: List<RawLimit, 1, MAX_RULES>,
    /// How clients are told apart: the first of these headers, or `address`, that a request has. By default the key where
    /// the API reads it, then the address.
    pub(super) client: Option<Vec<RawSource>>,
    /// Which address is a client's, and how much of it counts.
    pub(super) address: Option<AddressSource>,
    /// What no limit charges: up to 256 networks (`10.0.0.0/8`), paths, and `preflight`, a browser's CORS preflight. A path
    /// that ends in `/` stands for all beneath it. A list replaces the default, `[/health, /metrics, preflight]`.
    pub(super) exempt: Option<Vec<String>>,
    /// Memory for the table of buckets, of Envoy's and for all workers together. Raise it if the `evicted` or `overflowed`
    /// counters grow; a change starts a new table.
    #[serde(default)]
    pub(super) memory: Size<{ Table::MIN_BYTES }, GIB, { 16 * MIB }>,
    /// How many requests one worker may delay at a time. Beyond it, `delay` refuses.
    #[serde(default)]
    pub(super) max_held: Count<1, 65_536, 128>,
    /// Where a limit needs the model, hold the request until its body has told it, so that a refused one costs the upstream
    /// nothing. Needs `allow_on_headers_stop_iteration: true` in Envoy's PluginConfig, without which such requests hang.
    #[serde(default)]
    pub(super) hold_headers: bool,
    /// What happens where a limit cannot be decided, because every race for its bucket was lost or its set of the table had
    /// no room. The other limits hold.
    #[serde(default)]
    pub(super) failure_mode: FailureMode,
    /// Whether responses to admitted requests carry the `x-ratelimit-*` headers, too.
    #[serde(default = "yes")]
    pub(super) headers_on_admitted: bool,
    /// Whether responses carry the IETF's `RateLimit-Policy` and `RateLimit` headers as well.
    #[serde(default)]
    pub(super) ietf_headers: bool,
    /// Headers in which clients count their attempts, as for `retry-budget`: a first attempt that is refused and told to come
    /// back is no retry for it when it does.
    pub(super) retry_headers: Option<RawRetryHeaders>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimit {
    /// The name, once in the list: part of responses, metrics and the access log. The state of a bucket belongs to it.
    name: RuleName,
    /// One bucket for each different value of all of these: `client`, `address`, `model`, `path`, `method`,
    /// `header:<name>`. `[]` is one bucket for all, which nothing can evict.
    per: Vec<String>,
    /// The size of a bucket.
    requests: RawAmount,
    /// The requests that the limit applies to; by default all.
    #[serde(default)]
    when: RawCondition,
    /// Whether a request beyond the limit is refused (`reject`, the default), or held until its token is there if that is
    /// soon enough (`{delay: 2s}`).
    #[serde(default)]
    exceed: Exceed,
    /// Decide and count, and refuse nobody.
    #[serde(default)]
    shadow: bool,
    /// Buckets of another size for some clients. Only where `per` names `client` and clients are known by a key.
    #[serde(default)]
    overrides: Vec<RawOverride>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOverride {
    /// The SHA-256 of the client's key, as 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    sha256: String,
    /// The size of its bucket.
    requests: RawAmount,
}

fn yes() -> bool {
    true
}

impl From<RawLimit> for RawRule {
    fn from(raw: RawLimit) -> Self {
        let RawLimit { name, per, requests, when, exceed, shadow, overrides } = raw;
        let overrides = overrides.into_iter().map(|own| (own.sha256, own.requests)).collect();
        Self { name, per, amount: requests, when, exceed, shadow, overrides }
    }
}
