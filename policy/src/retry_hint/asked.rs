//! Reads the wait that the upstream asks for: from `retry-after-ms` and `retry-after`, as a number, a duration or a
//! date, or else from the limits that are exhausted (`x-ratelimit-reset-*`, `ratelimit-reset`,
//! `anthropic-ratelimit-*-reset`, and `t` of `ratelimit`). The longest of several waits counts. An unreadable value is
//! distinguished from an absent one, so that it never becomes a shorter wait.
//!
//! Dates are relative to the response's own date, if it has one, because its server's clock may differ from ours.
//!
//! Source: RFC 9110 section 10.2.3; draft-ietf-httpapi-ratelimit-headers; the headers of OpenAI and of Anthropic.

use crate::date;
use crate::timestamp::MILLISECOND;
use core::cell::Cell;

const SECOND: u64 = 1_000 * MILLISECOND;

/// The maximum wait, in nanoseconds: a day. Longer waits count as this one.
pub const MAX_ASKED: u64 = 86_400 * SECOND;

const DECIMALS: usize = 9;

/// The number of seconds from which a number is a time since 1970 rather than a wait: about thirty years.
const OLDEST: u64 = 1_000_000_000;

/// The same number in milliseconds.
const OLDEST_MILLIS: u64 = 1_000 * OLDEST;

/// The maximum number of limits that are read from one response.
const MOST_LIMITS: usize = 32;

/// The wait that a response asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No wait.
    Nothing,
    /// A wait in nanoseconds, above 0.
    Wait(u64),
    /// A value that only the client may be able to read.
    Unreadable,
}

impl Asked {
    /// Returns the wait in nanoseconds, if it is readable.
    pub const fn wait(self) -> Option<u64> {
        match self {
            Self::Wait(wait) => Some(wait),
            Self::Nothing | Self::Unreadable => None,
        }
    }

    /// Returns the longer of two waits. A readable wait takes precedence over an unreadable one.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Wait(one), Self::Wait(two)) => Self::Wait(one.max(two)),
            (Self::Wait(_), _) | (Self::Unreadable, Self::Nothing) => self,
            _ => other,
        }
    }
}

/// Returns the wait that a response with these headers (names in lower case) asks for, or `None` if that requires a
/// clock. `wall` is the time in nanoseconds since 1970, if it was read. It is needed only for a date in a response
/// without a date of its own.
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

/// Returns the nanoseconds until a limit resets, from a value of `x-ratelimit-reset-*`: a duration, a number of
/// seconds, or a time. `wall` is now, in nanoseconds since 1970.
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

/// The time in nanoseconds since 1970, if it is known.
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

/// The name of a limit: its family of headers, and the rest of the header's name.
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

    /// Returns the wait until the last of the limits resets that are exhausted, or that do not state what is left.
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

/// Returns the limit that a header names, and true if the header states the reset or false if it states the rest.
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

/// Reads one limit of a `ratelimit` list, such as `"default";r=0;t=30`, and returns its wait if it is exhausted.
fn item(item: &[u8]) -> Option<u64> {
    let parameter =
        |name: &[u8]| item.split(|byte| *byte == b';').find_map(|part| part.trim_ascii().strip_prefix(name));
    let is_spent = parameter(b"r=").is_none_or(|left| some(left).is_none());
    parameter(b"t=").filter(|_| is_spent).and_then(some)
}

/// Reads a number of units, or a duration in Go's notation, such as `6m0s`. A value without a digit or below 0 asks for
/// nothing.
fn plain(value: &[u8], unit: u64) -> Asked {
    let negative = value.strip_prefix(b"-").is_some_and(|rest| number(rest, unit).is_some());
    match number(value, unit).or_else(|| duration(value)) {
        Some(0) => Asked::Nothing,
        Some(wait) => Asked::Wait(wait.min(MAX_ASKED)),
        None if negative || !value.iter().any(u8::is_ascii_digit) => Asked::Nothing,
        None => Asked::Unreadable,
    }
}

/// Reads a date. A past one asks for nothing; `None` if it is no date.
fn instant(value: &[u8], clock: &Clock) -> Option<Asked> {
    date::http(value).or_else(|| date::rfc3339(value)).map(|time| clock.until(time))
}

/// Reads a duration such as `1h0m0.5s`, in nanoseconds.
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

/// Reads a whole or decimal number of units, in nanoseconds.
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

/// Reads a number of seconds above 0, in nanoseconds.
fn some(value: &[u8]) -> Option<u64> {
    number(value.trim_ascii(), SECOND).filter(|wait| *wait > 0).map(|wait| wait.min(MAX_ASKED))
}

#[cfg(test)]
mod tests;
