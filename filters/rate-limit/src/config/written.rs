//! The document as an operator writes it. That it has this shape says nothing yet of whether it can be enforced.

use serde::Deserialize;
use tidegate_host::config::FailureMode;
use tidegate_host::notation::{Whole, WrittenSize};
use tidegate_limits::attempt::RawRetryHeader;
use tidegate_limits::client::{AddressSource, RawSource};
use tidegate_limits::written::{Exceed, RawAmount, RawCondition, RawRule};

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) limits: Vec<RawLimit>,
    pub(super) client: Option<Vec<RawSource>>,
    pub(super) address: Option<AddressSource>,
    pub(super) exempt: Option<Vec<String>>,
    pub(super) memory: Option<WrittenSize>,
    pub(super) max_held: Option<Whole>,
    #[serde(default)]
    pub(super) hold_headers: bool,
    #[serde(default)]
    pub(super) failure_mode: FailureMode,
    #[serde(default = "yes")]
    pub(super) headers_on_admitted: bool,
    #[serde(default)]
    pub(super) ietf_headers: bool,
    pub(super) retry_headers: Option<Vec<RawRetryHeader>>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimit {
    name: String,
    per: Vec<String>,
    requests: RawAmount,
    #[serde(default)]
    when: RawCondition,
    #[serde(default)]
    exceed: Exceed,
    #[serde(default)]
    shadow: bool,
    #[serde(default)]
    overrides: Vec<RawOverride>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOverride {
    sha256: String,
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
