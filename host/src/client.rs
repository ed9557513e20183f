//! How a client is known: by the first of a list of sources that is present and that only one client can mean.
//! A header that occurs twice is not believed, since the upstream might read the other one.

use crate::config::ConfigError;
use crate::exchange::Exchange;
use crate::notation::Whole;
use core::fmt;
use core::net::IpAddr;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use tidegate_policy::identity;

/// Where an address is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddressSource {
    /// 0: the other end of the connection; N: the Nth address of `x-forwarded-for` from the right, and the
    /// other end of the connection if there is none.
    #[serde(default)]
    pub trusted_hops: Whole,
}

/// One source as written: a header's name, `address`, or `{address: {trusted_hops: N}}`.
#[derive(Clone, Debug)]
pub enum RawSource {
    /// A header's name, or `address`.
    Named(String),
    /// An address with its own settings.
    Address(AddressSource),
}

impl<'de> Deserialize<'de> for RawSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Own {
            address: AddressSource,
        }
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = RawSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header name, address, or {address: {trusted_hops: N}}")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<RawSource, E> {
                Ok(RawSource::Named(name.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RawSource, M::Error> {
                Own::deserialize(MapAccessDeserializer::new(map)).map(|own| RawSource::Address(own.address))
            }
        }
        from.deserialize_any(Written)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Header(Vec<u8>),
    Address,
}

/// How clients are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSources {
    sources: Vec<Source>,
    address: AddressSource,
}

/// Who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// Who holds this credential.
    Key(&'a [u8]),
    /// Who comes from this network.
    Network([u8; 16]),
    /// Nobody that can be told from others.
    Unknown,
}

impl Client<'_> {
    /// A tag and the bytes that tell it from others of its kind.
    pub fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Key(key) => [b"key", key],
            Self::Network(network) => [b"network", network],
            Self::Unknown => [b"unknown", b""],
        }
    }
}

impl ClientSources {
    /// From `client:` and `address:` as written; absent means `authorization`, `x-api-key`, `address` and the
    /// other end of the connection.
    pub fn new(client: Option<Vec<RawSource>>, address: Option<AddressSource>) -> Result<Self, ConfigError> {
        let written = client.unwrap_or_else(|| {
            ["authorization", "x-api-key", "address"].map(|name| RawSource::Named(name.to_owned())).to_vec()
        });
        if written.is_empty() {
            return Err(ConfigError::new("client", "found an empty list, accepted is at least one source"));
        }
        let mut address = address;
        let mut sources = Vec::with_capacity(written.len());
        for (index, source) in written.into_iter().enumerate() {
            let path = format!("client[{index}]");
            let source = match source {
                RawSource::Named(name) if name.eq_ignore_ascii_case("address") => Source::Address,
                RawSource::Named(name) => Source::Header(header_name(&name, &path)?),
                RawSource::Address(own) => {
                    if address.replace(own).is_some_and(|other| other != own) {
                        return Err(ConfigError::new(path, "found a second, different setting of address"));
                    }
                    Source::Address
                }
            };
            if sources.contains(&source) {
                return Err(ConfigError::new(path, "found the same source twice, accepted is each once"));
            }
            sources.push(source);
        }
        Ok(Self { sources, address: address.unwrap_or_default() })
    }

    /// Who sent this request: the first source that is present. One that is present but could mean several clients
    /// is not passed over for another header, which the client could choose at will: then its network counts.
    pub fn client<'a>(&self, exchange: &'a dyn Exchange) -> Client<'a> {
        for source in &self.sources {
            let Source::Header(name) = source else { return self.by_network(exchange) };
            let mut values =
                exchange.request_headers().all(name).filter(|value| !value.trim_ascii().is_empty());
            match (values.next(), values.next()) {
                (None, _) => {}
                (Some(value), None) => {
                    return identity::credential(value)
                        .map_or_else(|| self.by_network(exchange), Client::Key);
                }
                (Some(_), Some(_)) => return self.by_network(exchange),
            }
        }
        Client::Unknown
    }

    /// Where a client is looked for, such as `authorization, x-api-key, address`.
    pub fn names(&self) -> String {
        let name = |source: &Source| match source {
            Source::Header(name) => String::from_utf8_lossy(name).into_owned(),
            Source::Address => "address".to_owned(),
        };
        self.sources.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// The headers that a client may be known by, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &[u8]> {
        self.sources.iter().filter_map(|source| match source {
            Source::Header(name) => Some(name.as_slice()),
            Source::Address => None,
        })
    }

    /// Whether addresses are taken from a header of the request.
    pub const fn trusts_hops(&self) -> bool {
        self.address.trusted_hops.0 > 0
    }

    /// Whether a client can be known by a key.
    pub fn have_keys(&self) -> bool {
        self.sources.iter().any(|source| *source != Source::Address)
    }

    fn by_network(&self, exchange: &dyn Exchange) -> Client<'static> {
        self.network(exchange).map_or(Client::Unknown, Client::Network)
    }

    /// The network that this request came from.
    pub fn network(&self, exchange: &dyn Exchange) -> Option<[u8; 16]> {
        self.forwarded(exchange).or_else(|| exchange.peer()).map(identity::network)
    }

    fn forwarded(&self, exchange: &dyn Exchange) -> Option<IpAddr> {
        match self.address.trusted_hops {
            Whole(0) => None,
            Whole(hops) => identity::forwarded(exchange.request_headers().all(b"x-forwarded-for"), hops),
        }
    }
}

/// A header's name as written, in the form in which the proxy gives it: in lower case, and `host` as `:authority`.
pub fn header_name(name: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        let problem =
            format!("found {} characters, accepted is a header name such as x-api-key", name.chars().count());
        return Err(ConfigError::new(path, problem));
    }
    if name.eq_ignore_ascii_case("host") {
        return Ok(b":authority".to_vec());
    }
    Ok(name.to_ascii_lowercase().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::fake::FakeProxy;

    fn sources(client: &str, address: Option<u32>) -> Result<ClientSources, ConfigError> {
        let address = address.map(|trusted_hops| AddressSource { trusted_hops: Whole(trusted_hops) });
        ClientSources::new(parse(client.as_bytes()).unwrap(), address)
    }

    fn client(sources: &ClientSources, headers: &[(&str, &str)]) -> String {
        let mut proxy = FakeProxy::default();
        proxy.peer = Some("10.1.2.3".parse().unwrap());
        let exchange = proxy.exchange(headers);
        match sources.client(&exchange) {
            Client::Key(key) => String::from_utf8(key.to_vec()).unwrap(),
            Client::Network(bytes) => core::net::Ipv6Addr::from(bytes).to_canonical().to_string(),
            Client::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn the_first_source_that_is_present_names_the_client() {
        let default = sources("null", None).unwrap();
        assert_eq!(client(&default, &[("authorization", "Bearer a"), ("x-api-key", "b")]), "a");
        assert_eq!(client(&default, &[("x-api-key", "b")]), "b");
        assert_eq!(client(&default, &[("authorization", " "), ("x-api-key", "b")]), "b");
        assert_eq!(client(&default, &[]), "10.1.2.3");
    }

    #[test]
    fn a_credential_that_occurs_twice_names_nobody() {
        let default = sources("null", None).unwrap();
        assert_eq!(client(&default, &[("authorization", "a"), ("authorization", "b")]), "10.1.2.3");
        let keys = sources(r#"["x-api-key"]"#, None).unwrap();
        assert_eq!(client(&keys, &[("x-api-key", "a"), ("x-api-key", "b")]), "10.1.2.3");
        assert_eq!(client(&keys, &[]), "unknown");
    }

    #[test]
    fn a_header_that_names_nobody_is_not_passed_over_for_one_that_the_client_could_choose() {
        let default = sources("null", None).unwrap();
        for ambiguous in ["Bearer a,Bearer a", "Bearer a b", "Bearer"] {
            assert_eq!(client(&default, &[("authorization", ambiguous), ("x-api-key", "b")]), "10.1.2.3");
        }
    }

    #[test]
    fn an_address_is_taken_as_many_hops_away_as_are_trusted() {
        let forwarded = [("x-forwarded-for", "6.6.6.6, 1.1.1.1, 2.2.2.2")];
        assert_eq!(client(&sources(r#"["address"]"#, None).unwrap(), &forwarded), "10.1.2.3");
        assert_eq!(client(&sources(r#"["address"]"#, Some(2)).unwrap(), &forwarded), "1.1.1.1");
        let own = sources(r#"[{"address":{"trusted_hops":1}}]"#, None).unwrap();
        assert_eq!(client(&own, &forwarded), "2.2.2.2");
        assert_eq!(client(&own, &[("x-forwarded-for", "2.2.2.2, junk")]), "10.1.2.3");
    }

    #[test]
    fn sources_that_make_no_sense_are_refused() {
        for (text, address, path) in [
            ("[]", None, "client"),
            (r#"["x-a","x-a"]"#, None, "client[1]"),
            (r#"["a b"]"#, None, "client[0]"),
            (r#"[{"address":{"trusted_hops":1}}]"#, Some(2), "client[0]"),
        ] {
            assert_eq!(sources(text, address).unwrap_err().path, path);
        }
    }
}
