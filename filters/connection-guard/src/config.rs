//! From the document as written to what can be enforced. Everything has a default that protects.

use core::net::IpAddr;
use core::time::Duration;
use serde::Deserialize;
use tidegate_host::config::{ConfigError, FailureMode, parse};
use tidegate_host::notation::{Whole, WrittenByteRate, WrittenRate, WrittenSize, WrittenSpan};
use tidegate_limits::client::prefixes;
use tidegate_limits::network::Networks;
use tidegate_policy::bucket::{Bucket, Rate};
use tidegate_policy::connections::{Caps, SET_BYTES};
use tidegate_policy::identity::Prefixes;
use tidegate_policy::request_head::HeadRule;
use tidegate_policy::slots::Table;

const TIMEOUT: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(2);
const MIN_RATE: u32 = 50;
const MAX_SPAN: Duration = Duration::from_secs(86_400);
const CONNECTIONS: u32 = 128;
const ARRIVALS: Rate = Rate { requests: 50, period: Duration::from_secs(1) };
const ARRIVALS_BURST: u32 = 200;
const MEMORY: u64 = 4 << 20;
const MAX_MEMORY: u64 = 1 << 30;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    headers: RawHeaders,
    max_connections_per_address: Option<Whole>,
    new_connections_per_address: Option<RawArrivals>,
    #[serde(default)]
    address: RawPrefixes,
    #[serde(default)]
    exempt: Vec<String>,
    memory: Option<WrittenSize>,
    #[serde(default)]
    failure_mode: FailureMode,
    #[serde(default)]
    shadow: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawHeaders {
    timeout: Option<WrittenSpan>,
    min_rate: Option<WrittenByteRate>,
    grace: Option<WrittenSpan>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawArrivals {
    rate: WrittenRate,
    burst: Whole,
}

/// By how many leading bits addresses count.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawPrefixes {
    /// Of an IPv4 address, 8 to 32; by default 32.
    ipv4_prefix: Option<Whole>,
    /// Of an IPv6 address, 16 to 128; by default 64.
    ipv6_prefix: Option<Whole>,
}

/// Everything that can be enforced.
#[derive(Debug)]
pub struct Config {
    /// How slow a request head may be.
    pub heads: HeadRule,
    /// What an address may have.
    pub caps: Caps,
    /// Where addresses are counted.
    pub table: Table,
    /// By how much of them.
    pub prefixes: Prefixes,
    /// What happens to a connection that cannot be counted.
    pub failure_mode: FailureMode,
    /// Whether it only counts.
    pub shadow: bool,
    exempt: Networks,
}

impl Config {
    /// From a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let memory = raw.memory.map_or(MEMORY, |WrittenSize(bytes)| bytes);
        let table = Table::of_sets(*b"tidegate.cg.", SET_BYTES, memory).filter(|_| memory <= MAX_MEMORY);
        Ok(Self {
            heads: heads(&raw.headers)?,
            caps: Caps {
                connections: connections(raw.max_connections_per_address)?,
                arrivals: arrivals(raw.new_connections_per_address)?,
            },
            table: table
                .ok_or_else(|| refuse("memory", format!("found {memory}B, accepted is 33536B to 1GiB")))?,
            prefixes: prefixes(raw.address.ipv4_prefix, raw.address.ipv6_prefix, "address")?,
            failure_mode: raw.failure_mode,
            shadow: raw.shadow,
            exempt: Networks::new(&raw.exempt, "exempt")?,
        })
    }

    /// Whether the connections of `address` are not counted.
    pub fn exempts(&self, address: IpAddr) -> bool {
        self.exempt.contain(address)
    }
}

fn heads(written: &RawHeaders) -> Result<HeadRule, ConfigError> {
    let timeout = span(written.timeout, TIMEOUT, "headers.timeout")?;
    let grace = span(written.grace, GRACE, "headers.grace")?;
    let min_rate = written.min_rate.map_or(MIN_RATE, |WrittenByteRate(rate)| rate);
    let rule = HeadRule::within(timeout).and_then(|rule| rule.paced(u64::from(min_rate), grace));
    rule.map_err(|accepted| {
        refuse(
            "headers",
            format!("found a timeout of {timeout:?}, {min_rate}B/s and a grace of {grace:?}; {accepted}"),
        )
    })
}

fn connections(written: Option<Whole>) -> Result<Option<u16>, ConfigError> {
    let Whole(most) = written.unwrap_or(Whole(CONNECTIONS));
    let most = u16::try_from(most).map_err(|_| {
        refuse(
            "max_connections_per_address",
            format!("found {most}, accepted is 1 to 65535, or 0 for no cap"),
        )
    })?;
    Ok(Some(most).filter(|most| *most > 0))
}

fn arrivals(written: Option<RawArrivals>) -> Result<Bucket, ConfigError> {
    let (rate, burst) =
        written.map_or((ARRIVALS, ARRIVALS_BURST), |RawArrivals { rate, burst }| (rate.0, burst.0));
    Bucket::new(rate, burst).map_err(|accepted| {
        let Rate { requests, period } = rate;
        refuse(
            "new_connections_per_address",
            format!("found {requests} in {period:?}, bursts of {burst}; {accepted}"),
        )
    })
}

fn span(written: Option<WrittenSpan>, default: Duration, path: &str) -> Result<Duration, ConfigError> {
    let found = written.map_or(default, |WrittenSpan(span)| span);
    let accepted = (Duration::from_millis(1)..=MAX_SPAN).contains(&found);
    accepted.then_some(found).ok_or_else(|| refuse(path, format!("found {found:?}, accepted is 1ms to 24h")))
}

fn refuse(path: &str, problem: String) -> ConfigError {
    ConfigError::new(path, problem)
}

/// The JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(document: &serde_json::Value) -> String {
        Config::read(document.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_document_protects() {
        let config = Config::read(b"{}").unwrap();
        assert_eq!(config.caps.connections, Some(128));
        assert_eq!(config.caps.arrivals.capacity(), 200);
        assert!(!config.exempts("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn no_cap_is_written_as_zero_and_exempt_networks_in_either_family() {
        let document = json!({ "max_connections_per_address": 0, "exempt": ["10.0.0.0/8", "::1"] });
        let config = Config::read(document.to_string().as_bytes()).unwrap();
        assert_eq!(config.caps.connections, None);
        let exempts = |text: &str| config.exempts(text.parse().unwrap());
        assert!(exempts("10.1.2.3") && exempts("::ffff:10.1.2.3") && exempts("::1"));
        assert!(!exempts("11.0.0.1") && !exempts("::2"));
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_with_path_found_and_accepted() {
        for (document, parts) in [
            (json!({ "headers": { "timeout": "0s" } }), ["headers.timeout", "0ns", "1ms to 24h"]),
            (json!({ "headers": { "grace": "10s" } }), ["headers", "10s", "shorter than the timeout"]),
            (json!({ "headers": { "min_rate": "0B/s" } }), ["headers", "0B/s", "at least 1B/s"]),
            (json!({ "headers": { "rate": "1B/s" } }), ["headers.rate", "unknown field", "min_rate"]),
            (
                json!({ "max_connections_per_address": 70_000 }),
                ["max_connections_per_address", "70000", "65535"],
            ),
            (
                json!({ "new_connections_per_address": { "rate": "0/s", "burst": 1 } }),
                ["new_connections_per_address", "found 0", "at least 1"],
            ),
            (json!({ "exempt": ["10.0.0.0/8", "10.0.0.0/33"] }), ["exempt[1]", "10.0.0.0/33", "10.0.0.0/8"]),
            (json!({ "address": { "ipv6_prefix": 8 } }), ["address.ipv6_prefix", "found 8", "16 to 128"]),
            (json!({ "memory": "1KiB" }), ["memory", "1024B", "1GiB"]),
            (json!({ "failure_mode": "open" }), ["failure_mode", "open", "allow"]),
        ] {
            let error = error(&document);
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
