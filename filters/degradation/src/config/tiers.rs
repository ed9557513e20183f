//! The conversion of the three tiers as written into their switches and effects.

use super::scope::Scope;
use super::written::{self, RawAt, RawCached, RawDefault, RawReduce};
use super::{Cached, Fallback, Reduce, ratio, refuse};
use tidegate_config::ConfigError;
use tidegate_config::range::{DAY, Fraction, ONE, SECOND, Span};
use tidegate_limits::client::ClientSources;
use tidegate_policy::answer_cache::{AnswerCache, InvalidCache};
use tidegate_policy::tier::{InvalidTier, Switch, Thresholds, TierRule};

/// Headers that are part of every question.
const ASKED: [&str; 3] = [":authority", ":path", "content-type"];
/// Headers that identify the client to a server, part of every question unless clients share responses.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "cookie"];

/// The switch of a tier as written.
struct Written<'a> {
    path: &'a str,
    force: Option<bool>,
    at: Option<RawAt>,
    leave: Fraction<0, ONE, { ONE / 2 }>,
    hold: Span<1, DAY, { 10 * SECOND }>,
}

impl Written<'_> {
    fn switch(self, min_requests: u32) -> Result<Switch, ConfigError> {
        if let Some(on) = self.force {
            return Ok(Switch::Forced(on));
        }
        let Some(at) = self.at else { return Ok(Switch::Never) };
        let rule = TierRule::new(thresholds(&at), ratio(self.leave), self.hold.nanos(), min_requests);
        rule.map(Switch::Measured).map_err(|invalid| {
            let found = match invalid {
                InvalidTier::NoSignal => "none",
                InvalidTier::ZeroThreshold => "a threshold of 0",
            };
            refuse(format!("tiers.{}.at", self.path), format!("found {found}, {invalid}"))
        })
    }
}

fn thresholds(at: &RawAt) -> Thresholds {
    let rate = at.request_rate.map(|written| {
        let seconds = written.get().period.as_secs().max(1);
        u64::from(written.get().requests).saturating_mul(1_000).checked_div(seconds).unwrap_or(0).max(1)
    });
    Thresholds {
        error_ratio: at.error_ratio.map(ratio),
        slow_ratio: at.slow_ratio.map(ratio),
        overload_ratio: at.overload_ratio.map(ratio),
        request_rate: rate,
        first_byte: at.first_byte.map(|span| span.nanos()),
        total: at.total.map(|span| span.nanos()),
        anomalous: at.anomalous.map(|slots| slots.number()),
        breaker: at.breaker,
    }
}

pub(super) fn reduce(
    raw: Option<RawReduce>,
    min_requests: u32,
) -> Result<(Switch, Option<Reduce>), ConfigError> {
    let Some(raw) = raw else { return Ok((Switch::Never, None)) };
    let RawReduce { at, leave, hold, force, .. } = raw;
    let switch = Written { path: "reduce", force, at, leave, hold }.switch(min_requests)?;
    let reduce = Reduce {
        clamp_completion_tokens: raw.clamp_completion_tokens.map(|tokens| tokens.number()),
        drop: raw.drop.into_iter().collect(),
        refuse_paths: raw.refuse_paths.into_iter().map(|path| path.into_bytes()).collect(),
        model: raw.model.map(|model| model.into_string()),
    };
    Ok((switch, Some(reduce)))
}

pub(super) fn cached(
    raw: Option<RawCached>,
    min_requests: u32,
    clients: &ClientSources,
) -> Result<(Switch, Option<Cached>), ConfigError> {
    let Some(raw) = raw else { return Ok((Switch::Never, None)) };
    let RawCached { at, leave, hold, force, ttl, fresh, max_entries, max_entry, scope, vary } = raw;
    let switch = Written { path: "cached", force, at, leave, hold }.switch(min_requests)?;
    if fresh.get() > ttl.get() {
        let problem = format!("found {fresh:?}, accepted is at most the value of ttl, {ttl:?}");
        return Err(refuse("tiers.cached.fresh", problem));
    }
    let answers = AnswerCache::new(max_entries.number(), max_entry.get(), ttl.nanos());
    let answers = answers.map_err(|invalid| {
        let member = match invalid {
            InvalidCache::TooFew | InvalidCache::TooLarge => "max_entries",
            InvalidCache::EntrySize => "max_entry",
            InvalidCache::ZeroTtl => "ttl",
        };
        let problem = format!("found {max_entries:?} of {max_entry:?}, {invalid}");
        refuse(format!("tiers.cached.{member}"), problem)
    })?;
    let vary = vary.or_else(written::usual_vary).unwrap_or_default();
    let scope = Scope::new(scope);
    let mut asked: Vec<Vec<u8>> = ASKED.map(|name| name.as_bytes().to_vec()).to_vec();
    asked.extend(vary.iter().map(|name| name.in_lower_case()));
    if !scope.is_shared() {
        asked.extend(CREDENTIALS.map(|name| name.as_bytes().to_vec()));
        asked.extend(clients.headers().map(<[u8]>::to_vec));
        asked.extend_from_slice(scope.headers());
    }
    let (longest, asked) = (max_entry.length(), asked.into_iter().collect());
    Ok((switch, Some(Cached { answers, longest, fresh: fresh.nanos(), scope, asked })))
}

pub(super) fn default(raw: RawDefault, min_requests: u32) -> Result<(Switch, Fallback), ConfigError> {
    let RawDefault { at, leave, hold, force, status, message } = raw;
    let switch = Written { path: "default", force, at, leave, hold }.switch(min_requests)?;
    let message = message.or_else(written::usual_message).map(|message| message.into_string());
    Ok((switch, Fallback { status: status.map(|status| status.get()), message: message.unwrap_or_default() }))
}
