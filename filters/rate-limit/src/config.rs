//! From the document as written ([`Raw`]) to limits that can be enforced ([`Config`]). Whatever cannot be
//! enforced is refused here, with its path, what was found and what is accepted.

use tidegate_host::config::{ConfigError, FailureMode, parse};
use tidegate_host::notation::{Whole, WrittenSize};
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
const MAX_MEMORY: u64 = 1 << 30;
const DEFAULT_MEMORY: u64 = 16 << 20;
const MAX_HELD: u32 = 65_536;
const DEFAULT_HELD: u32 = 128;

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
        let memory = raw.memory.map_or(DEFAULT_MEMORY, |WrittenSize(bytes)| bytes);
        let table = Table::within(PREFIX, memory).filter(|_| memory <= MAX_MEMORY).ok_or_else(|| {
            refuse("memory", format!("found {memory}B, accepted is {}B to 1GiB", Table::MIN_BYTES))
        })?;
        let max_held = raw.max_held.map_or(DEFAULT_HELD, |Whole(count)| count);
        if !(1..=MAX_HELD).contains(&max_held) {
            return Err(refuse("max_held", format!("found {max_held}, accepted is 1 to {MAX_HELD}")));
        }
        let clients = ClientSources::new(raw.client, raw.address)?;
        let written = raw.limits.into_iter().map(|limit| (RawLimit::into(limit), Unit::Requests)).collect();
        Ok(Self {
            rules: Rules::new(written, clients, Exempt::new(raw.exempt)?, table)?,
            max_held: usize::try_from(max_held).unwrap_or(usize::MAX),
            hold_headers: raw.hold_headers,
            failure_mode: raw.failure_mode,
            headers_on_admitted: raw.headers_on_admitted,
            ietf_headers: raw.ietf_headers,
            retry_headers: RetryHeaders::new(raw.retry_headers)?,
        })
    }
}

fn refuse(path: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::new(path, problem)
}

/// The JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
