//! The document as an operator writes it. That it has this shape says nothing yet of whether it can be enforced.

use core::fmt;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use tidegate_host::config::FailureMode;
use tidegate_host::notation::{Whole, WrittenRate, WrittenSize, WrittenSpan};
use tidegate_limits::attempt::RawRetryHeader;
use tidegate_limits::client::{AddressSource, RawSource};
use tidegate_limits::when::{RawHeader, RawNot, RawWhen};

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
    pub(super) name: String,
    pub(super) per: Vec<String>,
    pub(super) requests: RawRequests,
    #[serde(default)]
    pub(super) when: RawCondition,
    #[serde(default)]
    pub(super) exceed: Exceed,
    #[serde(default)]
    pub(super) shadow: bool,
    #[serde(default)]
    pub(super) overrides: Vec<RawOverride>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    path_prefix: Option<String>,
    methods: Option<Vec<String>>,
    #[serde(default)]
    headers: Vec<RawHeader>,
    addresses: Option<Vec<String>>,
    not: Option<RawNot>,
    model: Option<RawModels>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a model's name, such as \"deepseek-r1\" or \"deepseek-*\", or a list of them")]
pub(super) enum RawModels {
    One(String),
    Several(Vec<String>),
}

impl RawCondition {
    /// What a request's head tells, and what its body does.
    pub(super) fn parts(self) -> (RawWhen, Option<Vec<String>>) {
        let Self { path_prefix, methods, headers, addresses, not, model } = self;
        let names = model.map(|model| match model {
            RawModels::One(name) => vec![name],
            RawModels::Several(names) => names,
        });
        (RawWhen { path_prefix, methods, headers, addresses, not }, names)
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawRequests {
    pub(super) rate: WrittenRate,
    pub(super) burst: Whole,
}

#[derive(Clone, Copy, Default)]
pub(super) enum Exceed {
    #[default]
    Reject,
    Delay(WrittenSpan),
}

impl<'de> Deserialize<'de> for Exceed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Delay {
            delay: WrittenSpan,
        }
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Exceed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"reject\" or {\"delay\": \"2s\"}")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Exceed, E> {
                match text {
                    "reject" => Ok(Exceed::Reject),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Exceed, M::Error> {
                Delay::deserialize(MapAccessDeserializer::new(map))
                    .map(|written| Exceed::Delay(written.delay))
            }
        }
        from.deserialize_any(Written)
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOverride {
    pub(super) sha256: String,
    pub(super) requests: RawRequests,
}

fn yes() -> bool {
    true
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Exceed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Exceed".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let reject = schemars::json_schema!({ "const": "reject" });
        tidegate_host::describe::text_or_object(reject, "delay", generator.subschema_for::<WrittenSpan>())
    }
}
