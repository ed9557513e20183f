//! The document as an operator writes it. That it has this shape says nothing yet of whether it can be enforced.

use serde::Deserialize;
use tidegate_host::config::FailureMode;
use tidegate_host::notation::{Whole, WrittenRatio, WrittenSize, WrittenSpan};
use tidegate_limits::attempt::RawRetryHeader;
use tidegate_limits::client::{AddressSource, RawSource};

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) per: Option<Vec<String>>,
    pub(super) ttl: Option<WrittenSpan>,
    pub(super) ratio: Option<WrittenRatio>,
    pub(super) min_retries_per_second: Option<Whole>,
    pub(super) upstream: Option<RawUpstream>,
    #[serde(default)]
    pub(super) hints: RawHints,
    pub(super) retry_headers: Option<Vec<RawRetryHeader>>,
    pub(super) silent_retries: Option<RawSilentRetries>,
    pub(super) client: Option<Vec<RawSource>>,
    pub(super) address: Option<AddressSource>,
    pub(super) memory: Option<WrittenSize>,
    #[serde(default)]
    pub(super) failure_mode: FailureMode,
    #[serde(default)]
    pub(super) shadow: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    pub(super) retry_on: Option<String>,
    pub(super) max_retries: Option<Whole>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) headers: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawHints {
    pub(super) base: Option<WrittenSpan>,
    pub(super) max: Option<WrittenSpan>,
    pub(super) attempts: Option<Whole>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawSilentRetries {
    pub(super) window: WrittenSpan,
    #[serde(default)]
    pub(super) hold_headers: bool,
    pub(super) memory: Option<WrittenSize>,
}
