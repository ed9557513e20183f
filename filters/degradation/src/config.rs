//! The conversion of the document as written ([`Raw`]) into an enforceable [`Config`]. A value that cannot be
//! enforced is refused with its path, what was found and what is accepted. An empty document has a breaker, a
//! timeout, and an error that says when to retry.

use core::time::Duration;
pub use scope::Scope;
use std::collections::BTreeSet;
use tidegate_config::list::List;
use tidegate_config::range::{Fraction, ONE};
use tidegate_config::{ConfigError, parse};
use tidegate_limits::client::ClientSources;
use tidegate_policy::answer_cache::AnswerCache;
use tidegate_policy::breaker::{Breaker, BreakerRule, InvalidBreaker};
use tidegate_policy::health::{HealthRule, InvalidHealth};
use tidegate_policy::path::is_beneath;
use tidegate_policy::ratio::Ratio;
use tidegate_policy::retry_hint::{Hints, InvalidHints};
use tidegate_policy::tier::{Switch, Tiers};
use written::{Raw, RawBreaker, RawHeader, RawHints, RawTimeout};

mod scope;
mod status;
mod tiers;
mod written;

const MAX_LIST: usize = 64;
/// Default of the longest time for which a breaker stays open, in nanoseconds: 60 s.
const MAX_OPEN_FOR: u64 = 60_000_000_000;
/// Maximum time after which a probe's slot is freed for another, in nanoseconds: 2 s.
const PROBE_TTL: u64 = 2_000_000_000;

/// The enforceable configuration.
#[derive(Debug)]
pub struct Config {
    /// How health is measured.
    pub health: HealthRule,
    /// When requests reach the cluster.
    pub breaker: Breaker,
    /// When each tier is on.
    pub switches: Tiers<Switch>,
    /// How requests are reduced.
    pub reduce: Option<Reduce>,
    /// Which responses are cached.
    pub cached: Option<Cached>,
    /// Response of last resort.
    pub default: Fallback,
    /// When clients are told to retry.
    pub hints: Hints,
    /// Timeouts of responses.
    pub timeouts: Timeouts,
    /// Models whose health is measured separately.
    pub models: Vec<String>,
    /// Headers, with a value if it matters, that exempt a request from degradation.
    pub opt_out: Vec<HeaderMatch>,
    /// How clients are identified.
    pub clients: ClientSources,
    /// True if requests are held until their bodies are known, and streaming responses until they have content.
    pub hold_headers: bool,
    /// Maximum number of requests that one worker may hold.
    pub max_held: usize,
    /// True in shadow mode.
    pub shadow: bool,
}

/// A header's name, and its value if that matters.
pub type HeaderMatch = (Vec<u8>, Option<Vec<u8>>);

/// The timeouts of responses: until complete or, for streaming responses, until their first content.
#[derive(Debug)]
pub struct Timeouts {
    usual: u64,
    others: Vec<Timeout>,
}

#[derive(Debug)]
struct Timeout {
    path_prefix: Vec<u8>,
    model: Option<String>,
    timeout: u64,
}

/// The reductions of a request.
#[derive(Debug)]
pub struct Reduce {
    /// Maximum number of completion tokens.
    pub clamp_completion_tokens: Option<u32>,
    /// Work that is left out.
    pub drop: BTreeSet<Extra>,
    /// Prefixes of paths that are refused.
    pub refuse_paths: Vec<Vec<u8>>,
    /// Model that responds instead.
    pub model: Option<String>,
}

/// Work that a client can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Log probabilities.
    Logprobs,
    /// More than one choice.
    #[serde(rename = "n")]
    Choices,
    /// Candidates that are generated but not returned.
    BestOf,
    /// Tools.
    Tools,
}

/// The responses that are cached, and the clients that they are sent to.
#[derive(Debug)]
pub struct Cached {
    /// Dimensions of the cache.
    pub answers: AnswerCache,
    /// Maximum size of a response, in bytes.
    pub longest: usize,
    /// Maximum age of cached responses that are sent while the cluster is healthy, in nanoseconds.
    pub fresh: u64,
    /// Clients that a cached response is sent to.
    pub scope: Scope,
    /// Headers that are part of every question.
    pub asked: BTreeSet<Vec<u8>>,
}

/// The response of last resort.
#[derive(Debug)]
pub struct Fallback {
    /// 200 for an ordinary response, else the status of an error.
    pub status: Option<u16>,
    /// Message for humans.
    pub message: String,
}

impl Extra {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Logprobs => "logprobs",
            Self::Choices => "n",
            Self::BestOf => "best_of",
            Self::Tools => "tools",
        }
    }
}

impl Timeouts {
    /// Returns the timeout where no rule applies, in nanoseconds.
    pub const fn usual(&self) -> u64 {
        self.usual
    }

    /// Returns the timeout of the first rule that matches, else the usual one, in nanoseconds.
    pub fn of(&self, path: &[u8], model: Option<&str>) -> u64 {
        let matches = |rule: &&Timeout| {
            is_beneath(path, &rule.path_prefix)
                && rule.model.as_deref().is_none_or(|name| model == Some(name))
        };
        self.others.iter().find(matches).map_or(self.usual, |rule| rule.timeout)
    }

    /// Returns true if the path matters.
    pub const fn differ(&self) -> bool {
        !self.others.is_empty()
    }
}

impl Config {
    /// Parses a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let timeouts = timeouts(raw.timeout.nanos(), raw.timeouts);
        let min_requests = raw.breaker.min_requests.number();
        let (reduce_at, reduce) = tiers::reduce(raw.tiers.reduce, min_requests)?;
        let clients = ClientSources::new(raw.client, raw.address)?;
        let (cached_at, cached) = tiers::cached(raw.tiers.cached, min_requests, &clients)?;
        let (default_at, default) = tiers::default(raw.tiers.default, min_requests)?;
        let (health, breaker) = breaker(&raw.breaker, timeouts.usual)?;
        Ok(Self {
            health,
            breaker,
            switches: Tiers { reduce: reduce_at, cached: cached_at, default: default_at },
            reduce,
            cached,
            default,
            hints: hints(&raw.hints)?,
            timeouts,
            models: raw.models.into_iter().map(|model| model.into_string()).collect(),
            opt_out: opt_out(raw.opt_out),
            clients,
            hold_headers: raw.hold_headers,
            max_held: raw.max_held.length(),
            shadow: raw.shadow,
        })
    }
}

fn timeouts(usual: u64, others: List<RawTimeout, 0, MAX_LIST>) -> Timeouts {
    let others = others.into_iter().map(|raw| Timeout {
        path_prefix: raw.path_prefix.map(|prefix| prefix.into_bytes()).unwrap_or_default(),
        model: raw.model,
        timeout: raw.timeout.nanos(),
    });
    Timeouts { usual, others: others.collect() }
}

fn breaker(raw: &RawBreaker, timeout: u64) -> Result<(HealthRule, Breaker), ConfigError> {
    let RawBreaker { window, min_requests, error_ratio, slow, open_for, max_open_for, probes } = raw;
    let after = slow.as_ref().map_or(timeout, |slow| slow.after.nanos());
    let health = HealthRule::new(window.duration(), Duration::from_nanos(after));
    let health = health.map_err(|invalid| match invalid {
        InvalidHealth::Window => refuse("breaker.window", invalid),
        InvalidHealth::ZeroSlowAfter => refuse("breaker.slow.after", invalid),
    })?;
    let max_open_for = max_open_for.map_or(open_for.nanos().max(MAX_OPEN_FOR), |longest| longest.nanos());
    let rule = BreakerRule {
        min_requests: min_requests.number(),
        error_ratio: ratio(*error_ratio),
        slow_ratio: slow.as_ref().map(|slow| ratio(slow.ratio)),
        open_for: open_for.nanos(),
        max_open_for,
        probes: probes.number(),
        probe_ttl: timeout.min(after).min(PROBE_TTL),
    };
    let breaker = Breaker::new(rule).map_err(|invalid| match invalid {
        InvalidBreaker::CapBelowFirst => {
            let found = Duration::from_nanos(max_open_for);
            refuse("breaker.max_open_for", format!("found {found:?}, {invalid}"))
        }
        InvalidBreaker::ZeroRequests
        | InvalidBreaker::ZeroRatio
        | InvalidBreaker::Probes
        | InvalidBreaker::ZeroOpen
        | InvalidBreaker::ZeroTtl => refuse("breaker", invalid),
    })?;
    Ok((health, breaker))
}

fn hints(RawHints { base, max }: &RawHints) -> Result<Hints, ConfigError> {
    Hints::new(base.duration(), max.duration(), 100).map_err(|invalid| match invalid {
        InvalidHints::Base => refuse("hints.base", format!("found {base:?}, {invalid}")),
        InvalidHints::Max | InvalidHints::Attempts => refuse("hints.max", invalid),
    })
}

fn opt_out(written: List<RawHeader, 0, MAX_LIST>) -> Vec<HeaderMatch> {
    let header = |raw: RawHeader| (raw.header.in_lower_case(), raw.value.map(String::into_bytes));
    written.into_iter().map(header).collect()
}

/// Converts a fraction that is at most 1.
fn ratio<const MIN: u64, const DEFAULT: u64>(written: Fraction<MIN, ONE, DEFAULT>) -> Ratio {
    u32::try_from(written.get()).ok().and_then(Ratio::from_millionths).unwrap_or_default()
}

fn refuse(path: impl Into<String>, problem: impl ToString) -> ConfigError {
    ConfigError::new(path, problem.to_string())
}

/// Returns the JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
