//! The conversion of the document as written into an enforceable [`Config`]. Every key has a default that protects.

use core::net::IpAddr;
use serde::Deserialize;
use tidegate_config::range::{ANY, ByteRate, Count, DAY, GIB, MIB, SECOND, Size, Span};
use tidegate_config::rate::Rate;
use tidegate_config::{ConfigError, FailureMode, parse};
use tidegate_limits::network::Networks;
use tidegate_policy::bucket::{self, Bucket};
use tidegate_policy::connections::{Caps, SET_BYTES};
use tidegate_policy::identity::Prefixes;
use tidegate_policy::request_head::HeadRule;
use tidegate_policy::slots::Table;

/// The smallest table, in bytes.
const MIN_MEMORY: u64 = Table::min_bytes(SET_BYTES);

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Raw {
    /// How slowly the head of a request may arrive. A connection that breaks one of these is closed.
    headers: RawHeaders,
    /// How many connections one address may have open at a time, over all workers. `0` removes the cap.
    max_connections_per_address: Count<0, 65_535, 128>,
    /// How fast one address may open connections: a token bucket.
    #[serde(default = "usual_arrivals")]
    new_connections_per_address: Option<RawArrivals>,
    /// How much of an address counts, so that one client cannot appear as many.
    address: RawPrefixes,
    /// Up to 256 networks (`10.0.0.0/8`, `::1`) whose connections are not counted: the proxies and load balancers in
    /// front. Their request heads are watched like all others.
    exempt: Vec<String>,
    /// Memory for the counts of addresses, of Envoy's and for all workers together. Raise it if the `evicted` or
    /// `saturated` counters grow.
    memory: Size<MIN_MEMORY, GIB, { 4 * MIB }>,
    /// What happens to a connection that cannot be counted, because every race for its record was lost or its set in
    /// the table is full of addresses at their caps.
    failure_mode: FailureMode,
    /// Count connections that break a rule and close none of them, to try out limits on live traffic.
    shadow: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct RawHeaders {
    /// How long the head of each request may take. For the first one it counts from the opening of the connection, so a
    /// silent connection is closed too.
    timeout: Span<1, DAY, { 10 * SECOND }>,
    /// The average rate at which a head must arrive once `grace` is over.
    min_rate: ByteRate<1, ANY, 50>,
    /// How long after its first byte a head may be slower than `min_rate`. Must be shorter than `timeout`.
    grace: Span<1, DAY, { 2 * SECOND }>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
struct RawArrivals {
    /// The sustained rate of new connections of one address.
    rate: Rate<1_000_000>,
    /// How many connections an address may open at once after a pause. Its bucket must refill within 31 days.
    burst: Count<1, ANY>,
}

impl Default for RawArrivals {
    fn default() -> Self {
        Self { rate: Rate::per_second::<50>(), burst: Count::of::<200>() }
    }
}

fn usual_arrivals() -> Option<RawArrivals> {
    Some(RawArrivals::default())
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct RawPrefixes {
    /// The number of leading bits by which an IPv4 address counts.
    ipv4_prefix: Count<8, 32, 32>,
    /// The number of leading bits by which an IPv6 address counts. A client commonly holds a whole /64.
    ipv6_prefix: Count<16, 128, 64>,
}

/// The enforceable configuration.
#[derive(Debug)]
pub struct Config {
    /// Minimum pace of a request head.
    pub heads: HeadRule,
    /// Limits for one address.
    pub caps: Caps,
    /// The table in which addresses are counted.
    pub table: Table,
    /// Prefixes by which addresses are counted.
    pub prefixes: Prefixes,
    /// Treatment of a connection that cannot be counted.
    pub failure_mode: FailureMode,
    /// True in shadow mode.
    pub shadow: bool,
    exempt: Networks,
}

impl Config {
    /// Parses a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let bits = |written: u32| u8::try_from(written).unwrap_or(u8::MAX);
        Ok(Self {
            heads: heads(&raw.headers)?,
            caps: Caps {
                connections: connections(raw.max_connections_per_address.number()),
                arrivals: arrivals(raw.new_connections_per_address.unwrap_or_default())?,
            },
            table: Table::of_sets(*b"tidegate.cg.", SET_BYTES, raw.memory.get())
                .ok_or_else(|| ConfigError::new("memory", "found too little for a table"))?,
            prefixes: Prefixes {
                ipv4: bits(raw.address.ipv4_prefix.number()),
                ipv6: bits(raw.address.ipv6_prefix.number()),
            },
            failure_mode: raw.failure_mode,
            shadow: raw.shadow,
            exempt: Networks::new(&raw.exempt, "exempt")?,
        })
    }

    /// Returns true if the connections of `address` are not counted.
    pub fn exempts(&self, address: IpAddr) -> bool {
        self.exempt.contain(address)
    }
}

fn heads(written: &RawHeaders) -> Result<HeadRule, ConfigError> {
    let RawHeaders { timeout, min_rate, grace } = written;
    let rule = HeadRule::within(timeout.duration())
        .and_then(|rule| rule.paced(u64::from(min_rate.number()), grace.duration()));
    rule.map_err(|accepted| {
        let problem =
            format!("found a timeout of {timeout:?}, {min_rate:?} and a grace of {grace:?}; {accepted}");
        ConfigError::new("headers", problem)
    })
}

/// Returns the cap, where 0 means none.
fn connections(most: u32) -> Option<u16> {
    u16::try_from(most).ok().filter(|most| *most > 0)
}

fn arrivals(RawArrivals { rate, burst }: RawArrivals) -> Result<Bucket, ConfigError> {
    Bucket::new(rate.get(), burst.number()).map_err(|accepted| {
        let bucket::Rate { requests, period } = rate.get();
        let problem = format!("found {requests} in {period:?}, bursts of {burst:?}; {accepted}");
        ConfigError::new("new_connections_per_address", problem)
    })
}

/// Returns the JSON Schema of the document.
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
    fn zero_removes_the_cap_and_exempt_networks_may_be_ipv4_or_ipv6() {
        let document = json!({ "max_connections_per_address": 0, "exempt": ["10.0.0.0/8", "::1"] });
        let config = Config::read(document.to_string().as_bytes()).unwrap();
        assert_eq!(config.caps.connections, None);
        let exempts = |text: &str| config.exempts(text.parse().unwrap());
        assert!(exempts("10.1.2.3") && exempts("::ffff:10.1.2.3") && exempts("::1"));
        assert!(!exempts("11.0.0.1") && !exempts("::2"));
    }

    #[test]
    fn an_unenforceable_value_is_refused_with_path_found_and_accepted() {
        for (document, parts) in [
            (json!({ "headers": { "timeout": "0s" } }), ["headers.timeout", "0ns", "1ms to 24h"]),
            (json!({ "headers": { "grace": "10s" } }), ["headers", "10s", "shorter than the timeout"]),
            (json!({ "headers": { "min_rate": "0B/s" } }), ["headers.min_rate", "0B/s", "at least 1B/s"]),
            (json!({ "headers": { "rate": "1B/s" } }), ["headers.rate", "unknown field", "min_rate"]),
            (
                json!({ "max_connections_per_address": 70_000 }),
                ["max_connections_per_address", "found 70000", "0 to 65535"],
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
