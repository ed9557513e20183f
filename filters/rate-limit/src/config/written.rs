//! The document as an operator writes it. That it has this shape says nothing yet of whether it can be enforced.

use super::MAX_LIMITS;
use core::fmt;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use tidegate_config::FailureMode;
use tidegate_config::list::List;
use tidegate_config::range::{ANY, Count, GIB, MIB, SECOND, Size, Span};
use tidegate_config::rate::Rate;
use tidegate_config::text::{PathPrefix, RuleName};
use tidegate_host::attempt::RawRetryHeaders;
use tidegate_host::client::{AddressSource, RawSource};
use tidegate_host::route::{Methods, RawHeader, RawNot, RawWhen};
use tidegate_policy::slots::Table;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    /// The limits. Every one that applies to a request must admit it; a request that one refuses is charged to none.
    pub(super) limits: List<RawLimit, 1, MAX_LIMITS>,
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
    pub(super) name: RuleName,
    /// One bucket for each different value of all of these: `client`, `address`, `model`, `path`, `method`,
    /// `header:<name>`. `[]` is one bucket for all, which nothing can evict.
    pub(super) per: Vec<String>,
    /// The size of a bucket.
    pub(super) requests: RawRequests,
    /// The requests that the limit applies to; by default all.
    #[serde(default)]
    pub(super) when: RawCondition,
    /// Whether a request beyond the limit is refused (`reject`, the default), or held until its token is there if that is
    /// soon enough (`{delay: 2s}`).
    #[serde(default)]
    pub(super) exceed: Exceed,
    /// Decide and count, and refuse nobody.
    #[serde(default)]
    pub(super) shadow: bool,
    /// Buckets of another size for some clients. Only where `per` names `client` and clients are known by a key.
    #[serde(default)]
    pub(super) overrides: Vec<RawOverride>,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCondition {
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
    /// How fast the bucket refills.
    pub(super) rate: Rate<1_000_000>,
    /// How many requests the bucket holds. It must refill within 31 days.
    pub(super) burst: Count<1, ANY>,
}

/// How long a request may be held.
pub(super) type Delay = Span<1, { 60 * SECOND }>;

#[derive(Clone, Copy, Default)]
pub(super) enum Exceed {
    #[default]
    Reject,
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

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawOverride {
    /// The SHA-256 of the client's key, as 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    pub(super) sha256: String,
    /// The size of its bucket.
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
        let mut delay = generator.subschema_for::<Delay>();
        delay.insert(
            "description".to_owned(),
            "How long a request may be held. Those held go on in order.".into(),
        );
        let reject = schemars::json_schema!({ "const": "reject" });
        tidegate_config::schema::text_or_object(reject, "delay", delay)
    }
}
