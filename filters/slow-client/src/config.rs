//! From the document as written to a rule that can be enforced. Everything has a default that protects.

use serde::Deserialize;
use tidegate_config::notation::{Whole, WrittenByteRate, WrittenSize, WrittenSpan};
use tidegate_config::{ConfigError, parse};
use tidegate_policy::body_rate::{BodyRule, TinyChunks};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    body: RawBody,
    tiny_chunks: Option<RawTinyChunks>,
    #[serde(default)]
    hold_headers: bool,
    #[serde(default)]
    shadow: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawBody {
    grace: Option<WrittenSpan>,
    min_rate: Option<WrittenByteRate>,
    timeout: Option<WrittenSpan>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawTinyChunks {
    window: Whole,
    min_average: WrittenSize,
}

/// Everything that can be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is too slow.
    pub rule: BodyRule,
    /// Whether the request is held until its body is complete.
    pub hold_headers: bool,
    /// Whether it only counts.
    pub shadow: bool,
}

impl Config {
    /// From a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let Raw { body, tiny_chunks, hold_headers, shadow } = parse(document)?;
        let tiny = tiny_chunks.unwrap_or(RawTinyChunks { window: Whole(64), min_average: WrittenSize(16) });
        Ok(Self {
            rule: BodyRule {
                grace: span(body.grace, 5 * SECOND, "body.grace")?,
                min_rate: within(
                    u64::from(body.min_rate.map_or(500, |rate| rate.0)),
                    1,
                    1 << 30,
                    "body.min_rate",
                )?,
                timeout: span(body.timeout, 60 * SECOND, "body.timeout")?,
                tiny_chunks: Some(TinyChunks {
                    window: within(u64::from(tiny.window.0), 1, 65_536, "tiny_chunks.window")?,
                    min_average: within(tiny.min_average.0, 0, 65_536, "tiny_chunks.min_average")?,
                })
                .filter(|tiny| tiny.min_average > 0),
            },
            hold_headers,
            shadow,
        })
    }
}

fn span(written: Option<WrittenSpan>, default: u64, path: &str) -> Result<u64, ConfigError> {
    let Some(WrittenSpan(span)) = written else { return Ok(default) };
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    if !(1..=DAY).contains(&nanos) {
        return Err(ConfigError::new(path, format!("found {span:?}, accepted is 1ms to 24h")));
    }
    Ok(nanos)
}

fn within(found: u64, least: u32, most: u32, path: &str) -> Result<u32, ConfigError> {
    let number = u32::try_from(found).ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| ConfigError::new(path, format!("found {found}, accepted is {least} to {most}")))
}

/// The JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}
