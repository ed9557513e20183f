//! What HTTP says about storing a response and serving it again. This cache never revalidates, so it reads every directive at its
//! strictest: `no-cache` stores nothing, a time that cannot be parsed has expired, and an expired response is served only
//! where the server (`stale-if-error`) or the client (`max-stale`) allows it. Unknown directives, and those within quotes, are
//! ignored.
//!
//! Source: RFC 9111, sections 3, 3.5, 4.2, 5.1 to 5.4; RFC 5861, section 4.

use crate::date;
use crate::timestamp::Timestamp;

const SECOND: u64 = 1_000_000_000;

/// What a request allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// Its answer is not to be kept, and it is not to be answered from kept ones.
    pub no_store: bool,
    /// It is not to be answered from kept ones.
    pub no_cache: bool,
    /// It is to be answered from kept ones, or not at all.
    pub only_if_cached: bool,
    /// How old an answer may be, in seconds.
    pub max_age: Option<u32>,
    /// For how many seconds more an answer's own time must last.
    pub min_fresh: Option<u32>,
    /// For how many seconds an answer's own time may be over.
    pub max_stale: Option<u32>,
}

/// What an answer allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseControl {
    no_store: bool,
    no_cache: bool,
    private: bool,
    public: bool,
    must_revalidate: bool,
    proxy_revalidate: bool,
    max_age: Option<u32>,
    s_maxage: Option<u32>,
    stale_if_error: Option<u32>,
}

/// How long an answer may be given, in whole seconds from when it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was asked for.
    pub since: Timestamp,
    /// How old it was then.
    pub age: u32,
    /// How long its own time lasts; `None` if it says nothing.
    pub fresh: Option<u32>,
    /// For how long it may be given after that while the cluster fails.
    pub excused: u32,
    /// It may not be given after that, whatever the client says.
    pub strict: bool,
}

/// What an answer's headers say of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dated<'a> {
    /// When the server made it, if that is said once.
    pub date: Option<&'a [u8]>,
    /// When its time is over, if that is said at all; what is said twice is empty.
    pub expires: Option<&'a [u8]>,
    /// How old it was when it came, in seconds.
    pub age: Option<&'a [u8]>,
}

impl RequestControl {
    /// From the values of `cache-control`, and of `pragma` where there are none.
    pub fn read<'a>(
        cache_control: impl Iterator<Item = &'a [u8]>,
        pragma: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut control = Self::default();
        let mut values = cache_control.peekable();
        if values.peek().is_none() {
            control.no_cache =
                pragma.flat_map(directives).any(|(name, _)| name.eq_ignore_ascii_case(b"no-cache"));
        }
        for (name, argument) in values.flat_map(directives) {
            match name.to_ascii_lowercase().as_slice() {
                b"no-store" => control.no_store = true,
                b"no-cache" => control.no_cache = true,
                b"only-if-cached" => control.only_if_cached = true,
                b"max-age" => control.max_age = shorter(control.max_age, argument),
                b"min-fresh" => control.min_fresh = control.min_fresh.max(argument.and_then(seconds)),
                b"max-stale" => {
                    let most = argument.map_or(u32::MAX, |argument| seconds(argument).unwrap_or(0));
                    control.max_stale = Some(control.max_stale.map_or(most, |other| other.min(most)));
                }
                _ => {}
            }
        }
        control.no_cache |= control.max_age == Some(0) && control.max_stale.is_none();
        control
    }

    /// Whether any kept answer can be given.
    pub const fn allows_kept(&self) -> bool {
        !self.no_store && !self.no_cache
    }

    /// Whether an answer of this lifetime may be given that is kept for `ttl` nanoseconds; `failing`: while the cluster
    /// gives none.
    pub fn allows(&self, lifetime: &Lifetime, ttl: u64, now: Timestamp, failing: bool) -> bool {
        let passed = now.nanos_since(lifetime.since);
        let fresh = lifetime.fresh.map_or(u64::MAX, nanos);
        let excess = match self.max_stale {
            _ if lifetime.strict => 0,
            Some(most) => nanos(most),
            None if failing && self.max_age.is_none() && self.min_fresh.is_none() => nanos(lifetime.excused),
            None => 0,
        };
        self.allows_kept()
            && passed <= fresh.saturating_add(excess)
            && self.max_age.is_none_or(|most| lifetime.age(now) <= nanos(most).saturating_add(excess))
            && self.min_fresh.is_none_or(|least| passed.saturating_add(nanos(least)) <= fresh.min(ttl))
    }
}

impl ResponseControl {
    /// From the values of `cache-control`.
    pub fn read<'a>(cache_control: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut control = Self::default();
        for (name, argument) in cache_control.flat_map(directives) {
            match name.to_ascii_lowercase().as_slice() {
                b"no-store" => control.no_store = true,
                b"no-cache" => control.no_cache = true,
                b"private" => control.private = true,
                b"public" => control.public = true,
                b"must-revalidate" => control.must_revalidate = true,
                b"proxy-revalidate" => control.proxy_revalidate = true,
                b"max-age" => control.max_age = shorter(control.max_age, argument),
                b"s-maxage" => control.s_maxage = shorter(control.s_maxage, argument),
                b"stale-if-error" => control.stale_if_error = shorter(control.stale_if_error, argument),
                _ => {}
            }
        }
        control
    }

    /// Whether it may be kept: by one client for itself, or, if `shared`, for all. `authorized`: the request showed who
    /// sent it.
    pub const fn allows_keeping(&self, shared: bool, authorized: bool) -> bool {
        let for_all = self.public || self.must_revalidate || self.s_maxage.is_some();
        let forbidden = self.no_store || self.no_cache;
        !forbidden && (!shared || (!self.private && (!authorized || for_all)))
    }

    /// How long it may be given that was asked for at `since`.
    pub fn lifetime(&self, shared: bool, dated: Dated<'_>, since: Timestamp) -> Lifetime {
        let first = |value: &[u8]| value.split(|byte| *byte == b',').next().and_then(seconds);
        let age = dated.age.and_then(first).unwrap_or(0);
        let said = self.s_maxage.filter(|_| shared).or(self.max_age).or_else(|| dated.span());
        let fresh = said.map(|said| said.saturating_sub(age));
        let excused = self.stale_if_error.unwrap_or(0);
        Lifetime { since, age, fresh, excused, strict: self.is_strict(shared) }
    }

    const fn is_strict(&self, shared: bool) -> bool {
        self.must_revalidate || (shared && (self.proxy_revalidate || self.s_maxage.is_some()))
    }
}

impl Lifetime {
    /// Whether its own time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.fresh.is_some_and(|fresh| now.nanos_since(self.since) >= nanos(fresh))
    }

    /// Nanoseconds since the server made it.
    pub fn age(&self, now: Timestamp) -> u64 {
        now.nanos_since(self.since).saturating_add(nanos(self.age))
    }
}

impl Dated<'_> {
    /// Seconds from when it was made until its time is over; 0 where that cannot be read.
    fn span(&self) -> Option<u32> {
        let until = instant(self.expires?);
        let span = until.zip(self.date.and_then(instant)).map(|(end, made)| end.saturating_sub(made));
        Some(u32::try_from(span.unwrap_or(0)).unwrap_or(u32::MAX))
    }
}

/// The directives of one value, and their arguments without quotes.
fn directives<'a>(value: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        let value = rest?;
        let (directive, others) = match comma(value) {
            Some(at) => (value.get(..at)?, value.get(at.saturating_add(1)..)),
            None => (value, None),
        };
        rest = others;
        let mut parts = directive.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let argument = parts.next().map(<[u8]>::trim_ascii);
        let quoted = |text: &'a [u8]| text.strip_prefix(b"\"")?.strip_suffix(b"\"");
        Some((name, argument.map(|text| quoted(text).unwrap_or(text))))
    })
}

/// Where the first comma outside of quotes stands. A quote that is never closed is none.
fn comma(value: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let rest = value.get(at..)?;
        let found = rest.iter().position(|byte| matches!(byte, b',' | b'"'))?;
        let here = at.saturating_add(found);
        if value.get(here) == Some(&b',') {
            return Some(here);
        }
        let after = here.saturating_add(1);
        at = closing(value.get(after..)?).map_or(after, |length| after.saturating_add(length));
    }
}

/// The length of a quoted text up to and with its closing quote.
fn closing(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end.saturating_add(1))
}

/// The shorter of two times; one that cannot be read is over.
fn shorter(known: Option<u32>, argument: Option<&[u8]>) -> Option<u32> {
    let new = argument.and_then(seconds).unwrap_or(0);
    Some(known.map_or(new, |known| known.min(new)))
}

/// Seconds as digits alone; more than fit are as many as fit.
fn seconds(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0_u32, |value, digit| {
        value.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
    }))
}

fn nanos(seconds: u32) -> u64 {
    u64::from(seconds).saturating_mul(SECOND)
}

/// Seconds since 1970 of a date of HTTP.
fn instant(date: &[u8]) -> Option<u64> {
    date::http(date).map(|nanos| nanos / 1_000_000_000)
}

#[cfg(test)]
mod tests;
