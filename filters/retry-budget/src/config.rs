//! The conversion of the document as written ([`Raw`]) into an enforceable [`Config`]. A value that cannot be
//! enforced is refused with its path, what was found and what is accepted. Every key has a default that protects; the
//! proxy's own retries follow its routes unless `upstream` is set.

use retry_on::conditions;
use tidegate_config::range::Size;
use tidegate_config::{ConfigError, FailureMode, parse};
use tidegate_limits::attempt::RetryHeaders;
use tidegate_limits::client::ClientSources;
use tidegate_policy::attempt;
use tidegate_policy::retry_budget::{self, Budget, InvalidBudget, Ratio};
use tidegate_policy::retry_hint::{Hints, InvalidHints};
use tidegate_policy::slot_key::Prefix;
use tidegate_policy::slots::Table;
use written::{Owner, Raw, RawHints, RawSilentRetries, RawUpstream};

mod retry_on;
mod written;

/// The enforceable configuration.
#[derive(Debug)]
pub struct Config {
    /// The budget of each client, and of the cluster.
    pub budget: Budget,
    /// True if each client has a budget.
    pub per_client: bool,
    /// True if the cluster has a budget.
    pub per_cluster: bool,
    /// Retry policy of the proxy, if it is set here.
    pub upstream: Option<Upstream>,
    /// When clients are told to retry.
    pub hints: Hints,
    /// Headers in which clients state the attempt of a request.
    pub retry_headers: RetryHeaders,
    /// How retries are recognised if clients do not state them, if at all.
    pub silent_retries: Option<SilentRetries>,
    /// How clients are identified.
    pub clients: ClientSources,
    /// The table in which budgets are kept.
    pub table: Table,
    /// Treatment of a retry whose budget cannot be accessed.
    pub failure_mode: FailureMode,
    /// True in shadow mode.
    pub shadow: bool,
}

/// The retry policy of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Value of `x-envoy-retry-on`.
    pub retry_on: String,
    /// Maximum number of retries, at least 1.
    pub max_retries: u32,
    methods: Vec<Vec<u8>>,
    headers: Vec<Vec<u8>>,
}

impl Upstream {
    /// Returns true if a request is safe to repeat, by its method or by a header that says so.
    pub fn is_repeatable(&self, method: &[u8], has_header: impl Fn(&[u8]) -> bool) -> bool {
        self.methods.iter().any(|safe| safe == method) || self.headers.iter().any(|name| has_header(name))
    }
}

/// The recognition of retries that clients do not state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentRetries {
    /// Time after a failure within which the same request counts as its retry, in nanoseconds.
    pub window: u64,
    /// The table in which failures are remembered.
    pub table: Table,
    /// True if no part of a request is sent upstream before its attempt is known.
    pub hold_headers: bool,
}

impl Config {
    /// Parses a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let [per_client, per_cluster] =
            per(raw.per.or_else(written::each_client).as_deref().unwrap_or_default())?;
        let ratio = Ratio::from_millionths(raw.ratio.get()).unwrap_or_default();
        let budget = Budget::new(raw.ttl.duration(), ratio, raw.min_retries_per_second.number());
        Ok(Self {
            budget: budget.map_err(|invalid| match invalid {
                InvalidBudget::Ttl => refuse("ttl", &invalid),
                InvalidBudget::MinRetriesTooMany => refuse("min_retries_per_second", &invalid),
            })?,
            per_client,
            per_cluster,
            upstream: raw.upstream.map(upstream),
            hints: hints(&raw.hints)?,
            retry_headers: RetryHeaders::new(raw.retry_headers)?,
            silent_retries: raw.silent_retries.map(silent_retries).transpose()?,
            clients: ClientSources::new(raw.client, raw.address)?,
            table: table(*b"tidegate.rt.", raw.memory, retry_budget::SET_BYTES, "memory")?,
            failure_mode: raw.failure_mode,
            shadow: raw.shadow,
        })
    }
}

fn per(owners: &[Owner]) -> Result<[bool; 2], ConfigError> {
    if let [first, second] = owners
        && first == second
    {
        let name = if *first == Owner::Client { "client" } else { "cluster" };
        return Err(refuse("per[1]", &format!("found {name:?} a second time, accepted is each once")));
    }
    Ok([Owner::Client, Owner::Cluster].map(|owner| owners.contains(&owner)))
}

fn upstream(raw: RawUpstream) -> Upstream {
    let retry_on = raw.retry_on.or_else(written::usual_conditions);
    let retry_on = retry_on.as_ref().map_or("", |written| written.as_str());
    let methods = raw.methods.or_else(written::safe_methods).unwrap_or_default();
    let headers = raw.headers.or_else(written::safe_headers).unwrap_or_default();
    Upstream {
        retry_on: conditions(retry_on).collect::<Vec<_>>().join(","),
        max_retries: raw.max_retries.number(),
        methods: methods.into_iter().map(|method| method.into_bytes()).collect(),
        headers: headers.iter().map(|name| name.in_lower_case()).collect(),
    }
}

fn hints(raw: &RawHints) -> Result<Hints, ConfigError> {
    let RawHints { base, max, attempts } = raw;
    Hints::new(base.duration(), max.duration(), attempts.number()).map_err(|invalid| match invalid {
        InvalidHints::Base => refuse("hints.base", &format!("found {base:?}, {invalid}")),
        InvalidHints::Max => refuse("hints.max", &invalid),
        InvalidHints::Attempts => refuse("hints.attempts", &invalid),
    })
}

fn silent_retries(raw: RawSilentRetries) -> Result<SilentRetries, ConfigError> {
    let RawSilentRetries { window, hold_headers, memory } = raw;
    let table = table(*b"tidegate.rf.", memory, attempt::SET_BYTES, "silent_retries.memory")?;
    Ok(SilentRetries { window: window.nanos(), table, hold_headers })
}

fn table<const MIN: u64, const MAX: u64, const DEFAULT: u64>(
    prefix: Prefix,
    memory: Size<MIN, MAX, DEFAULT>,
    set: u64,
    path: &str,
) -> Result<Table, ConfigError> {
    Table::of_sets(prefix, set, memory.get()).ok_or_else(|| refuse(path, &"found too little for a table"))
}

fn refuse(path: &str, problem: &impl ToString) -> ConfigError {
    ConfigError::new(path, problem.to_string())
}

/// Returns the JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
