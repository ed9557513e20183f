//! From the document as written ([`Raw`]) to a budget that can be enforced ([`Config`]). Whatever cannot be enforced
//! is refused here, with its path, what was found and what is accepted. Everything has a default that protects; the
//! proxy's own retries are left as its routes say unless `upstream` is written.

use core::time::Duration;
use tidegate_host::config::{ConfigError, FailureMode, parse};
use tidegate_host::notation::{Whole, WrittenRatio, WrittenSize, WrittenSpan};
use tidegate_limits::attempt::RetryHeaders;
use tidegate_limits::client::{ClientSources, header_name};
use tidegate_policy::attempt;
use tidegate_policy::retry_budget::{self, Budget, InvalidBudget};
use tidegate_policy::retry_hint::{Hints, InvalidHints};
use tidegate_policy::slot_key::Prefix;
use tidegate_policy::slots::Table;
use written::{Raw, RawHints, RawSilentRetries, RawUpstream};

mod written;

const MAX_MEMORY: u64 = 1 << 30;
const MIN_MEMORY: u64 = 64 << 10;
const MEMORY: WrittenSize = WrittenSize(16 << 20);
const FAILURES_MEMORY: WrittenSize = WrittenSize(4 << 20);
const MAX_SILENT_WINDOW: Duration = Duration::from_secs(600);
const DEFAULT_RATIO: &str = "0.2";

/// What Envoy accepts in `x-envoy-retry-on` and can decide on before a response has begun.
const RETRY_ON: [&str; 9] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "http3-post-connect-failure",
];

const DEFAULT_RETRY_ON: &str = "connect-failure,refused-stream,reset";

/// Everything that can be enforced.
#[derive(Debug)]
pub struct Config {
    /// The budget of each client, and that of the cluster.
    pub budget: Budget,
    /// Whether each client has one.
    pub per_client: bool,
    /// Whether the cluster has one.
    pub per_cluster: bool,
    /// What the proxy may retry itself, if that is decided here.
    pub upstream: Option<Upstream>,
    /// What clients are told.
    pub hints: Hints,
    /// Where clients say which attempt a request is.
    pub retry_headers: RetryHeaders,
    /// How retries are known of clients that do not say so, if they are.
    pub silent_retries: Option<SilentRetries>,
    /// How clients are told apart.
    pub clients: ClientSources,
    /// Where the budgets live.
    pub table: Table,
    /// What happens to a retry whose budget cannot be looked at.
    pub failure_mode: FailureMode,
    /// Whether it only counts.
    pub shadow: bool,
}

/// What the proxy may retry itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The value of `x-envoy-retry-on`.
    pub retry_on: String,
    /// At most so often, at least 1.
    pub max_retries: u32,
    methods: Vec<Vec<u8>>,
    headers: Vec<Vec<u8>>,
}

impl Upstream {
    /// Whether a request is safe to repeat: by its method, or by a header that says so.
    pub fn is_repeatable(&self, method: &[u8], has_header: impl Fn(&[u8]) -> bool) -> bool {
        self.methods.iter().any(|safe| safe == method) || self.headers.iter().any(|name| has_header(name))
    }
}

/// How retries are known of clients that do not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentRetries {
    /// For how long after a failure the same request is its retry, in nanoseconds.
    pub window: u64,
    /// Where failures are remembered.
    pub table: Table,
    /// Whether the upstream hears nothing of a request until it is known which attempt it is.
    pub hold_headers: bool,
}

impl Config {
    /// From a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let [per_client, per_cluster] = per(raw.per)?;
        let ttl = raw.ttl.map_or(Duration::from_secs(10), |WrittenSpan(ttl)| ttl);
        let ratio = raw.ratio.map_or_else(|| DEFAULT_RATIO.parse(), |WrittenRatio(ratio)| Ok(ratio));
        let ratio = ratio.map_err(|invalid| refuse("ratio", invalid.to_string()))?;
        let min = raw.min_retries_per_second.map_or(10, |Whole(min)| min);
        let budget = Budget::new(ttl, ratio, min).map_err(|invalid| match invalid {
            InvalidBudget::Ttl => refuse("ttl", format!("found {ttl:?}, {invalid}")),
            InvalidBudget::MinRetriesTooMany => {
                refuse("min_retries_per_second", format!("found {min}, {invalid}"))
            }
        })?;
        Ok(Self {
            budget,
            per_client,
            per_cluster,
            upstream: raw.upstream.map(upstream).transpose()?,
            hints: hints(raw.hints)?,
            retry_headers: RetryHeaders::new(raw.retry_headers)?,
            silent_retries: raw.silent_retries.map(silent_retries).transpose()?,
            clients: ClientSources::new(raw.client, raw.address)?,
            table: table(*b"tidegate.rt.", raw.memory.unwrap_or(MEMORY), retry_budget::SET_BYTES, "memory")?,
            failure_mode: raw.failure_mode,
            shadow: raw.shadow,
        })
    }
}

fn per(written: Option<Vec<String>>) -> Result<[bool; 2], ConfigError> {
    let Some(names) = written else { return Ok([true, false]) };
    if names.is_empty() {
        return Err(refuse("per", "found an empty list, accepted are client, cluster or both"));
    }
    let (mut client, mut cluster) = (false, false);
    for (index, name) in names.iter().enumerate() {
        let path = format!("per[{index}]");
        let chosen = match name.as_str() {
            "client" => &mut client,
            "cluster" => &mut cluster,
            other => return Err(refuse(path, format!("found {other:?}, accepted are client and cluster"))),
        };
        if core::mem::replace(chosen, true) {
            return Err(refuse(path, format!("found {name:?} a second time, accepted is each once")));
        }
    }
    Ok([client, cluster])
}

fn upstream(raw: RawUpstream) -> Result<Upstream, ConfigError> {
    let written = raw.retry_on.unwrap_or_else(|| DEFAULT_RETRY_ON.to_owned());
    let conditions: Vec<&str> = written.split(',').map(str::trim).collect();
    if let Some(other) = conditions.iter().find(|condition| !RETRY_ON.contains(condition)) {
        let problem = format!("found {other:?}, accepted are {}, with commas between", RETRY_ON.join(", "));
        return Err(refuse("upstream.retry_on", problem));
    }
    let max_retries = raw.max_retries.map_or(2, |Whole(count)| count);
    if !(1..=10).contains(&max_retries) {
        return Err(refuse("upstream.max_retries", format!("found {max_retries}, accepted is 1 to 10")));
    }
    let methods = raw.methods.unwrap_or_else(|| ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec());
    for (index, method) in methods.iter().enumerate() {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            let problem = format!("found {method:?}, accepted is a method in capitals such as POST");
            return Err(refuse(format!("upstream.methods[{index}]"), problem));
        }
    }
    let headers = raw.headers.unwrap_or_else(|| vec!["idempotency-key".to_owned()]);
    let names = headers.iter().enumerate();
    let names: Result<Vec<_>, _> =
        names.map(|(index, name)| header_name(name, &format!("upstream.headers[{index}]"))).collect();
    Ok(Upstream {
        retry_on: conditions.join(","),
        max_retries,
        methods: methods.into_iter().map(String::into_bytes).collect(),
        headers: names?,
    })
}

fn hints(raw: RawHints) -> Result<Hints, ConfigError> {
    let base = raw.base.map_or(Duration::from_secs(1), |WrittenSpan(base)| base);
    let max = raw.max.map_or(Duration::from_secs(60), |WrittenSpan(max)| max);
    let attempts = raw.attempts.map_or(3, |Whole(attempts)| attempts);
    Hints::new(base, max, attempts).map_err(|invalid| match invalid {
        InvalidHints::Base => refuse("hints.base", format!("found {base:?}, {invalid}")),
        InvalidHints::Max => refuse("hints.max", format!("found {max:?}, {invalid}")),
        InvalidHints::Attempts => refuse("hints.attempts", format!("found {attempts}, {invalid}")),
    })
}

fn silent_retries(raw: RawSilentRetries) -> Result<SilentRetries, ConfigError> {
    let WrittenSpan(window) = raw.window;
    let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
    if window.is_zero() || window > MAX_SILENT_WINDOW {
        let problem = format!("found {window:?}, accepted is 1ms to {}s", MAX_SILENT_WINDOW.as_secs());
        return Err(refuse("silent_retries.window", problem));
    }
    let memory = raw.memory.unwrap_or(FAILURES_MEMORY);
    let table = table(*b"tidegate.rf.", memory, attempt::SET_BYTES, "silent_retries.memory")?;
    Ok(SilentRetries { window: nanos, table, hold_headers: raw.hold_headers })
}

fn table(
    prefix: Prefix,
    WrittenSize(memory): WrittenSize,
    set: u64,
    path: &str,
) -> Result<Table, ConfigError> {
    let table = Table::of_sets(prefix, set, memory).filter(|_| (MIN_MEMORY..=MAX_MEMORY).contains(&memory));
    table.ok_or_else(|| refuse(path, format!("found {memory}B, accepted is 64KiB to 1GiB")))
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
