//! The parts of a rule as an operator writes them. They have the right shape, but are not known to be enforceable.

use crate::when::{Methods, RawHeader, RawNot, RawWhen};
use core::fmt;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use tidegate_config::range::{ANY, Count, SECOND, Span};
use tidegate_config::rate::Rate;
use tidegate_config::text::{PathPrefix, RuleName};

/// A rule as written, whatever it counts.
pub struct RawRule {
    /// Its name.
    pub name: RuleName,
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
#[serde(default, deny_unknown_fields)]
pub struct RawCondition {
    /// Applies to requests on and beneath this path, without percent-encoding, dot segments or repeated slashes: `/v1` is
    /// `/v1` and `/v1/…`, not `/v10`. By default to all.
    path_prefix: Option<PathPrefix>,
    /// Applies to requests of these methods, in capitals. By default to all.
    methods: Option<Methods>,
    /// Applies to requests that have all of these headers.
    headers: Vec<RawHeader>,
    /// Applies to requests from these networks (`10.0.0.0/8`, `::1`), at most 256, as `address` tells where they come from.
    /// By default from all.
    addresses: Option<Vec<String>>,
    /// Does not apply to requests of which all that is written here is true.
    not: Option<RawNot>,
    /// Applies to requests whose path or body names such a model: one name, or a list of up to 256. A `*` at its end stands
    /// for any end; the empty name is that of a request that names none. By default to all.
    model: Option<RawModels>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "a model's name, such as \"deepseek-r1\" or \"deepseek-*\", or a list of them")]
enum RawModels {
    One(String),
    Several(Vec<String>),
}

impl RawCondition {
    /// Returns the conditions on a request's head, and those on its model.
    pub(crate) fn parts(self) -> (RawWhen, Option<Vec<String>>) {
        let Self { path_prefix, methods, headers, addresses, not, model } = self;
        let names = model.map(|model| match model {
            RawModels::One(name) => vec![name],
            RawModels::Several(names) => names,
        });
        (RawWhen { path_prefix, methods, headers, addresses, not }, names)
    }
}

/// The size of a bucket.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawAmount {
    /// How fast the bucket refills.
    pub(crate) rate: Rate<1_000_000>,
    /// How much the bucket holds. It must refill within 31 days.
    pub(crate) burst: Count<1, ANY>,
}

/// The maximum time for which a request is held.
pub type Delay = Span<1, { 60 * SECOND }>;

/// The treatment of a request above the limit.
#[derive(Clone, Copy, Default)]
pub enum Exceed {
    /// The request is refused.
    #[default]
    Reject,
    /// The request is held until its turn, for at most this long.
    Delay(Delay),
}

impl<'de> Deserialize<'de> for Exceed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Own {
            delay: Delay,
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
                Own::deserialize(MapAccessDeserializer::new(map)).map(|written| Exceed::Delay(written.delay))
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
        let mut delay = generator.subschema_for::<Delay>();
        delay.insert(
            "description".to_owned(),
            "How long a request may be held. Those held go on in order.".into(),
        );
        let reject = schemars::json_schema!({ "const": "reject" });
        tidegate_config::schema::text_or_object(reject, "delay", delay)
    }
}
