//! Which requests a rule is about: by path, method and headers.

use crate::client::header_name;
use crate::config::ConfigError;
use crate::exchange::Exchange;
use core::fmt;
use serde::Deserialize;
use tidegate_policy::path::is_canonical;

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
    path_prefix: Option<Vec<u8>>,
    methods: Option<Vec<Vec<u8>>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl When {
    /// From `when:` as written at `path`.
    pub fn new(raw: RawWhen, path: &str) -> Result<Self, ConfigError> {
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
        Ok(Self {
            path_prefix: raw.path_prefix.map(String::into_bytes),
            methods: raw.methods.map(|methods| methods.into_iter().map(String::into_bytes).collect()),
            headers,
        })
    }

    /// Whether a request is one of them.
    pub fn applies(&self, exchange: &dyn Exchange) -> bool {
        let headers = || exchange.request_headers();
        let Self { path_prefix, methods, headers: wanted } = self;
        path_prefix.as_ref().is_none_or(|prefix| headers().path().starts_with(prefix.as_slice()))
            && methods
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|method| method == headers().method()))
            && wanted.iter().all(|(name, value)| {
                headers().all(name).any(|found| value.as_ref().is_none_or(|value| value == found))
            })
    }
}

impl fmt::Display for When {
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
        Ok(())
    }
}
