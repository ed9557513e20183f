//! The parts of a rule as an operator writes them. That they have this shape does not say that they can be enforced.

use crate::when::{RawHeader, RawNot, RawWhen};
use core::fmt;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use tidegate_host::notation::{Whole, WrittenRate, WrittenSpan};

/// A rule as written, whatever it counts.
pub struct RawRule {
    /// Its name.
    pub name: String,
    /// What it counts by.
    pub per: Vec<String>,
    /// The bucket of a client that has none of its own.
    pub amount: RawAmount,
    /// The requests that it applies to.
    pub when: RawCondition,
    /// What happens to a request that is too much.
    pub exceed: Exceed,
    /// Whether it only counts.
    pub shadow: bool,
    /// The buckets of named clients: the SHA-256 of a key, in hexadecimal digits, and its amount.
    pub overrides: Vec<(String, RawAmount)>,
}

/// `when:` as written, where a rule can apply to models too.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawCondition {
    path_prefix: Option<String>,
    methods: Option<Vec<String>>,
    #[serde(default)]
    headers: Vec<RawHeader>,
    addresses: Option<Vec<String>>,
    not: Option<RawNot>,
    model: Option<RawModels>,
}

/// One model's name, or several.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a model's name, such as \"deepseek-r1\" or \"deepseek-*\", or a list of them")]
pub enum RawModels {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl RawCondition {
    /// What a request's head tells, and what its body does.
    pub(crate) fn parts(self) -> (RawWhen, Option<Vec<String>>) {
        let Self { path_prefix, methods, headers, addresses, not, model } = self;
        let names = model.map(|model| match model {
            RawModels::One(name) => vec![name],
            RawModels::Several(names) => names,
        });
        (RawWhen { path_prefix, methods, headers, addresses, not }, names)
    }
}

/// How much is admitted.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawAmount {
    pub(crate) rate: WrittenRate,
    pub(crate) burst: Whole,
}

/// What happens to a request that is too much.
#[derive(Clone, Copy, Default)]
pub enum Exceed {
    /// It is refused.
    #[default]
    Reject,
    /// It is held until its turn, if that comes within so long.
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
