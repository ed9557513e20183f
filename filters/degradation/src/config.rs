//! From the document as written ([`Raw`]) to what can be enforced ([`Config`]). Whatever cannot be enforced is
//! refused here, with its path, what was found and what is accepted. An empty document has a breaker, a timeout and an
//! error that says when to come back.

use core::time::Duration;
pub use scope::Scope;
use std::collections::BTreeSet;
use tidegate_host::config::{ConfigError, parse};
use tidegate_host::notation::{Whole, WrittenRatio, WrittenSpan};
use tidegate_limits::client::{ClientSources, header_name};
use tidegate_policy::answer_cache::AnswerCache;
use tidegate_policy::breaker::{Breaker, BreakerRule, InvalidBreaker};
use tidegate_policy::health::{HealthRule, InvalidHealth};
use tidegate_policy::path::is_beneath;
use tidegate_policy::ratio::Ratio;
use tidegate_policy::retry_hint::{Hints, InvalidHints};
use tidegate_policy::tier::{Switch, Tiers};
use written::{Raw, RawBreaker, RawHeader, RawHints, RawTimeout};

mod scope;
mod tiers;
mod written;

const MAX_LIST: usize = 64;
const MAX_SPAN: Duration = Duration::from_secs(86_400);
const MAX_HELD: u32 = 65_536;
const DEFAULT_HELD: u32 = 1_024;
/// After how long a probe makes room for another, at most, in nanoseconds: 2 s.
const PROBE_TTL: u64 = 2_000_000_000;

/// Everything that can be enforced.
#[derive(Debug)]
pub struct Config {
    /// How health is measured.
    pub health: HealthRule,
    /// When requests reach the cluster.
    pub breaker: Breaker,
    /// When each tier is on.
    pub switches: Tiers<Switch>,
    /// What less work is.
    pub reduce: Option<Reduce>,
    /// Which answers are kept.
    pub cached: Option<Cached>,
    /// What is said when nothing else is left.
    pub default: Fallback,
    /// When clients are told to come back.
    pub hints: Hints,
    /// How long answers may take.
    pub timeouts: Timeouts,
    /// Models whose health is measured apart.
    pub models: Vec<String>,
    /// Requests that are never degraded: with such a header, and of this value if there is one.
    pub opt_out: Vec<HeaderMatch>,
    /// How clients are told apart.
    pub clients: ClientSources,
    /// Whether requests are held until their bodies are known, and answers that stream until they have content.
    pub hold_headers: bool,
    /// How many requests one worker may hold.
    pub max_held: usize,
    /// Whether it only counts.
    pub shadow: bool,
}

/// A header's name, and its value if that matters.
pub type HeaderMatch = (Vec<u8>, Option<Vec<u8>>);

/// How long answers may take: until they are complete, or, of those that stream, until their first content.
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

/// What less work is.
#[derive(Debug)]
pub struct Reduce {
    /// Completion tokens at most.
    pub clamp_completion_tokens: Option<u32>,
    /// What is not done.
    pub drop: BTreeSet<Extra>,
    /// Beginnings of paths that are refused.
    pub refuse_paths: Vec<Vec<u8>>,
    /// The model that answers instead.
    pub model: Option<String>,
}

/// Work that a client can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// Log probabilities.
    Logprobs,
    /// More than one choice.
    Choices,
    /// More completions than are answered.
    BestOf,
    /// Tools.
    Tools,
}

/// Which answers are kept, and given to whom.
#[derive(Debug)]
pub struct Cached {
    /// Where.
    pub answers: AnswerCache,
    /// The longest, in bytes.
    pub longest: usize,
    /// Nanoseconds for which they are given while the cluster is healthy, too.
    pub fresh: u64,
    /// To whom.
    pub scope: Scope,
    /// Headers that are part of every question.
    pub asked: BTreeSet<Vec<u8>>,
}

/// What is said when nothing else is left.
#[derive(Debug)]
pub struct Fallback {
    /// 200 for an ordinary answer, else an error.
    pub status: Option<u16>,
    /// In plain words.
    pub message: String,
}

impl Extra {
    pub(crate) const ALL: [Self; 4] = [Self::Logprobs, Self::Choices, Self::BestOf, Self::Tools];

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
    /// Nanoseconds that an answer may take where no rule says otherwise.
    pub const fn usual(&self) -> u64 {
        self.usual
    }

    /// Nanoseconds that an answer may take: of the first rule that matches, else the usual.
    pub fn of(&self, path: &[u8], model: Option<&str>) -> u64 {
        let matches = |rule: &&Timeout| {
            is_beneath(path, &rule.path_prefix)
                && rule.model.as_deref().is_none_or(|name| model == Some(name))
        };
        self.others.iter().find(matches).map_or(self.usual, |rule| rule.timeout)
    }

    /// Whether the path matters.
    pub const fn differ(&self) -> bool {
        !self.others.is_empty()
    }
}

impl Config {
    /// From a JSON document.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let timeouts = timeouts(raw.timeout, raw.timeouts)?;
        let min_requests = raw.breaker.min_requests.map_or(20, |Whole(count)| count);
        let (reduce_at, reduce) = tiers::reduce(raw.tiers.reduce, min_requests)?;
        let clients = ClientSources::new(raw.client, raw.address)?;
        let (cached_at, cached) = tiers::cached(raw.tiers.cached, min_requests, &clients)?;
        let (default_at, default) = tiers::default(raw.tiers.default, min_requests)?;
        let max_held = raw.max_held.map_or(DEFAULT_HELD, |Whole(count)| count);
        if !(1..=MAX_HELD).contains(&max_held) {
            return Err(refuse("max_held", format!("found {max_held}, accepted is 1 to {MAX_HELD}")));
        }
        if raw.models.len() > MAX_LIST {
            let problem = format!("found {}, accepted are at most {MAX_LIST}", raw.models.len());
            return Err(refuse("models", problem));
        }
        for (index, model) in raw.models.iter().enumerate() {
            tiers::model_name(model, &format!("models[{index}]"))?;
        }
        let (health, breaker) = breaker(raw.breaker, min_requests, timeouts.usual)?;
        Ok(Self {
            health,
            breaker,
            switches: Tiers { reduce: reduce_at, cached: cached_at, default: default_at },
            reduce,
            cached,
            default,
            hints: hints(&raw.hints)?,
            timeouts,
            models: raw.models,
            opt_out: opt_out(raw.opt_out)?,
            clients,
            hold_headers: raw.hold_headers,
            max_held: usize::try_from(max_held).unwrap_or(usize::MAX),
            shadow: raw.shadow,
        })
    }
}

fn timeouts(usual: Option<WrittenSpan>, others: Vec<RawTimeout>) -> Result<Timeouts, ConfigError> {
    if others.len() > MAX_LIST {
        let problem = format!("found {}, accepted are at most {MAX_LIST}", others.len());
        return Err(refuse("timeouts", problem));
    }
    let usual = nanos(span(usual, Duration::from_secs(60), "timeout")?);
    let others = others.into_iter().enumerate().map(|(index, raw)| {
        let at = |member: &str| format!("timeouts[{index}].{member}");
        if let Some(path) = &raw.path_prefix {
            tiers::canonical(path, &at("path_prefix"))?;
        }
        Ok(Timeout {
            path_prefix: raw.path_prefix.unwrap_or_default().into_bytes(),
            model: raw.model,
            timeout: nanos(span(Some(raw.timeout), Duration::ZERO, &at("timeout"))?),
        })
    });
    Ok(Timeouts { usual, others: others.collect::<Result<_, _>>()? })
}

fn breaker(raw: RawBreaker, min_requests: u32, timeout: u64) -> Result<(HealthRule, Breaker), ConfigError> {
    let seconds = Duration::from_secs;
    let window = raw.window.map_or(seconds(10), |WrittenSpan(window)| window);
    let after = raw.slow.as_ref().map_or(Duration::from_nanos(timeout), |slow| slow.after.0);
    let health = HealthRule::new(window, after).map_err(|invalid| match invalid {
        InvalidHealth::Window => refuse("breaker.window", format!("found {window:?}, {invalid}")),
        InvalidHealth::ZeroSlowAfter => refuse("breaker.slow.after", format!("found 0, {invalid}")),
    })?;
    let slow_ratio = raw.slow.map(|slow| ratio(Some(slow.ratio), 0, "breaker.slow.ratio")).transpose()?;
    let probes = raw.probes.map_or(3, |Whole(probes)| probes);
    let open_for = span(raw.open_for, seconds(5), "breaker.open_for")?;
    let max_open_for = raw.max_open_for.map_or(seconds(60).max(open_for), |WrittenSpan(longest)| longest);
    let rule = BreakerRule {
        min_requests,
        error_ratio: ratio(raw.error_ratio, 500_000, "breaker.error_ratio")?,
        slow_ratio,
        open_for: nanos(open_for),
        max_open_for: nanos(span(Some(WrittenSpan(max_open_for)), seconds(60), "breaker.max_open_for")?),
        probes,
        probe_ttl: timeout.min(nanos(after)).min(PROBE_TTL),
    };
    let breaker = Breaker::new(rule).map_err(|invalid| match invalid {
        InvalidBreaker::ZeroRequests => refuse("breaker.min_requests", format!("found 0, {invalid}")),
        InvalidBreaker::ZeroRatio => {
            let slow = slow_ratio == Some(Ratio::default());
            refuse(
                if slow { "breaker.slow.ratio" } else { "breaker.error_ratio" },
                format!("found 0, {invalid}"),
            )
        }
        InvalidBreaker::Probes => refuse("breaker.probes", format!("found {probes}, {invalid}")),
        InvalidBreaker::CapBelowFirst => {
            refuse("breaker.max_open_for", format!("found {max_open_for:?}, {invalid}"))
        }
        InvalidBreaker::ZeroOpen | InvalidBreaker::ZeroTtl => {
            refuse("breaker.open_for", format!("found {open_for:?}, {invalid}"))
        }
    })?;
    Ok((health, breaker))
}

fn hints(raw: &RawHints) -> Result<Hints, ConfigError> {
    let base = raw.base.map_or(Duration::from_secs(1), |WrittenSpan(base)| base);
    let max = raw.max.map_or(Duration::from_secs(60), |WrittenSpan(max)| max);
    Hints::new(base, max, 100).map_err(|invalid| match invalid {
        InvalidHints::Base => refuse("hints.base", format!("found {base:?}, {invalid}")),
        InvalidHints::Max | InvalidHints::Attempts => {
            refuse("hints.max", format!("found {max:?}, {invalid}"))
        }
    })
}

fn opt_out(written: Vec<RawHeader>) -> Result<Vec<HeaderMatch>, ConfigError> {
    if written.len() > MAX_LIST {
        let problem = format!("found {}, accepted are at most {MAX_LIST}", written.len());
        return Err(refuse("opt_out", problem));
    }
    let headers = written.into_iter().enumerate().map(|(index, raw)| {
        let name = header_name(&raw.header, &format!("opt_out[{index}].header"))?;
        Ok((name, raw.value.map(String::into_bytes)))
    });
    headers.collect()
}

fn ratio(written: Option<WrittenRatio>, default: u32, path: &str) -> Result<Ratio, ConfigError> {
    let millionths = written.map_or(u64::from(default), |WrittenRatio(ratio)| ratio.millionths());
    let ratio = u32::try_from(millionths).ok().and_then(Ratio::from_millionths);
    ratio.ok_or_else(|| refuse(path, "found more than 1, accepted is 0 to 1"))
}

fn span(written: Option<WrittenSpan>, default: Duration, path: &str) -> Result<Duration, ConfigError> {
    let span = written.map_or(default, |WrittenSpan(span)| span);
    if span.is_zero() || span > MAX_SPAN {
        return Err(refuse(path, format!("found {span:?}, accepted is 1ms to 24h")));
    }
    Ok(span)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
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
