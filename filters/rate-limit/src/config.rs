//! From the document as written ([`Raw`]) to limits that can be enforced ([`Config`]). Whatever cannot be
//! enforced is refused here, with its path, what was found and what is accepted.

use tidegate_config::{ConfigError, FailureMode, parse};
use tidegate_limits::attempt::RetryHeaders;
use tidegate_limits::charges::Rules;
use tidegate_limits::client::ClientSources;
use tidegate_limits::exempt::Exempt;
use tidegate_limits::unit::Unit;
use tidegate_policy::slot_key::Prefix;
use tidegate_policy::slots::Table;
use written::{Raw, RawLimit};

mod written;

const PREFIX: Prefix = *b"tidegate.rl.";

/// Everything that can be enforced.
#[derive(Debug)]
pub struct Config {
    /// The limits, and whom they count.
    pub rules: Rules,
    /// How many requests one worker may delay at a time.
    pub max_held: usize,
    /// Whether a request waits at its headers, where its model counts, until that is known.
    pub hold_headers: bool,
    /// What happens to a request that cannot be decided.
    pub failure_mode: FailureMode,
    /// Whether admitted answers carry the `x-ratelimit-*` headers.
    pub headers_on_admitted: bool,
    /// Whether answers carry the IETF's `RateLimit` headers too.
    pub ietf_headers: bool,
    /// Where clients say which attempt a request is.
    pub retry_headers: RetryHeaders,
}

impl Config {
    /// From a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let table = Table::within(PREFIX, raw.memory.get());
        let table = table.ok_or_else(|| ConfigError::new("memory", "found too little for a table"))?;
        let clients = ClientSources::new(raw.client, raw.address)?;
        let written = raw.limits.into_iter().map(|limit| (RawLimit::into(limit), Unit::Requests));
        Ok(Self {
            rules: Rules::new(written, clients, Exempt::new(raw.exempt)?, table)?,
            max_held: raw.max_held.length(),
            hold_headers: raw.hold_headers,
            failure_mode: raw.failure_mode,
            headers_on_admitted: raw.headers_on_admitted,
            ietf_headers: raw.ietf_headers,
            retry_headers: RetryHeaders::new(raw.retry_headers)?,
        })
    }
}

/// The JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
