//! Selects the requests that a rule applies to by path, method, headers and address, with exceptions.

use crate::client::ClientSources;
use crate::network::Networks;
use core::fmt;
use serde::Deserialize;
use tidegate_config::ConfigError;
use tidegate_config::list::List;
use tidegate_config::text::{HeaderName, Method, PathPrefix};
use tidegate_host::exchange::Exchange;
use tidegate_policy::path::is_beneath;

/// The maximum number of entries in a list.
const MAX_LIST: usize = 256;

/// `when:` as written.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RawWhen {
    /// Applies to requests on and beneath this path, without percent-encoding, dot segments or repeated slashes: `/v1` is
    /// `/v1` and `/v1/…`, not `/v10`. By default to all.
    pub path_prefix: Option<PathPrefix>,
    /// Applies to requests of these methods, in capitals. By default to all.
    pub methods: Option<Methods>,
    /// Applies to requests that have all of these headers.
    pub headers: Vec<RawHeader>,
    /// Applies to requests from these networks (`10.0.0.0/8`, `::1`), at most 256. By default from all.
    pub addresses: Option<Vec<String>>,
    /// Does not apply to requests of which all that is written here is true.
    pub not: Option<RawNot>,
}

/// Methods as written.
pub type Methods = List<Method, 1, MAX_LIST>;

/// `when.not` as written: all that it says must be true of what a rule is not about.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RawNot {
    /// Not to requests on and beneath this path.
    path_prefix: Option<PathPrefix>,
    /// Not to requests of these methods.
    methods: Option<Methods>,
    /// Not to requests that have all of these headers.
    headers: Vec<RawHeader>,
    /// Not to requests from these networks, at most 256.
    addresses: Option<Vec<String>>,
}

/// A header, and its value if one is asked for, as written.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
pub struct RawHeader {
    /// The name of the header.
    name: HeaderName,
    /// The value that it must have. By default any.
    value: Option<String>,
}

/// The requests that a rule applies to; by default all.
#[derive(Debug, Default)]
pub struct When {
    is: Condition,
    is_not: Option<Condition>,
}

#[derive(Debug, Default)]
struct Condition {
    path_prefix: Option<Vec<u8>>,
    methods: Option<Vec<Vec<u8>>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    addresses: Option<Networks>,
}

impl When {
    /// Validates `when:` at `path`.
    pub fn new(raw: RawWhen, path: &str) -> Result<Self, ConfigError> {
        let RawWhen { path_prefix, methods, headers, addresses, not } = raw;
        let not_path = format!("{path}.not");
        let not = not.map(|not| {
            let condition = Condition::new(not, &not_path)?;
            if condition.is_empty() {
                let problem =
                    "found nothing, accepted is at least one of path_prefix, methods, headers and addresses";
                return Err(ConfigError::new(&not_path, problem));
            }
            Ok(condition)
        });
        let is = Condition::new(RawNot { path_prefix, methods, headers, addresses }, path)?;
        Ok(Self { is, is_not: not.transpose()? })
    }

    /// Returns true if a rule applies to a request, whose address is the other end of its connection.
    pub fn applies(&self, exchange: &dyn Exchange) -> bool {
        self.is.holds(exchange, None)
            && !self.is_not.as_ref().is_some_and(|is_not| is_not.holds(exchange, None))
    }

    /// Returns true if a rule applies to a request, whose address is read as `clients` says.
    pub fn applies_to(&self, exchange: &dyn Exchange, clients: &ClientSources) -> bool {
        self.is.holds(exchange, Some(clients))
            && !self.is_not.as_ref().is_some_and(|is_not| is_not.holds(exchange, Some(clients)))
    }
}

impl Condition {
    fn new(raw: RawNot, path: &str) -> Result<Self, ConfigError> {
        let at = format!("{path}.addresses");
        if raw.addresses.as_ref().is_some_and(Vec::is_empty) {
            let problem = "found an empty list, accepted is at least one network, or no list for all";
            return Err(ConfigError::new(at, problem));
        }
        let header = |header: RawHeader| (header.name.in_lower_case(), header.value.map(String::into_bytes));
        let methods = |methods: Methods| methods.into_iter().map(|method| method.into_bytes()).collect();
        Ok(Self {
            path_prefix: raw.path_prefix.map(|prefix| prefix.into_bytes()),
            methods: raw.methods.map(methods),
            headers: raw.headers.into_iter().map(header).collect(),
            addresses: raw.addresses.map(|written| Networks::new(&written, &at)).transpose()?,
        })
    }

    const fn is_empty(&self) -> bool {
        self.path_prefix.is_none()
            && self.methods.is_none()
            && self.headers.is_empty()
            && self.addresses.is_none()
    }

    fn holds(&self, exchange: &dyn Exchange, clients: Option<&ClientSources>) -> bool {
        let headers = || exchange.request_headers();
        let Self { path_prefix, methods, headers: wanted, addresses } = self;
        path_prefix.as_ref().is_none_or(|prefix| is_beneath(&headers().path(), prefix))
            && methods
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|method| method == headers().method()))
            && wanted.iter().all(|(name, value)| {
                headers().all(name).any(|found| value.as_ref().is_none_or(|value| value == found))
            })
            && addresses.as_ref().is_none_or(|networks| {
                let address = match clients {
                    Some(clients) => clients.address(exchange),
                    None => exchange.peer(),
                };
                address.is_some_and(|address| networks.contain(address))
            })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.is.fmt(f)?;
        self.is_not.as_ref().map_or(Ok(()), |is_not| write!(f, ", but not {is_not}"))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.methods {
            None => f.write_str("all requests")?,
            Some(methods) => {
                let methods: Vec<_> = methods.iter().map(|method| String::from_utf8_lossy(method)).collect();
                f.write_str(&methods.join(" or "))?;
            }
        }
        if let Some(prefix) = &self.path_prefix {
            write!(f, " to {}…", String::from_utf8_lossy(prefix))?;
        }
        for (place, (name, value)) in self.headers.iter().enumerate() {
            let link = if place == 0 { "with" } else { "and" };
            write!(f, " {link} {}", String::from_utf8_lossy(name))?;
            if let Some(value) = value {
                write!(f, ": {}", String::from_utf8_lossy(value))?;
            }
        }
        self.addresses.as_ref().map_or(Ok(()), |networks| write!(f, " from {networks}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_config::parse;
    use tidegate_host::fake::FakeProxy;

    fn applies(when: &str, peer: &str, headers: &[(&str, &str)]) -> bool {
        let when = When::new(parse(when.as_bytes()).unwrap(), "when").unwrap();
        let mut proxy = FakeProxy::default();
        proxy.peer = Some(peer.parse().unwrap());
        when.applies(&proxy.exchange(headers))
    }

    #[test]
    fn a_rule_does_not_apply_to_its_exceptions() {
        let when = r#"{"path_prefix":"/v1","not":{"path_prefix":"/v1/models","methods":["GET"]}}"#;
        let at = |method, path| applies(when, "::1", &[(":method", method), (":path", path)]);
        assert!(at("POST", "/v1/models") && at("GET", "/v1/modelsx") && at("GET", "/v1"));
        assert!(!at("GET", "/v1/models") && !at("GET", "/v1/models/x") && !at("POST", "/v10"));
    }

    #[test]
    fn a_rule_can_apply_to_networks_or_to_all_others() {
        let within = r#"{"addresses":["10.0.0.0/8","::1"]}"#;
        let beyond = r#"{"not":{"addresses":["10.0.0.0/8","::1"]}}"#;
        for (peer, inside) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("::1", true), ("11.0.0.1", false)]
        {
            assert_eq!(applies(within, peer, &[]), inside, "{peer}");
            assert_eq!(applies(beyond, peer, &[]), !inside, "{peer}");
        }
    }

    #[test]
    fn exceptions_and_networks_that_make_no_sense_are_refused() {
        for (text, path) in [
            (r#"{"not":{}}"#, "when.not"),
            (r#"{"addresses":[]}"#, "when.addresses"),
            (r#"{"addresses":["10.0.0.0/8","ten"]}"#, "when.addresses[1]"),
            (r#"{"not":{"addresses":["::/200"]}}"#, "when.not.addresses[0]"),
        ] {
            let raw = parse(text.as_bytes()).unwrap();
            assert_eq!(When::new(raw, "when").unwrap_err().path, path, "{text}");
        }
        for (text, path) in [
            (r#"{"not":{"path_prefix":"v1"}}"#, "not.path_prefix"),
            (r#"{"path_prefix":"/v1/../x"}"#, "path_prefix"),
            (r#"{"methods":["post"]}"#, "methods[0]"),
            (r#"{"methods":[]}"#, "methods"),
            (r#"{"headers":[{"name":"a b"}]}"#, "headers[0].name"),
        ] {
            assert_eq!(parse::<RawWhen>(text.as_bytes()).map(|_| ()).unwrap_err().path, path, "{text}");
        }
    }
}
