//! Applies HTTP's rules on storing and reusing a response. This cache cannot revalidate, so it reads every rule at its
//! strictest: `no-cache` forbids storing, an unreadable time has expired, and a stale response is reused only if the
//! server (`stale-if-error`) or the client (`max-stale`) permits it. Unknown directives and directives within quotes
//! are ignored.
//!
//! Source: RFC 9111, sections 3, 3.5, 4.2, 5.1 to 5.4; RFC 5861, section 4.

use crate::date;
use crate::timestamp::SECOND;
use crate::timestamp::Timestamp;

/// The permissions of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// The response must not be stored, and a stored one must not be used.
    pub no_store: bool,
    /// A stored response must not be used.
    pub no_cache: bool,
    /// Only a stored response may be used.
    pub only_if_cached: bool,
    /// The maximum age of a response, in seconds.
    pub max_age: Option<u32>,
    /// The minimum remaining freshness of a response, in seconds.
    pub min_fresh: Option<u32>,
    /// The accepted staleness of a response, in seconds.
    pub max_stale: Option<u32>,
}

/// The permissions of a response.
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

/// The time for which a response may be reused, in whole seconds from its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// The time of the request.
    pub since: Timestamp,
    /// The age of the response at that time.
    pub age: u32,
    /// The freshness lifetime, or `None` if the response states none.
    pub fresh: Option<u32>,
    /// The additional time for reuse while the cluster fails.
    pub excused: u32,
    /// True if a stale response must not be reused, whatever the client accepts.
    pub strict: bool,
}

/// The times in a response's headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dated<'a> {
    /// The `date` header, if it occurs once.
    pub date: Option<&'a [u8]>,
    /// The `expires` header, if it occurs; empty if it occurs more than once.
    pub expires: Option<&'a [u8]>,
    /// The `age` header: the age on arrival, in seconds.
    pub age: Option<&'a [u8]>,
}

impl RequestControl {
    /// Reads the values of `cache-control`, or of `pragma` if there are none.
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

    /// Returns true if a stored response may be used.
    pub const fn allows_kept(&self) -> bool {
        !self.no_store && !self.no_cache
    }

    /// Returns true if a response with this lifetime, stored for `ttl` nanoseconds, may be reused at `now`. `failing`
    /// means that the cluster gives no response.
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
    /// Reads the values of `cache-control`.
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

    /// Returns true if the response may be stored: for one client, or for all if `shared`. `authorized` means that the
    /// request had credentials.
    pub const fn allows_keeping(&self, shared: bool, authorized: bool) -> bool {
        let for_all = self.public || self.must_revalidate || self.s_maxage.is_some();
        let forbidden = self.no_store || self.no_cache;
        !forbidden && (!shared || (!self.private && (!authorized || for_all)))
    }

    /// Returns the lifetime of the response to a request made at `since`.
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
    /// Returns true if the response is stale.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.fresh.is_some_and(|fresh| now.nanos_since(self.since) >= nanos(fresh))
    }

    /// Returns the nanoseconds since the server created the response.
    pub fn age(&self, now: Timestamp) -> u64 {
        now.nanos_since(self.since).saturating_add(nanos(self.age))
    }
}

impl Dated<'_> {
    /// Returns the seconds from `date` to `expires`, or 0 if they are unreadable.
    fn span(&self) -> Option<u32> {
        let until = instant(self.expires?);
        let span = until.zip(self.date.and_then(instant)).map(|(end, made)| end.saturating_sub(made));
        Some(u32::try_from(span.unwrap_or(0)).unwrap_or(u32::MAX))
    }
}

/// Splits a value into directives with their unquoted arguments.
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

/// Returns the position of the first comma outside quotes. A quote that is never closed does not count as one.
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

/// Returns the length of a quoted text, including its closing quote.
fn closing(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end.saturating_add(1))
}

/// Returns the shorter of two times. An unreadable time is 0.
fn shorter(known: Option<u32>, argument: Option<&[u8]>) -> Option<u32> {
    let new = argument.and_then(seconds).unwrap_or(0);
    Some(known.map_or(new, |known| known.min(new)))
}

/// Parses seconds from digits only. Larger numbers saturate.
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

/// Parses an HTTP date as seconds since 1970.
fn instant(date: &[u8]) -> Option<u64> {
    date::http(date).map(|nanos| nanos / 1_000_000_000)
}

#[cfg(test)]
mod tests;
