//! The clients that a cached response may be sent to. If a gateway sends one key for all its users, or clients of an
//! open server make up their keys, the key does not identify a user: then headers that the gateway sets do.

use core::fmt;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use tidegate_config::list::List;
use tidegate_config::text::HeaderName;

const MAX_HEADERS: usize = 8;

/// The clients that a cached response may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All clients.
    Shared,
    /// The client that it was first sent to, and only to those users of its key for which all of these headers have
    /// the same value.
    Client(Vec<Vec<u8>>),
}

/// As written: `client`, `shared`, or `{headers: [...]}`.
#[derive(Clone, Debug)]
pub(super) enum RawScope {
    Client,
    Shared,
    Headers(List<HeaderName, 1, MAX_HEADERS>),
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Client,
    Shared,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    headers: List<HeaderName, 1, MAX_HEADERS>,
}

impl Scope {
    /// Returns true if all clients share cached responses.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Shared)
    }

    /// Returns the headers that separate users of one key, in lower case.
    pub fn headers(&self) -> &[Vec<u8>] {
        match self {
            Self::Shared => &[],
            Self::Client(headers) => headers,
        }
    }

    pub(super) fn new(raw: Option<RawScope>) -> Self {
        match raw {
            Some(RawScope::Shared) => Self::Shared,
            Some(RawScope::Client) | None => Self::Client(Vec::new()),
            Some(RawScope::Headers(names)) => {
                Self::Client(names.iter().map(|name| name.in_lower_case()).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for RawScope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = RawScope;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("client, shared, or {headers: [names]}")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<RawScope, E> {
                Named::deserialize(StrDeserializer::new(name)).map(|name| match name {
                    Named::Client => RawScope::Client,
                    Named::Shared => RawScope::Shared,
                })
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawScope, M::Error> {
                Own::deserialize(MapAccessDeserializer::new(map)).map(|own| RawScope::Headers(own.headers))
            }
        }
        from.deserialize_any(Written)
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for RawScope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = schemars::json_schema!({ "type": "string", "enum": ["client", "shared"] });
        let mut names = generator.subschema_for::<List<HeaderName, 1, MAX_HEADERS>>();
        names.insert(
            "description".to_owned(),
            "Headers that tell apart clients that share a key. A gateway sets them.".into(),
        );
        tidegate_config::schema::text_or_object(name, "headers", names)
    }
}
