//! The request headers on which a response depends (`vary`). Most are part of every question. A few more that servers name by
//! habit, such as `origin`, are hashed separately and distinguish responses only where the response names them. A response that
//! depends on any other header, or on anything (`*`), is not stored: the request's headers are gone when it arrives.
//!
//! Source: RFC 9111, section 4.1.

use crate::fingerprint::Fingerprinter;

/// The headers that count only where an answer names them.
pub const HEADERS: [&[u8]; 7] = [
    b"accept",
    b"accept-encoding",
    b"accept-language",
    b"origin",
    b"user-agent",
    b"access-control-request-method",
    b"access-control-request-headers",
];

/// What a request says in [`HEADERS`], hashed one by one; 0 for one that is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variants([u64; HEADERS.len()]);

/// Which of [`HEADERS`] an answer depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named(u8);

impl Variants {
    /// From all values of each header.
    pub fn read<'a, I>(prints: &Fingerprinter, values: impl Fn(&'static [u8]) -> I) -> Self
    where
        I: Iterator<Item = &'a [u8]>,
    {
        Self(HEADERS.map(|name| {
            let mut values = values(name).peekable();
            if values.peek().is_none() { 0 } else { prints.of(core::iter::once(name).chain(values)).mark }
        }))
    }

    /// What the named ones tell apart; 0 where none is there.
    pub(super) fn mark(&self, named: Named) -> u64 {
        let bits = (0..u8::BITS).map(|bit| named.0 >> bit & 1 == 1);
        self.0.iter().zip(bits).filter(|(_, named)| *named).fold(0, |mark, (print, _)| mark ^ print)
    }
}

impl Named {
    /// From the values of `vary`; `None` if an answer depends on what is not known. `is_asked`: whether a header, its
    /// name in lower case, is part of every question.
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
    fn an_answer_that_depends_on_what_is_not_known_is_told() {
        for vary in [&["*"][..], &["Origin, *"], &["x-other"], &["origin", "x-user,x-other"]] {
            assert_eq!(named(vary), None, "{vary:?}");
        }
    }

    #[test]
    fn what_is_part_of_every_question_is_named_by_nothing_more() {
        for vary in [&[][..], &[""], &["X-User"], &["Host, x-user", " ,accept"]] {
            assert_eq!(named(vary), Some(Named::default()), "{vary:?}");
        }
    }

    #[test]
    fn only_the_headers_that_an_answer_names_tell_it_from_another() {
        let mine = [("origin", "https://a"), ("user-agent", "x")];
        let other = [("origin", "https://b"), ("user-agent", "x")];
        assert_ne!(mark(&mine, &["Origin"]), mark(&other, &["origin"]));
        assert_eq!(mark(&mine, &["user-agent"]), mark(&other, &["User-Agent"]));
        assert_ne!(mark(&mine, &["origin, user-agent"]), mark(&mine, &["origin"]));
        assert_ne!(mark(&[], &["origin"]), mark(&[("origin", "")], &["origin"]));
        assert_eq!((mark(&mine, &[]), mark(&other, &["x-user"])), (0, 0));
    }

    #[test]
    fn the_same_value_of_two_headers_does_not_cancel_out() {
        assert_ne!(mark(&[("origin", "a"), ("user-agent", "a")], &["origin, user-agent"]), 0);
    }
}
