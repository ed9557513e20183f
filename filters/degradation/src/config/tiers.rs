//! From the three tiers as written to what switches them and what each does.

use super::scope::Scope;
use super::written::{RawAt, RawCached, RawDefault, RawReduce};
use super::{Cached, Extra, Fallback, Reduce, nanos, ratio, refuse, span};
use core::time::Duration;
use std::collections::BTreeSet;
use tidegate_host::config::ConfigError;
use tidegate_host::notation::{Whole, WrittenRatio, WrittenSize, WrittenSpan};
use tidegate_limits::client::{ClientSources, header_name};
use tidegate_policy::answer_cache::{AnswerCache, InvalidCache};
use tidegate_policy::path::is_canonical;
use tidegate_policy::ratio::Ratio;
use tidegate_policy::tier::{InvalidTier, Switch, Thresholds, TierRule};

const MAX_LIST: usize = 64;
const MESSAGE: &str = "The model is busy. Please try again shortly.";
const VARY: [&str; 5] =
    ["anthropic-version", "anthropic-beta", "openai-organization", "openai-project", "openai-beta"];
/// Headers that are part of every question.
const ASKED: [&str; 3] = [":authority", ":path", "content-type"];
/// And those by which servers know who asks, where an answer is for one client.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "cookie"];

/// What is written of a tier's switch.
struct Written<'a> {
    path: &'a str,
    force: Option<bool>,
    at: Option<RawAt>,
    leave: Option<WrittenRatio>,
    hold: Option<WrittenSpan>,
}

impl Written<'_> {
    fn switch(self, min_requests: u32) -> Result<Switch, ConfigError> {
        let path = |member: &str| format!("tiers.{}.{member}", self.path);
        if let Some(on) = self.force {
            return Ok(Switch::Forced(on));
        }
        let Some(at) = self.at else { return Ok(Switch::Never) };
        let leave = ratio(self.leave, 500_000, &path("leave"))?;
        let hold = nanos(span(self.hold, Duration::from_secs(10), &path("hold"))?);
        let rule = TierRule::new(thresholds(&at, &path("at"))?, leave, hold, min_requests);
        rule.map(Switch::Measured).map_err(|invalid| match invalid {
            InvalidTier::NoSignal => refuse(path("at"), format!("found none, {invalid}")),
            InvalidTier::ZeroThreshold => refuse(path("at"), format!("found a threshold of 0, {invalid}")),
        })
    }
}

fn thresholds(at: &RawAt, path: &str) -> Result<Thresholds, ConfigError> {
    let part = |written: Option<WrittenRatio>, name: &str| -> Result<Option<Ratio>, ConfigError> {
        written.map(|written| ratio(Some(written), 0, &format!("{path}.{name}"))).transpose()
    };
    let rate = at.request_rate.map(|written| {
        let seconds = written.0.period.as_secs().max(1);
        u64::from(written.0.requests).saturating_mul(1_000).checked_div(seconds).unwrap_or(0)
    });
    Ok(Thresholds {
        error_ratio: part(at.error_ratio, "error_ratio")?,
        slow_ratio: part(at.slow_ratio, "slow_ratio")?,
        overload_ratio: part(at.overload_ratio, "overload_ratio")?,
        request_rate: rate,
        first_byte: at.first_byte.map(|WrittenSpan(span)| nanos(span)),
        total: at.total.map(|WrittenSpan(span)| nanos(span)),
        anomalous: at.anomalous.map(|Whole(slots)| slots),
        breaker: at.breaker,
    })
}

pub(super) fn reduce(
    raw: Option<RawReduce>,
    min_requests: u32,
) -> Result<(Switch, Option<Reduce>), ConfigError> {
    let Some(raw) = raw else { return Ok((Switch::Never, None)) };
    let RawReduce { at, leave, hold, force, .. } = raw;
    let switch = Written { path: "reduce", force, at, leave, hold }.switch(min_requests)?;
    let mut drop = BTreeSet::new();
    for (index, name) in raw.drop.iter().enumerate() {
        let known = Extra::ALL.into_iter().find(|extra| extra.name() == name);
        let known = known.ok_or_else(|| {
            let problem = format!("found {name:?}, accepted are logprobs, n, best_of and tools");
            refuse(format!("tiers.reduce.drop[{index}]"), problem)
        })?;
        drop.insert(known);
    }
    if raw.refuse_paths.len() > MAX_LIST {
        let found = raw.refuse_paths.len();
        return Err(refuse(
            "tiers.reduce.refuse_paths",
            format!("found {found}, accepted are at most {MAX_LIST}"),
        ));
    }
    for (index, path) in raw.refuse_paths.iter().enumerate() {
        canonical(path, &format!("tiers.reduce.refuse_paths[{index}]"))?;
    }
    let tokens = raw.clamp_completion_tokens.map(|Whole(tokens)| tokens);
    if tokens == Some(0) {
        return Err(refuse("tiers.reduce.clamp_completion_tokens", "found 0, accepted is 1 and more"));
    }
    if let Some(model) = &raw.model {
        model_name(model, "tiers.reduce.model")?;
    }
    let refuse_paths = raw.refuse_paths.into_iter().map(String::into_bytes).collect();
    Ok((switch, Some(Reduce { clamp_completion_tokens: tokens, drop, refuse_paths, model: raw.model })))
}

pub(super) fn cached(
    raw: Option<RawCached>,
    min_requests: u32,
    clients: &ClientSources,
) -> Result<(Switch, Option<Cached>), ConfigError> {
    let Some(raw) = raw else { return Ok((Switch::Never, None)) };
    let RawCached { at, leave, hold, force, .. } = raw;
    let switch = Written { path: "cached", force, at, leave, hold }.switch(min_requests)?;
    let ttl = raw.ttl.map_or(Duration::from_secs(600), |WrittenSpan(ttl)| ttl);
    let fresh = raw.fresh.map_or(Duration::ZERO, |WrittenSpan(fresh)| fresh);
    if fresh > ttl {
        let problem = format!("found {fresh:?}, accepted is at most the value of ttl, {ttl:?}");
        return Err(refuse("tiers.cached.fresh", problem));
    }
    let entries = raw.max_entries.map_or(512, |Whole(entries)| entries);
    let entry = raw.max_entry.map_or(64 << 10, |WrittenSize(size)| size);
    let answers = AnswerCache::new(entries, entry, nanos(ttl)).map_err(|invalid| {
        let (member, found) = match invalid {
            InvalidCache::TooFew => ("max_entries", format!("found {entries}")),
            InvalidCache::EntrySize => ("max_entry", format!("found {entry}B")),
            InvalidCache::TooLarge => ("max_entries", format!("found {entries} of {entry}B")),
            InvalidCache::ZeroTtl => ("ttl", "found 0".to_owned()),
        };
        refuse(format!("tiers.cached.{member}"), format!("{found}, {invalid}"))
    })?;
    let vary = raw.vary.unwrap_or_else(|| VARY.map(str::to_owned).to_vec());
    if vary.len() > MAX_LIST {
        let problem = format!("found {}, accepted are at most {MAX_LIST}", vary.len());
        return Err(refuse("tiers.cached.vary", problem));
    }
    let vary = vary.iter().enumerate();
    let vary: Result<Vec<_>, _> =
        vary.map(|(index, name)| header_name(name, &format!("tiers.cached.vary[{index}]"))).collect();
    let scope = Scope::new(raw.scope)?;
    let mut asked: Vec<Vec<u8>> = ASKED.map(|name| name.as_bytes().to_vec()).to_vec();
    asked.append(&mut vary?);
    if !scope.is_shared() {
        asked.extend(CREDENTIALS.map(|name| name.as_bytes().to_vec()));
        asked.extend(clients.headers().map(<[u8]>::to_vec));
        asked.extend_from_slice(scope.headers());
    }
    let longest = usize::try_from(entry).unwrap_or(usize::MAX);
    let asked = asked.into_iter().collect();
    Ok((switch, Some(Cached { answers, longest, fresh: nanos(fresh), scope, asked })))
}

pub(super) fn default(raw: RawDefault, min_requests: u32) -> Result<(Switch, Fallback), ConfigError> {
    let RawDefault { at, leave, hold, force, status, message } = raw;
    let switch = Written { path: "default", force, at, leave, hold }.switch(min_requests)?;
    let status = status.map(|Whole(status)| {
        let accepted = u16::try_from(status).ok().filter(|status| matches!(status, 200 | 429 | 500..=599));
        accepted.ok_or_else(|| {
            refuse("tiers.default.status", format!("found {status}, accepted are 200, 429 and 500 to 599"))
        })
    });
    let message = message.unwrap_or_else(|| MESSAGE.to_owned());
    if !(1..=4_096).contains(&message.len()) {
        let problem = format!("found {} bytes, accepted are 1 to 4096", message.len());
        return Err(refuse("tiers.default.message", problem));
    }
    Ok((switch, Fallback { status: status.transpose()?, message }))
}

pub(super) fn canonical(path: &str, at: &str) -> Result<(), ConfigError> {
    if path.starts_with('/') && is_canonical(path.as_bytes()) {
        return Ok(());
    }
    Err(refuse(
        at,
        format!("found {path:?}, accepted is a path such as /v1/embeddings, as servers resolve it"),
    ))
}

/// Refuses what could not be part of a header.
pub(super) fn model_name(name: &str, at: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\";,".contains(&byte);
    if (1..=256).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(refuse(at, "found another, accepted are 1 to 256 printable ASCII characters but \" ; and ,"))
}
