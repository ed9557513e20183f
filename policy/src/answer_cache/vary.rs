//! Decides which request headers a response depends on (`vary`). Most are part of every cache key. Of the rest, servers
//! habitually name only a few, such as `origin`. These are hashed separately and distinguish responses only if a
//! response names them. A response that depends on any other header or on everything (`*`) is not cached, because the
//! request's headers are gone when it arrives.
//!
//! Source: RFC 9111, section 4.1.

use crate::fingerprint::Fingerprinter;

/// The headers that count only if a response names them.
pub const HEADERS: [&[u8]; 7] = [
    b"accept",
    b"accept-encoding",
    b"accept-language",
    b"origin",
    b"user-agent",
    b"access-control-request-method",
    b"access-control-request-headers",
];

/// One hash for each of the request's [`HEADERS`], or 0 for an absent one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variants([u64; HEADERS.len()]);

/// The set of [`HEADERS`] that a response depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named(u8);

impl Variants {
    /// Hashes all values of each header.
    pub fn read<'a, I>(prints: &Fingerprinter, values: impl Fn(&'static [u8]) -> I) -> Self
    where
        I: Iterator<Item = &'a [u8]>,
    {
        Self(HEADERS.map(|name| {
            let mut values = values(name).peekable();
            if values.peek().is_none() { 0 } else { prints.of(core::iter::once(name).chain(values)).mark }
        }))
    }

    /// Returns a mark that distinguishes requests by the named headers, or 0 if none of these is present.
    pub(super) fn mark(&self, named: Named) -> u64 {
        let bits = (0..u8::BITS).map(|bit| named.0 >> bit & 1 == 1);
        self.0.iter().zip(bits).filter(|(_, named)| *named).fold(0, |mark, (print, _)| mark ^ print)
    }
}

impl Named {
    /// Reads the values of `vary`. Returns `None` if the response depends on any other header. `is_asked` returns true
    /// if a header, with its name in lower case, is part of every cache key.
    pub fn read<'a>(vary: impl Iterator<Item = &'a [u8]>, is_asked: impl Fn(&[u8]) -> bool) -> Option<Self> {
        let names = vary.flat_map(|value| value.split(|byte| *byte == b','));
        let names = names.map(|name| name.trim_ascii().to_ascii_lowercase()).filter(|name| !name.is_empty());
        names.map(|name| if name == b"host" { b":authority".to_vec() } else { name }).try_fold(
            Self::default(),
            |Self(named), name| match HEADERS.iter().position(|known| *known == name) {
                _ if is_asked(&name) => Some(Self(named)),
                Some(place) => Some(Self(named | 1_u8.checked_shl(u32::try_from(place).ok()?)?)),
                None => None,
            },
        )
    }

    pub(super) const fn to_byte(self) -> u8 {
        self.0
    }

    pub(super) const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(vary: &[&str]) -> Option<Named> {
        Named::read(vary.iter().map(|value| value.as_bytes()), |name| {
            [&b"x-user"[..], b":authority", b"accept"].contains(&name)
        })
    }

    fn mark(headers: &[(&str, &str)], vary: &[&str]) -> u64 {
        let values = |name: &'static [u8]| {
            headers
                .iter()
                .filter(move |(known, _)| known.as_bytes() == name)
                .map(|(_, value)| value.as_bytes())
        };
        Variants::read(&Fingerprinter::new([7; 16]), values).mark(named(vary).unwrap())
    }

    #[test]
    fn a_response_that_depends_on_unknown_headers_is_detected() {
        for vary in [&["*"][..], &["Origin, *"], &["x-other"], &["origin", "x-user,x-other"]] {
            assert_eq!(named(vary), None, "{vary:?}");
        }
    }

    #[test]
    fn headers_in_every_cache_key_need_no_mark() {
        for vary in [&[][..], &[""], &["X-User"], &["Host, x-user", " ,accept"]] {
            assert_eq!(named(vary), Some(Named::default()), "{vary:?}");
        }
    }

    #[test]
    fn responses_differ_only_by_the_headers_that_they_name() {
        let mine = [("origin", "https://a"), ("user-agent", "x")];
        let other = [("origin", "https://b"), ("user-agent", "x")];
        assert_ne!(mark(&mine, &["Origin"]), mark(&other, &["origin"]));
        assert_eq!(mark(&mine, &["user-agent"]), mark(&other, &["User-Agent"]));
        assert_ne!(mark(&mine, &["origin, user-agent"]), mark(&mine, &["origin"]));
        assert_ne!(mark(&[], &["origin"]), mark(&[("origin", "")], &["origin"]));
        assert_eq!((mark(&mine, &[]), mark(&other, &["x-user"])), (0, 0));
    }

    #[test]
    fn equal_values_of_two_headers_do_not_cancel_out() {
        assert_ne!(mark(&[("origin", "a"), ("user-agent", "a")], &["origin, user-agent"]), 0);
    }
}
