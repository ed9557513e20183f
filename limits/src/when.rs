//! Which requests a rule is about: by path, method, headers and address, and which of those it is not about.

use crate::client::{ClientSources, header_name};
use crate::network::Networks;
use core::fmt;
use serde::Deserialize;
use tidegate_host::config::ConfigError;
use tidegate_host::exchange::Exchange;
use tidegate_policy::path::{is_beneath, is_canonical};

/// `when:` as written.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawWhen {
    /// Canonical, starts with `/`.
    pub path_prefix: Option<String>,
    /// In capitals.
    pub methods: Option<Vec<String>>,
    /// All of which must be there.
    #[serde(default)]
    pub headers: Vec<RawHeader>,
    /// Networks, or addresses, one of which it must come from.
    pub addresses: Option<Vec<String>>,
    /// What it must not be as well.
    pub not: Option<RawNot>,
}

/// `when.not` as written: all that it says must be true of what a rule is not about.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawNot {
    path_prefix: Option<String>,
    methods: Option<Vec<String>>,
    #[serde(default)]
    headers: Vec<RawHeader>,
    addresses: Option<Vec<String>>,
}

/// A header, and its value if one is asked for, as written.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawHeader {
    name: String,
    value: Option<String>,
}

/// Which requests a rule is about; by default all.
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
    /// From `when:` as written at `path`.
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

    /// Whether a request is one of them, coming from the other end of its connection.
    pub fn applies(&self, exchange: &dyn Exchange) -> bool {
        self.is.holds(exchange, None)
            && !self.is_not.as_ref().is_some_and(|is_not| is_not.holds(exchange, None))
    }

    /// Whether a request is one of them, coming from where `clients` says that requests come from.
    pub fn applies_to(&self, exchange: &dyn Exchange, clients: &ClientSources) -> bool {
        self.is.holds(exchange, Some(clients))
            && !self.is_not.as_ref().is_some_and(|is_not| is_not.holds(exchange, Some(clients)))
    }
}

impl Condition {
    fn new(raw: RawNot, path: &str) -> Result<Self, ConfigError> {
        let unmatchable = |prefix: &&String| !prefix.starts_with('/') || !is_canonical(prefix.as_bytes());
        if let Some(prefix) = raw.path_prefix.as_ref().filter(unmatchable) {
            let problem = format!(
                "found {prefix:?}, accepted is a prefix that starts with / and holds no %, ?, #, // or dot segment: \
             requests are matched in that spelling"
            );
            return Err(ConfigError::new(format!("{path}.path_prefix"), problem));
        }
        for (index, method) in raw.methods.iter().flatten().enumerate() {
            if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
                let problem = format!("found {method:?}, accepted is a method in capitals such as POST");
                return Err(ConfigError::new(format!("{path}.methods[{index}]"), problem));
            }
        }
        if raw.methods.as_ref().is_some_and(Vec::is_empty) {
            let problem = "found an empty list, accepted is at least one method, or no list for all";
            return Err(ConfigError::new(format!("{path}.methods"), problem));
        }
        let mut headers = Vec::with_capacity(raw.headers.len());
        for (index, header) in raw.headers.into_iter().enumerate() {
            let name = header_name(&header.name, &format!("{path}.headers[{index}].name"))?;
            headers.push((name, header.value.map(String::into_bytes)));
        }
        let at = format!("{path}.addresses");
        if raw.addresses.as_ref().is_some_and(Vec::is_empty) {
            let problem = "found an empty list, accepted is at least one network, or no list for all";
            return Err(ConfigError::new(at, problem));
        }
        Ok(Self {
            path_prefix: raw.path_prefix.map(String::into_bytes),
            methods: raw.methods.map(|methods| methods.into_iter().map(String::into_bytes).collect()),
            headers,
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
    use tidegate_host::config::parse;
    use tidegate_host::fake::FakeProxy;

    fn applies(when: &str, peer: &str, headers: &[(&str, &str)]) -> bool {
        let when = When::new(parse(when.as_bytes()).unwrap(), "when").unwrap();
        let mut proxy = FakeProxy::default();
        proxy.peer = Some(peer.parse().unwrap());
        when.applies(&proxy.exchange(headers))
    }

    #[test]
    fn a_rule_is_not_about_what_is_excepted_from_it() {
        let when = r#"{"path_prefix":"/v1","not":{"path_prefix":"/v1/models","methods":["GET"]}}"#;
        let at = |method, path| applies(when, "::1", &[(":method", method), (":path", path)]);
        assert!(at("POST", "/v1/models") && at("GET", "/v1/modelsx") && at("GET", "/v1"));
        assert!(!at("GET", "/v1/models") && !at("GET", "/v1/models/x") && !at("POST", "/v10"));
    }

    #[test]
    fn a_rule_can_be_about_networks_and_about_all_others() {
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
            (r#"{"not":{"path_prefix":"v1"}}"#, "when.not.path_prefix"),
            (r#"{"addresses":[]}"#, "when.addresses"),
            (r#"{"addresses":["10.0.0.0/8","ten"]}"#, "when.addresses[1]"),
            (r#"{"not":{"addresses":["::/200"]}}"#, "when.not.addresses[0]"),
        ] {
            let raw = parse(text.as_bytes()).unwrap();
            assert_eq!(When::new(raw, "when").unwrap_err().path, path, "{text}");
        }
    }
}
