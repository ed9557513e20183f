//! The wait that the upstream asks for. `retry-after-ms` and `retry-after` state it, as a number, a duration or a date; where they
//! state none, the limits do of which nothing is left: `x-ratelimit-reset-*`, `ratelimit-reset`,
//! `anthropic-ratelimit-*-reset` and `ratelimit` with its `t`. Of several waits the longest counts. An unreadable value is
//! distinguished from an absent one, so that it never becomes a shorter wait.
//!
//! Dates are relative to the response's own, if it has one, since its server's clock may differ from ours.
//!
//! Source: RFC 9110 section 10.2.3; draft-ietf-httpapi-ratelimit-headers; the headers of OpenAI and of Anthropic.

use crate::date;
use crate::timestamp::MILLISECOND;
use core::cell::Cell;

const SECOND: u64 = 1_000 * MILLISECOND;

/// Longer waits are taken for this one, in nanoseconds: a day.
pub const MAX_ASKED: u64 = 86_400 * SECOND;

const DECIMALS: usize = 9;

/// Seconds from which on a number is a time since 1970 and no wait: thirty years.
const OLDEST: u64 = 1_000_000_000;

/// The same in milliseconds.
const OLDEST_MILLIS: u64 = 1_000 * OLDEST;

/// So many limits are looked at, however many an answer names.
const MOST_LIMITS: usize = 32;

/// What an answer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No wait.
    Nothing,
    /// A wait of so many nanoseconds, more than 0.
    Wait(u64),
    /// Something that only its client may know how to read.
    Unreadable,
}

impl Asked {
    /// In nanoseconds, if it is a wait that can be read.
    pub const fn wait(self) -> Option<u64> {
        match self {
            Self::Wait(wait) => Some(wait),
            Self::Nothing | Self::Unreadable => None,
        }
    }

    /// The longer of two; what can be read before what cannot.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Wait(one), Self::Wait(two)) => Self::Wait(one.max(two)),
            (Self::Wait(_), _) | (Self::Unreadable, Self::Nothing) => self,
            _ => other,
        }
    }
}

/// What an answer with these headers, names in lower case, asks for; `None` if that takes a clock. `wall` is what it says,
/// in nanoseconds since 1970, if it was asked: it is needed only for a date in an answer that does not say its own.
pub fn asked<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>, wall: Option<u64>) -> Option<Asked> {
    let mut found = Found::default();
    headers.for_each(|(name, value)| found.hear(name, value.trim_ascii()));
    let clock = Clock { now: found.date.and_then(date::http).or(wall), was_missed: Cell::default() };
    let millis = longest(&found.millis, |value| plain(value, MILLISECOND));
    let seconds =
        longest(&found.seconds, |value| instant(value, &clock).unwrap_or_else(|| plain(value, SECOND)));
    let asked = match (millis, seconds) {
        (Asked::Wait(_), _) => millis,
        (_, Asked::Wait(_)) => seconds,
        (Asked::Unreadable, _) | (_, Asked::Unreadable) => Asked::Unreadable,
        (Asked::Nothing, Asked::Nothing) => found.limits(&clock),
    };
    (!clock.was_missed.get()).then_some(asked)
}

/// How long until a limit resets, in nanoseconds, as `x-ratelimit-reset-*` says it: a duration, a number of seconds, or a
/// time; `wall` is now, in nanoseconds since 1970.
pub fn reset(value: &[u8], wall: u64) -> Option<u64> {
    until_reset(value, &Clock { now: Some(wall), was_missed: Cell::default() })
}

fn longest(values: &[&[u8]], read: impl Fn(&[u8]) -> Asked) -> Asked {
    values.iter().map(|value| read(value)).fold(Asked::Nothing, Asked::or)
}

fn until_reset(value: &[u8], clock: &Clock) -> Option<u64> {
    let value = value.trim_ascii();
    let whole = value.split(|byte| *byte == b'.').next().and_then(|digits| number(digits, 1));
    let time = match whole {
        Some(millis @ OLDEST_MILLIS..) => Some(millis.saturating_mul(MILLISECOND)),
        Some(seconds @ OLDEST..) => Some(seconds.saturating_mul(SECOND)),
        _ => None,
    };
    let asked = match time {
        Some(time) => clock.until(time),
        None => instant(value, clock).unwrap_or_else(|| plain(value, SECOND)),
    };
    asked.wait()
}

/// What time it is, in nanoseconds since 1970, if that is known.
struct Clock {
    now: Option<u64>,
    was_missed: Cell<bool>,
}

impl Clock {
    fn until(&self, time: u64) -> Asked {
        self.was_missed.set(self.was_missed.get() || self.now.is_none());
        match time.saturating_sub(self.now.unwrap_or(time)).min(MAX_ASKED) {
            0 => Asked::Nothing,
            wait => Asked::Wait(wait),
        }
    }
}

/// One limit among those that an answer names: whose header it is, and what of.
type Limit<'a> = (&'static [u8], &'a [u8]);

#[derive(Default)]
struct Found<'a> {
    millis: Vec<&'a [u8]>,
    seconds: Vec<&'a [u8]>,
    date: Option<&'a [u8]>,
    resets: Vec<(Limit<'a>, &'a [u8])>,
    left: Vec<(Limit<'a>, &'a [u8])>,
    lists: Vec<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn hear(&mut self, name: &'a [u8], value: &'a [u8]) {
        match name {
            b"retry-after-ms" => self.millis.push(value),
            b"retry-after" => self.seconds.push(value),
            b"date" => self.date = Some(value),
            b"ratelimit" => self.lists.push(value),
            _ => {
                let Some((limit, is_reset)) = limit(name) else { return };
                let known = if is_reset { &mut self.resets } else { &mut self.left };
                if known.len() < MOST_LIMITS {
                    known.push((limit, value));
                }
            }
        }
    }

    /// Until the last limit resets of which nothing is left, or of which that is not said.
    fn limits(&self, clock: &Clock) -> Asked {
        let is_spent = |limit: &Limit<'_>| {
            let mut left = self.left.iter().filter(|(of, _)| of == limit);
            left.all(|(_, value)| some(value).is_none())
        };
        let resets = self.resets.iter().filter(|(limit, _)| is_spent(limit));
        let resets = resets.filter_map(|(_, value)| until_reset(value, clock));
        let lists = self.lists.iter().flat_map(|list| list.split(|byte| *byte == b',')).take(MOST_LIMITS);
        resets.chain(lists.filter_map(item)).max().map_or(Asked::Nothing, Asked::Wait)
    }
}

/// Which limit a header is about, and whether it says when that resets or how much of it is left.
fn limit(name: &[u8]) -> Option<(Limit<'_>, bool)> {
    if let Some(rest) = name.strip_prefix(b"anthropic-ratelimit-") {
        let reset = rest.strip_suffix(b"-reset").map(|of| (of, true));
        let (of, is_reset) = reset.or_else(|| Some((rest.strip_suffix(b"-remaining")?, false)))?;
        return Some(((b"anthropic", of), is_reset));
    }
    let families = [b"x-ratelimit-".as_slice(), b"ratelimit-"];
    let (family, rest) = families.iter().find_map(|family| Some((*family, name.strip_prefix(*family)?)))?;
    let reset = rest.strip_prefix(b"reset").map(|of| (of, true));
    let (of, is_reset) = reset.or_else(|| Some((rest.strip_prefix(b"remaining")?, false)))?;
    Some(((family, of), is_reset))
}

/// One limit of a `ratelimit` list, such as `"default";r=0;t=30`.
fn item(item: &[u8]) -> Option<u64> {
    let parameter =
        |name: &[u8]| item.split(|byte| *byte == b';').find_map(|part| part.trim_ascii().strip_prefix(name));
    let is_spent = parameter(b"r=").is_none_or(|left| some(left).is_none());
    parameter(b"t=").filter(|_| is_spent).and_then(some)
}

/// A number of units, or a duration as Go writes it, such as `6m0s`. Without a digit, or less than 0, it asks for nothing.
fn plain(value: &[u8], unit: u64) -> Asked {
    let negative = value.strip_prefix(b"-").is_some_and(|rest| number(rest, unit).is_some());
    match number(value, unit).or_else(|| duration(value)) {
        Some(0) => Asked::Nothing,
        Some(wait) => Asked::Wait(wait.min(MAX_ASKED)),
        None if negative || !value.iter().any(u8::is_ascii_digit) => Asked::Nothing,
        None => Asked::Unreadable,
    }
}

/// A date, of which one that has passed asks for nothing; `None` if it is none.
fn instant(value: &[u8], clock: &Clock) -> Option<Asked> {
    date::http(value).or_else(|| date::rfc3339(value)).map(|time| clock.until(time))
}

/// Such as `1h0m0.5s`.
fn duration(mut rest: &[u8]) -> Option<u64> {
    let mut sum = None;
    while !rest.is_empty() {
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let (value, behind) = rest.split_at_checked(digits)?;
        let letters =
            behind.iter().position(|byte| byte.is_ascii_digit() || *byte == b'.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(letters)?;
        let unit = match unit {
            b"h" => 3_600 * SECOND,
            b"m" => 60 * SECOND,
            b"s" => SECOND,
            b"ms" => MILLISECOND,
            b"us" | b"\xc2\xb5s" => 1_000,
            b"ns" => 1,
            _ => return None,
        };
        sum = Some(number(value, unit)?.saturating_add(sum.unwrap_or(0)));
        rest = behind;
    }
    sum
}

/// So many units, whole or decimal, in nanoseconds.
fn number(value: &[u8], unit: u64) -> Option<u64> {
    let text = core::str::from_utf8(value).ok()?;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || (whole.is_empty() && decimals.is_empty()) {
        return None;
    }
    let billionths: u64 = format!("{decimals:0<DECIMALS$.DECIMALS$}").parse().ok()?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let part = u128::from(billionths).saturating_mul(u128::from(unit)).checked_div(u128::from(SECOND))?;
    Some(whole.saturating_mul(unit).saturating_add(u64::try_from(part).ok()?))
}

/// The same, if it is more than nothing.
fn some(value: &[u8]) -> Option<u64> {
    number(value.trim_ascii(), SECOND).filter(|wait| *wait > 0).map(|wait| wait.min(MAX_ASKED))
}

#[cfg(test)]
mod tests;
