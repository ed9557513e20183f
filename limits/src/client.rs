//! Identifies a client by the first present source in a list. A header that occurs twice is ambiguous and not trusted,
//! because the upstream might read the other one.
//!
//! Without a configured list, a key counts where the requested API reads it: Anthropic's API reads `x-api-key` first,
//! all others `authorization`. A client that sends both is therefore one client, whatever it writes into the header
//! that the API ignores.

use core::fmt;
use core::net::IpAddr;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use tidegate_config::ConfigError;
use tidegate_config::range::{ANY, Count};
use tidegate_host::exchange::Exchange;
use tidegate_policy::api::Dialect;
use tidegate_policy::identity::{self, Credential, Prefixes};

const AUTHORIZATION: &[u8] = b"authorization";
const API_KEY: &[u8] = b"x-api-key";

/// Where an address is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AddressSource {
    /// 0: the address that Envoy takes for the client's. N: the Nth address of `x-forwarded-for` from the right, or as for 0
    /// if there is none. Set `use_remote_address: true` in Envoy: then the other end of the connection is 0, Envoy
    /// appends it to `x-forwarded-for` as 1, and the client in front of one trusted proxy is 2. Without it, clients write
    /// the header themselves.
    pub trusted_hops: Count<0, ANY, 0>,
    /// The number of leading bits by which an IPv4 address counts; also of one in IPv6 (mapped, NAT64, 6to4).
    pub ipv4_prefix: Count<8, 32, 32>,
    /// The number of leading bits by which an IPv6 address counts. A client commonly holds a whole /64.
    pub ipv6_prefix: Count<16, 128, 64>,
}

impl AddressSource {
    fn prefixes(self) -> Prefixes {
        let bits = |written: u32| u8::try_from(written).unwrap_or(u8::MAX);
        Prefixes { ipv4: bits(self.ipv4_prefix.number()), ipv6: bits(self.ipv6_prefix.number()) }
    }
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

#[cfg(feature = "describe")]
impl schemars::JsonSchema for RawSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = schemars::json_schema!({
            "type": "string",
            "pattern": <tidegate_config::text::Header as tidegate_config::text::Kind>::PATTERN,
            "examples": ["x-api-key", "address"]
        });
        let mut address = generator.subschema_for::<AddressSource>();
        address.insert(
            "description".to_owned(),
            "Which address is a client's, and how much of it counts.".into(),
        );
        tidegate_config::schema::text_or_object(name, "address", address)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Header(Vec<u8>),
    Address,
}

/// The sources that identify clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSources {
    /// The configured sources, or `None` for the default rule.
    sources: Option<Vec<Source>>,
    trusted_hops: u32,
    prefixes: Prefixes,
}

/// The identity of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// The holder of this key, which nobody else knows.
    Key(&'a [u8]),
    /// The holder of this name. The proof is not verified here, so others can claim the same name.
    Name(&'a [u8]),
    /// The clients of this network.
    Network([u8; 16]),
    /// An unidentified client.
    Unknown,
}

impl Client<'_> {
    /// Returns a tag and the bytes that distinguish the client from others of its kind.
    pub fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Key(key) => [b"key", key],
            Self::Name(name) => [b"name", name],
            Self::Network(network) => [b"network", network],
            Self::Unknown => [b"unknown", b""],
        }
    }
}

impl ClientSources {
    /// Validates `client:` and `address:`. By default a client is identified by the key that the API reads, or else by
    /// the network at the other end of the connection.
    pub fn new(client: Option<Vec<RawSource>>, address: Option<AddressSource>) -> Result<Self, ConfigError> {
        let mut address = address;
        let sources = client.map(|written| sources(written, &mut address)).transpose()?;
        let address = address.unwrap_or_default();
        Ok(Self { sources, trusted_hops: address.trusted_hops.number(), prefixes: address.prefixes() })
    }

    /// Returns the client that sent this request, by the first present source. If that source is ambiguous, the network
    /// counts instead of the next header, because the client could choose that at will.
    pub fn client<'a>(&self, exchange: &'a dyn Exchange) -> Client<'a> {
        let Some(sources) = &self.sources else { return self.by_usual_key(exchange) };
        for source in sources {
            let Source::Header(name) = source else { return self.by_network(exchange) };
            if let Some(presented) = Presented::of(exchange, name) {
                return self.known_by(presented, exchange);
            }
        }
        Client::Unknown
    }

    /// Returns the names of the sources, such as `x-user, address`.
    pub fn names(&self) -> String {
        let Some(sources) = &self.sources else {
            return "x-api-key before authorization on Anthropic's paths, authorization before x-api-key on all others; \
                    address without either"
                .to_owned();
        };
        let name = |source: &Source| match source {
            Source::Header(name) => String::from_utf8_lossy(name).into_owned(),
            Source::Address => "address".to_owned(),
        };
        sources.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Returns the headers that may identify a client, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &[u8]> {
        let usual = self.sources.is_none().then_some([AUTHORIZATION, API_KEY]);
        let written = self.sources.iter().flatten().filter_map(|source| match source {
            Source::Header(name) => Some(name.as_slice()),
            Source::Address => None,
        });
        usual.into_iter().flatten().chain(written)
    }

    /// Returns true if addresses are read from a header of the request.
    pub const fn trusts_hops(&self) -> bool {
        self.trusted_hops > 0
    }

    /// Returns the lengths of the prefixes by which addresses count.
    pub const fn prefixes(&self) -> Prefixes {
        self.prefixes
    }

    /// Returns true if a key can identify a client.
    pub fn have_keys(&self) -> bool {
        self.headers().next().is_some()
    }

    fn by_usual_key<'a>(&self, exchange: &'a dyn Exchange) -> Client<'a> {
        let [authorization, api_key] = [AUTHORIZATION, API_KEY].map(|name| Presented::of(exchange, name));
        let presented = match (authorization, api_key) {
            (Some(authorization), Some(api_key)) => {
                let dialect = Dialect::of(&exchange.request_headers().path());
                Some(if dialect == Dialect::Anthropic { api_key } else { authorization })
            }
            (authorization, api_key) => authorization.or(api_key),
        };
        presented.map_or_else(|| self.by_network(exchange), |presented| self.known_by(presented, exchange))
    }

    fn known_by<'a>(&self, presented: Presented<'a>, exchange: &dyn Exchange) -> Client<'a> {
        let Presented::Once(value) = presented else { return self.by_network(exchange) };
        match identity::credential(value) {
            Some(Credential::Key(key)) => Client::Key(key),
            Some(Credential::Name(name)) => Client::Name(name),
            None => self.by_network(exchange),
        }
    }

    fn by_network(&self, exchange: &dyn Exchange) -> Client<'static> {
        self.network(exchange).map_or(Client::Unknown, Client::Network)
    }

    /// Returns the network that this request came from.
    pub fn network(&self, exchange: &dyn Exchange) -> Option<[u8; 16]> {
        self.address(exchange).map(|address| self.prefixes.network(address))
    }

    /// Returns the address that this request came from.
    pub fn address(&self, exchange: &dyn Exchange) -> Option<IpAddr> {
        self.forwarded(exchange).or_else(|| exchange.peer())
    }

    fn forwarded(&self, exchange: &dyn Exchange) -> Option<IpAddr> {
        match self.trusted_hops {
            0 => None,
            hops => identity::forwarded(exchange.request_headers().all(b"x-forwarded-for"), hops),
        }
    }
}

/// The credential presented in a header.
#[derive(Clone, Copy)]
enum Presented<'a> {
    Once(&'a [u8]),
    Repeatedly,
}

impl<'a> Presented<'a> {
    fn of(exchange: &'a dyn Exchange, name: &[u8]) -> Option<Self> {
        let mut values = exchange.request_headers().all(name).filter(|value| !value.trim_ascii().is_empty());
        let first = values.next()?;
        Some(values.next().map_or(Self::Once(first), |_| Self::Repeatedly))
    }
}

fn sources(written: Vec<RawSource>, address: &mut Option<AddressSource>) -> Result<Vec<Source>, ConfigError> {
    if written.is_empty() {
        return Err(ConfigError::new("client", "found an empty list, accepted is at least one source"));
    }
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
    Ok(sources)
}

/// Converts a header's name to the form that the proxy uses: lower case, and `:authority` for `host`.
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
    use tidegate_config::parse;
    use tidegate_host::fake::FakeProxy;

    fn sources(client: &str, address: Option<u32>) -> Result<ClientSources, ConfigError> {
        let address = address.map(|hops| parse(format!("{{\"trusted_hops\":{hops}}}").as_bytes()).unwrap());
        ClientSources::new(parse(client.as_bytes()).unwrap(), address)
    }

    fn client(sources: &ClientSources, headers: &[(&str, &str)]) -> String {
        let mut proxy = FakeProxy::default();
        proxy.peer = Some("10.1.2.3".parse().unwrap());
        let exchange = proxy.exchange(headers);
        match sources.client(&exchange) {
            Client::Key(key) => String::from_utf8(key.to_vec()).unwrap(),
            Client::Name(name) => format!("named {}", String::from_utf8(name.to_vec()).unwrap()),
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
    fn a_key_counts_where_the_requested_api_reads_it() {
        let usual = sources("null", None).unwrap();
        let both = [("authorization", "Bearer a"), ("x-api-key", "b")];
        for (path, known) in [
            ("/v1/messages", "b"),
            ("/v1//%6dessages?beta=true", "b"),
            ("/v1/messages/count_tokens", "b"),
            ("/v1/chat/completions", "a"),
            ("/v1/threads/t/messages", "a"),
        ] {
            assert_eq!(client(&usual, &[&both[..], &[(":path", path)]].concat()), known, "{path}");
        }
        let messages = (":path", "/v1/messages");
        assert_eq!(client(&usual, &[messages, ("authorization", "Bearer a")]), "a");
        assert_eq!(
            client(&usual, &[messages, ("authorization", "a"), ("x-api-key", "valid, junk")]),
            "10.1.2.3"
        );
        assert_eq!(client(&usual, &[("authorization", "Digest username=\"u\"")]), "named u");
        let written = sources(r#"["authorization","x-api-key"]"#, None).unwrap();
        assert_eq!(client(&written, &[&both[..], &[messages]].concat()), "a");
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Document {
        client: Vec<RawSource>,
    }

    #[test]
    fn addresses_count_by_the_configured_prefixes() {
        let wide = sources(r#"[{"address":{"ipv4_prefix":8}}]"#, None).unwrap();
        assert_eq!(client(&wide, &[]), "10.0.0.0");
        for (written, path, accepted) in [
            (r#"{"ipv4_prefix":7}"#, "client[0].address.ipv4_prefix", "8 to 32"),
            (r#"{"ipv4_prefix":33}"#, "client[0].address.ipv4_prefix", "8 to 32"),
            (r#"{"ipv6_prefix":15}"#, "client[0].address.ipv6_prefix", "16 to 128"),
            (r#"{"ipv6_prefix":300}"#, "client[0].address.ipv6_prefix", "16 to 128"),
        ] {
            let document = format!("{{\"client\":[{{\"address\":{written}}}]}}");
            let error = parse::<Document>(document.as_bytes()).unwrap_err();
            assert!(error.path == path && error.problem.contains(accepted), "{error}");
        }
    }

    #[test]
    fn a_repeated_credential_identifies_nobody() {
        let default = sources("null", None).unwrap();
        assert_eq!(client(&default, &[("authorization", "a"), ("authorization", "b")]), "10.1.2.3");
        let keys = sources(r#"["x-api-key"]"#, None).unwrap();
        assert_eq!(client(&keys, &[("x-api-key", "a"), ("x-api-key", "b")]), "10.1.2.3");
        assert_eq!(client(&keys, &[]), "unknown");
    }

    #[test]
    fn an_ambiguous_header_does_not_give_way_to_one_that_the_client_could_choose() {
        let default = sources("null", None).unwrap();
        for ambiguous in ["Bearer a,Bearer a", "Bearer a b", "Bearer"] {
            assert_eq!(client(&default, &[("authorization", ambiguous), ("x-api-key", "b")]), "10.1.2.3");
        }
    }

    #[test]
    fn an_address_is_read_at_the_distance_of_the_trusted_hops() {
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
