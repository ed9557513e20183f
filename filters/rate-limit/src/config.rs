//! The conversion of the document as written ([`Raw`]) into an enforceable [`Config`]. A value that cannot be
//! enforced is refused with its path, what was found and what is accepted.

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

/// The enforceable configuration.
#[derive(Debug)]
pub struct Config {
    /// The limits, and the clients or requests that each counts.
    pub rules: Rules,
    /// Maximum number of requests that one worker may delay.
    pub max_held: usize,
    /// True if a request whose model counts is held at its headers until the model is known.
    pub hold_headers: bool,
    /// Treatment of a request that cannot be decided.
    pub failure_mode: FailureMode,
    /// True if admitted responses carry the `x-ratelimit-*` headers.
    pub headers_on_admitted: bool,
    /// True if responses also carry the IETF's `RateLimit` headers.
    pub ietf_headers: bool,
    /// Headers in which clients state the attempt of a request.
    pub retry_headers: RetryHeaders,
}

impl Config {
    /// Parses a JSON document.
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

/// Returns the JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
