//! The conversion of the document as written into an enforceable rule. Every key has a default that protects.

use serde::Deserialize;
use tidegate_config::range::{ByteRate, Count, DAY, GIB, SECOND, Size, Span};
use tidegate_config::{ConfigError, parse};
use tidegate_policy::body_rate::{BodyRule, TinyChunks};

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Raw {
    /// How slowly a request body may arrive. A body that breaks one of these is answered 408.
    body: RawBody,
    /// A body that arrives in chunks this small is answered 408: every chunk costs a worker as much as a large one.
    #[serde(default = "usual_chunks")]
    tiny_chunks: Option<RawTinyChunks>,
    /// Hold each request until its body is complete, so that a slow one costs the upstream nothing. Needs
    /// `allow_on_headers_stop_iteration: true` in Envoy's PluginConfig; without it every request with a body waits for
    /// the 408.
    hold_headers: bool,
    /// Count slow bodies and answer none of them, to try out limits on live traffic.
    shadow: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct RawBody {
    /// How long a body may fall short of `min_rate`, at its beginning and in every pause. Raise it for clients on
    /// connections that stall.
    grace: Span<1, DAY, { 5 * SECOND }>,
    /// The rate below which a body is too slow.
    min_rate: ByteRate<1, GIB, 500>,
    /// How long a whole body may take. Allow at least the size of the largest honest upload divided by `min_rate`.
    timeout: Span<1, DAY, { 60 * SECOND }>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
struct RawTinyChunks {
    /// The number of chunks over which their average size is taken.
    window: Count<1, 65_536>,
    /// The average size of a chunk below which a body is refused. `0B` turns the rule off.
    min_average: Size<0, 65_536>,
}

fn usual_chunks() -> Option<RawTinyChunks> {
    Some(RawTinyChunks::default())
}

impl Default for RawTinyChunks {
    fn default() -> Self {
        Self { window: Count::of::<64>(), min_average: Size::of::<16>() }
    }
}

/// The enforceable configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Minimum pace of a body.
    pub rule: BodyRule,
    /// True if the request is held until its body is complete.
    pub hold_headers: bool,
    /// True in shadow mode.
    pub shadow: bool,
}

impl Config {
    /// Parses a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let Raw { body, tiny_chunks, hold_headers, shadow } = parse(document)?;
        let RawTinyChunks { window, min_average } = tiny_chunks.unwrap_or_default();
        let min_average = u32::try_from(min_average.get()).unwrap_or(u32::MAX);
        Ok(Self {
            rule: BodyRule {
                grace: body.grace.nanos(),
                min_rate: body.min_rate.number(),
                timeout: body.timeout.nanos(),
                tiny_chunks: Some(TinyChunks { window: window.number(), min_average })
                    .filter(|tiny| tiny.min_average > 0),
            },
            hold_headers,
            shadow,
        })
    }
}

/// Returns the JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}
