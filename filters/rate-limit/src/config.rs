//! From the document as written ([`Raw`]) to limits that can be enforced ([`Config`]). Whatever cannot be
//! enforced is refused here, with its path, what was found and what is accepted.

use core::time::Duration;
use std::collections::BTreeMap;
use tidegate_host::config::{ConfigError, FailureMode, check_rule_name, parse};
use tidegate_host::exchange::Exchange;
use tidegate_host::notation::{Whole, WrittenRate, WrittenSize, WrittenSpan};
use tidegate_limits::attempt::RetryHeaders;
use tidegate_limits::client::{ClientSources, header_name};
use tidegate_limits::exempt::Exempt;
use tidegate_limits::identity::{Identity, Part};
use tidegate_limits::model::Models;
use tidegate_limits::when::When;
use tidegate_policy::bucket::Bucket;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::slots::Table;
use written::{Exceed, Raw, RawLimit, RawRequests};

mod written;

const MAX_LIMITS: usize = 256;
const MAX_MEMORY: u64 = 1 << 30;
const DEFAULT_MEMORY: u64 = 16 << 20;
const MAX_DELAY: Duration = Duration::from_secs(60);
const MAX_HELD: u32 = 65_536;
const DEFAULT_HELD: u32 = 128;

/// Everything that can be enforced.
#[derive(Debug)]
pub struct Config {
    /// In the order written, at least one.
    pub limits: Vec<Limit>,
    /// What the limits count by, each once; [`Limit::identity`] is a place in it.
    pub identities: Vec<Identity>,
    /// How clients are told apart.
    pub clients: ClientSources,
    /// What no limit charges.
    pub exempt: Exempt,
    /// Where the buckets live.
    pub table: Table,
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

/// One limit.
#[derive(Debug)]
pub struct Limit {
    /// Unique, letters, digits, `-` and `_`.
    pub name: String,
    /// Which of [`Config::identities`] it counts by.
    pub identity: usize,
    /// Tells its buckets from those of other limits on the same identity.
    pub mark: u64,
    /// The bucket of whoever has none of their own.
    pub requests: Requests,
    /// The buckets of named clients, by the SHA-256 of their key.
    pub overrides: BTreeMap<[u8; 32], Requests>,
    /// Whether it only counts.
    pub shadow: bool,
    /// The models that it is about; by default all.
    pub models: Option<Models>,
    /// Whether it counts by the model that a request names.
    pub needs_model: bool,
    when: When,
}

/// A bucket, and how to say it.
#[derive(Clone, Debug)]
pub struct Requests {
    /// What is enforced.
    pub bucket: Bucket,
    /// Such as `10 requests per second, bursts of 20`.
    pub text: String,
}

impl Limit {
    /// Whether it applies to a request, as far as its head tells.
    pub fn applies(&self, exchange: &dyn Exchange, clients: &ClientSources) -> bool {
        self.when.applies_to(exchange, clients)
    }

    /// The requests that it applies to.
    pub const fn when(&self) -> &When {
        &self.when
    }
}

impl Config {
    /// From a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        if raw.limits.is_empty() || raw.limits.len() > MAX_LIMITS {
            let found = raw.limits.len();
            return Err(refuse("limits", format!("found {found} limits, accepted are 1 to {MAX_LIMITS}")));
        }
        let memory = raw.memory.map_or(DEFAULT_MEMORY, |WrittenSize(bytes)| bytes);
        let table = Table::within(memory).filter(|_| memory <= MAX_MEMORY).ok_or_else(|| {
            refuse("memory", format!("found {memory}B, accepted is {}B to 1GiB", Table::MIN_BYTES))
        })?;
        let max_held = raw.max_held.map_or(DEFAULT_HELD, |Whole(count)| count);
        if !(1..=MAX_HELD).contains(&max_held) {
            return Err(refuse("max_held", format!("found {max_held}, accepted is 1 to {MAX_HELD}")));
        }

        let clients = ClientSources::new(raw.client, raw.address)?;
        let mut identities = Vec::new();
        let mut limits: Vec<Limit> = Vec::with_capacity(raw.limits.len());
        for (index, written) in raw.limits.into_iter().enumerate() {
            let path = format!("limits[{index}]");
            if limits.iter().any(|limit| limit.name == written.name) {
                let problem = format!("found {:?} a second time, accepted is each name once", written.name);
                return Err(refuse(format!("{path}.name"), problem));
            }
            limits.push(limit(written, &path, &clients, &mut identities)?);
        }
        Ok(Self {
            limits,
            identities,
            clients,
            exempt: Exempt::new(raw.exempt)?,
            table,
            max_held: usize::try_from(max_held).unwrap_or(usize::MAX),
            hold_headers: raw.hold_headers,
            failure_mode: raw.failure_mode,
            headers_on_admitted: raw.headers_on_admitted,
            ietf_headers: raw.ietf_headers,
            retry_headers: RetryHeaders::new(raw.retry_headers)?,
        })
    }
}

fn limit(
    raw: RawLimit,
    path: &str,
    clients: &ClientSources,
    identities: &mut Vec<Identity>,
) -> Result<Limit, ConfigError> {
    check_rule_name(&raw.name, &format!("{path}.name"))?;
    let identity = identity(&raw.per, path)?;
    let per_model = identity.parts.contains(&Part::Model);
    let by_key = identity.parts.contains(&Part::Client) && clients.have_keys();
    if !raw.overrides.is_empty() && !by_key {
        let problem = format!(
            "found overrides on per: {:?}, accepted are they where per names client and clients are known by a key",
            raw.per
        );
        return Err(refuse(format!("{path}.overrides"), problem));
    }
    let promised = match raw.exceed {
        Exceed::Reject => Duration::ZERO,
        Exceed::Delay(WrittenSpan(delay)) if !delay.is_zero() && delay <= MAX_DELAY => delay,
        Exceed::Delay(WrittenSpan(delay)) => {
            let problem = format!("found {delay:?}, accepted is 1ms to {}s", MAX_DELAY.as_secs());
            return Err(refuse(format!("{path}.exceed.delay"), problem));
        }
    };
    let mut overrides = BTreeMap::new();
    for (index, written) in raw.overrides.iter().enumerate() {
        let path = format!("{path}.overrides[{index}]");
        let bucket = requests(&written.requests, promised, &path)?;
        if overrides.insert(sha256(&written.sha256, &path)?, bucket).is_some() {
            return Err(refuse(
                format!("{path}.sha256"),
                "found the same client twice, accepted is each once",
            ));
        }
    }
    let place = identities.iter().position(|known| *known == identity);
    let place = place.unwrap_or_else(|| {
        identities.push(identity);
        identities.len().saturating_sub(1)
    });
    let (when, models) = raw.when.parts();
    let when_path = format!("{path}.when");
    Ok(Limit {
        identity: place,
        mark: Fingerprinter::new([0; 16]).of([raw.name.as_bytes()]).mark,
        requests: requests(&raw.requests, promised, path)?,
        overrides,
        shadow: raw.shadow,
        needs_model: per_model || models.is_some(),
        models: models.map(|names| Models::new(&names, &format!("{when_path}.model"))).transpose()?,
        when: When::new(when, &when_path)?,
        name: raw.name,
    })
}

fn identity(per: &[String], path: &str) -> Result<Identity, ConfigError> {
    let mut parts = Vec::with_capacity(per.len());
    for (index, name) in per.iter().enumerate() {
        let path = format!("{path}.per[{index}]");
        let part = match (name.as_str(), name.strip_prefix("header:")) {
            ("client", _) => Part::Client,
            ("address", _) => Part::Address,
            ("path", _) => Part::Path,
            ("method", _) => Part::Method,
            (_, Some(header)) => Part::Header(header_name(header, &path)?),
            ("model", _) => Part::Model,
            (other, _) => {
                let problem = format!(
                    "found {other:?}, accepted are client, address, model, path, method and header:<name>"
                );
                return Err(refuse(path, problem));
            }
        };
        if parts.contains(&part) {
            return Err(refuse(path, format!("found {name:?} a second time, accepted is each once")));
        }
        parts.push(part);
    }
    Ok(Identity { parts })
}

fn requests(raw: &RawRequests, promised: Duration, path: &str) -> Result<Requests, ConfigError> {
    let (WrittenRate(rate), Whole(burst)) = (raw.rate, raw.burst);
    let per = match rate.period.as_secs() {
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    };
    match Bucket::new(rate, burst) {
        Ok(bucket) => Ok(Requests {
            bucket: bucket.promising(promised),
            text: match rate.requests {
                1 => format!("1 request per {per}, bursts of {burst}"),
                many => format!("{many} requests per {per}, bursts of {burst}"),
            },
        }),
        Err(invalid) => {
            let found = format!("found {} per {per} with a burst of {burst}; {invalid}", rate.requests);
            Err(refuse(format!("{path}.requests"), found))
        }
    }
}

fn sha256(hex: &str, path: &str) -> Result<[u8; 32], ConfigError> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Option<Vec<u8>> = digits
        .map(|digits| digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect());
    let hash = bytes.filter(|_| hex.len() == 64).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    hash.ok_or_else(|| {
        let problem = format!(
            "found {} characters, accepted are the 64 hexadecimal digits of the key's SHA-256 \
             (printf %s \"$KEY\" | sha256sum)",
            hex.chars().count()
        );
        refuse(format!("{path}.sha256"), problem)
    })
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
