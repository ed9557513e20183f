//! The document as an operator writes it. That it has this shape says nothing yet of whether it can be enforced.

use super::scope::RawScope;
use serde::Deserialize;
use tidegate_host::notation::{Whole, WrittenRate, WrittenRatio, WrittenSize, WrittenSpan};
use tidegate_limits::client::{AddressSource, RawSource};

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) timeout: Option<WrittenSpan>,
    #[serde(default)]
    pub(super) timeouts: Vec<RawTimeout>,
    #[serde(default)]
    pub(super) models: Vec<String>,
    #[serde(default)]
    pub(super) breaker: RawBreaker,
    #[serde(default)]
    pub(super) tiers: RawTiers,
    #[serde(default)]
    pub(super) hints: RawHints,
    #[serde(default)]
    pub(super) opt_out: Vec<RawHeader>,
    pub(super) client: Option<Vec<RawSource>>,
    pub(super) address: Option<AddressSource>,
    #[serde(default)]
    pub(super) hold_headers: bool,
    pub(super) max_held: Option<Whole>,
    #[serde(default)]
    pub(super) shadow: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTimeout {
    pub(super) path_prefix: Option<String>,
    pub(super) model: Option<String>,
    pub(super) timeout: WrittenSpan,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawBreaker {
    pub(super) window: Option<WrittenSpan>,
    pub(super) min_requests: Option<Whole>,
    pub(super) error_ratio: Option<WrittenRatio>,
    pub(super) slow: Option<RawSlow>,
    pub(super) open_for: Option<WrittenSpan>,
    pub(super) max_open_for: Option<WrittenSpan>,
    pub(super) probes: Option<Whole>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSlow {
    pub(super) after: WrittenSpan,
    pub(super) ratio: WrittenRatio,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTiers {
    pub(super) reduce: Option<RawReduce>,
    pub(super) cached: Option<RawCached>,
    #[serde(default)]
    pub(super) default: RawDefault,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawReduce {
    pub(super) at: Option<RawAt>,
    pub(super) leave: Option<WrittenRatio>,
    pub(super) hold: Option<WrittenSpan>,
    pub(super) force: Option<bool>,
    pub(super) clamp_completion_tokens: Option<Whole>,
    #[serde(default)]
    pub(super) drop: Vec<String>,
    #[serde(default)]
    pub(super) refuse_paths: Vec<String>,
    pub(super) model: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCached {
    pub(super) at: Option<RawAt>,
    pub(super) leave: Option<WrittenRatio>,
    pub(super) hold: Option<WrittenSpan>,
    pub(super) force: Option<bool>,
    pub(super) ttl: Option<WrittenSpan>,
    pub(super) fresh: Option<WrittenSpan>,
    pub(super) max_entries: Option<Whole>,
    pub(super) max_entry: Option<WrittenSize>,
    pub(super) scope: Option<RawScope>,
    pub(super) vary: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefault {
    pub(super) at: Option<RawAt>,
    pub(super) leave: Option<WrittenRatio>,
    pub(super) hold: Option<WrittenSpan>,
    pub(super) force: Option<bool>,
    pub(super) status: Option<Whole>,
    pub(super) message: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawAt {
    pub(super) error_ratio: Option<WrittenRatio>,
    pub(super) slow_ratio: Option<WrittenRatio>,
    pub(super) overload_ratio: Option<WrittenRatio>,
    pub(super) request_rate: Option<WrittenRate>,
    pub(super) first_byte: Option<WrittenSpan>,
    pub(super) total: Option<WrittenSpan>,
    pub(super) anomalous: Option<Whole>,
    #[serde(default)]
    pub(super) breaker: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawHints {
    pub(super) base: Option<WrittenSpan>,
    pub(super) max: Option<WrittenSpan>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawHeader {
    pub(super) header: String,
    pub(super) value: Option<String>,
}
