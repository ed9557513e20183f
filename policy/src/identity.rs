//! Identifies a client by the credential that it presents or by its address.
//!
//! A credential is normalised as its upstream would read it, so that another spelling (the case of `Bearer`, more
//! spaces, a second header) does not turn one key into several clients. A value that upstreams could read in different
//! ways is no credential. A client that proves a secret without sending it (SigV4, Digest) is identified by the name
//! that the proof is for, which others may know too. An address is identified by its network, because an IPv6
//! subscriber usually has a whole /64.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A credential that a client presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A secret that only its client knows.
    Key(&'a [u8]),
    /// The name of a user or an access key, accompanied by a proof that differs in every request.
    Name(&'a [u8]),
}

/// Returns the credential in a value of `authorization` or of an API-key header: the text after the scheme (`Bearer`,
/// `Basic`), or the whole value without one. Returns `None` if nothing is left, or if it contains white space or a
/// comma: no token does (RFC 9110, section 11.2), and proxies join repeated headers with a comma.
///
/// Sources: AWS Signature Version 4, "Authorization header"; RFC 7616, section 3.4.
pub fn credential(value: &[u8]) -> Option<Credential<'_>> {
    let value = value.trim_ascii();
    let (scheme, rest) = match value.iter().position(u8::is_ascii_whitespace) {
        Some(end) => value.split_at_checked(end)?,
        None => (&b""[..], value),
    };
    let rest = rest.trim_ascii();
    if scheme.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AWS4-")) {
        let scope = parameter(rest, b"credential")?;
        let name = scope.split(|byte| *byte == b'/').next().filter(|name| !name.is_empty());
        return name.map(Credential::Name);
    }
    if scheme.eq_ignore_ascii_case(b"digest") {
        return parameter(rest, b"username").map(Credential::Name);
    }
    let is_scheme =
        |word: &[u8]| [&b"bearer"[..], b"basic"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let split = |word: &[u8]| word.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b',');
    let whole = !rest.is_empty() && !is_scheme(rest) && !split(rest) && !split(scheme);
    whole.then_some(Credential::Key(rest))
}

/// Returns the value of a parameter in a list such as `a="b", c=d`. Returns `None` if the value is empty or contains an
/// escape, which would allow several spellings of one name, or if the list is malformed or has the parameter twice.
fn parameter<'a>(list: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    let mut rest = list.trim_ascii();
    while !rest.is_empty() {
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let (key, after) = rest.split_at_checked(equals)?;
        let key = key.trim_ascii();
        if key.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'"')) {
            return None;
        }
        let after = after.get(1..)?.trim_ascii_start();
        let (value, left) = match after.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted.iter().position(|byte| *byte == b'"')?;
                (quoted.get(..end)?, quoted.get(end.checked_add(1)?..)?)
            }
            None => {
                after.split_at_checked(after.iter().position(|byte| *byte == b',').unwrap_or(after.len()))?
            }
        };
        if value.contains(&b'\\') {
            return None;
        }
        if key.eq_ignore_ascii_case(name) && found.replace(value.trim_ascii()).is_some() {
            return None;
        }
        let left = left.trim_ascii_start();
        rest = match left.split_first() {
            None => left,
            Some((b',', more)) => more.trim_ascii(),
            Some(_) => return None,
        };
    }
    found.filter(|value| !value.is_empty())
}

/// Returns the address in `x-forwarded-for` (its values in order) at `hops` from the right; 1 is the last. Returns
/// `None` if there are fewer entries or if that entry is no address.
pub fn forwarded<'a>(values: impl DoubleEndedIterator<Item = &'a [u8]>, hops: u32) -> Option<IpAddr> {
    let back = usize::try_from(hops.checked_sub(1)?).ok()?;
    let entry = values.rev().flat_map(|value| value.rsplit(|b| *b == b',')).nth(back)?;
    address(entry.trim_ascii())
}

/// Parses an address as proxies write it: with or without a port, IPv6 with or without brackets.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

/// The lengths of the prefixes that identify networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// The IPv4 prefix, in bits.
    pub ipv4: u8,
    /// The IPv6 prefix, in bits.
    pub ipv6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

impl Prefixes {
    /// Returns the bytes that identify an address's network. An IPv4 address within an IPv6 address counts as IPv4.
    pub fn network(self, address: IpAddr) -> [u8; 16] {
        match within(address) {
            IpAddr::V4(v4) => {
                let bits = kept(u128::from(v4.to_bits()), self.ipv4, 32);
                Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()).to_ipv6_mapped().octets()
            }
            IpAddr::V6(v6) => Ipv6Addr::from_bits(kept(v6.to_bits(), self.ipv6, 128)).octets(),
        }
    }
}

/// Returns the IPv4 address within an IPv6 address that maps it, translates it (NAT64's well-known prefix) or tunnels
/// it (6to4).
///
/// Sources: RFC 4291, section 2.5.5.2; RFC 6052, section 2.1; RFC 3056, section 2.
fn within(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    match v6.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] | [0x20, 0x02, a, b, c, d, ..] => {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => IpAddr::V6(v6),
    }
}

fn kept(bits: u128, prefix: u8, of: u8) -> u128 {
    let dropped = u32::from(of.saturating_sub(prefix));
    bits.checked_shr(dropped).and_then(|kept| kept.checked_shl(dropped)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_one_client_in_every_spelling() {
        for value in ["Bearer sk-1", "bearer sk-1", "BEARER   sk-1  ", " Bearer\tsk-1", "sk-1"] {
            assert_eq!(credential(value.as_bytes()), Some(Credential::Key(b"sk-1")), "{value:?}");
        }
        assert_eq!(credential(b"Basic dTpw"), credential(b"basic   dTpw"));
        assert_eq!(credential(b"Bearersk-1"), Some(Credential::Key(b"Bearersk-1")));
    }

    #[test]
    fn an_ambiguous_or_missing_credential_identifies_nobody() {
        for value in
            ["", "  ", "Bearer", "Bearer  ", "Bearer sk-1,Bearer sk-2", "Bearer sk-1 sk-2", "valid, junk"]
        {
            assert_eq!(credential(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn the_nth_forwarded_address_from_the_right_is_taken() {
        let list = [b"9.9.9.9, 10.0.0.1".as_slice(), b"10.0.0.2:443".as_slice()];
        let hop = |n| forwarded(list.into_iter(), n).map(|ip| ip.to_string());
        assert_eq!(hop(1).as_deref(), Some("10.0.0.2"));
        assert_eq!(hop(2).as_deref(), Some("10.0.0.1"));
        assert_eq!(hop(3).as_deref(), Some("9.9.9.9"));
        assert_eq!(hop(4), None);
        assert_eq!(hop(0), None);
        assert_eq!(forwarded([b"1.2.3.4, unknown".as_slice()].into_iter(), 1), None);
    }

    #[test]
    fn addresses_are_parsed_in_every_usual_form() {
        for text in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"] {
            assert_eq!(address(text.as_bytes()), Some("2001:db8::1".parse().unwrap()), "{text}");
        }
        assert_eq!(address(b"1.2.3.4:80"), address(b"1.2.3.4"));
        for text in [b"".as_slice(), b"::g", b"1.2.3", b"\xff\xfe", b"/var/run/envoy.sock"] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_client_that_proves_a_secret_without_sending_it_is_identified_by_name() {
        let named = |value: &'static str| match credential(value.as_bytes()) {
            Some(Credential::Name(name)) => Some(core::str::from_utf8(name).unwrap()),
            _ => None,
        };
        let signed = "AWS4-HMAC-SHA256 Credential=AKIA1/20261128/eu/bedrock/aws4_request, SignedHeaders=host, Signature=9f";
        assert_eq!(named(signed), Some("AKIA1"));
        assert_eq!(named("AWS4-HMAC-SHA256 Credential=AKIA1/x,Signature=00"), Some("AKIA1"));
        assert_eq!(named("AWS4-ECDSA-P256-SHA256 SignedHeaders=a;b, Credential=AKIA1/x"), Some("AKIA1"));
        let digest = "Digest username=\"mufasa\", realm=\"a, b=c\", uri=\"/v1\", response=\"7\"";
        assert_eq!(named(digest), Some("mufasa"));
        assert_eq!(named("digest realm=\"x\",USERNAME = mufasa"), Some("mufasa"));
    }

    #[test]
    fn an_ambiguous_name_identifies_nobody() {
        for value in [
            "AWS4-HMAC-SHA256 Signature=9f",
            "AWS4-HMAC-SHA256 Credential=/x",
            "AWS4-HMAC-SHA256 Credential=A/x, Credential=B/x",
            "AWS4-HMAC-SHA256 Credential=A/x, AWS4-HMAC-SHA256 Credential=B/x",
            "Digest username=\"mu\\fasa\"",
            "Digest username=\"mufasa",
            "Digest username=\"a\" username=\"b\"",
            "Digest username=\"a\", Digest username=\"b\"",
            "Digest username*=UTF-8''mufasa",
            "Digest mufasa",
            "Digest",
        ] {
            assert!(!matches!(credential(value.as_bytes()), Some(Credential::Name(_))), "{value}");
        }
    }

    #[test]
    fn an_address_is_identified_by_its_prefix_and_ipv4_within_ipv6_as_ipv4() {
        let net = |text: &str| Prefixes::default().network(text.parse().unwrap());
        assert_eq!(net("2001:db8::1"), net("2001:db8::ffff:1"));
        assert_ne!(net("2001:db8::1"), net("2001:db8:0:1::1"));
        assert_ne!(net("1.2.3.4"), net("1.2.3.5"));
        for written in ["::ffff:1.2.3.4", "64:ff9b::1.2.3.4", "2002:102:304::1", "2002:102:304:9::2"] {
            assert_eq!(net(written), net("1.2.3.4"), "{written}");
        }
        let wide = |text: &str| Prefixes { ipv4: 24, ipv6: 56 }.network(text.parse().unwrap());
        assert_eq!(wide("2001:db8::1"), wide("2001:db8:0:ff::1"));
        assert_ne!(wide("2001:db8::1"), wide("2001:db8:0:100::1"));
        assert_eq!(wide("1.2.3.4"), wide("1.2.3.250"));
        assert_ne!(wide("1.2.3.4"), wide("1.2.4.4"));
        let whole = Prefixes { ipv4: 32, ipv6: 128 };
        assert_ne!(whole.network("::1".parse().unwrap()), whole.network("::2".parse().unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn no_value_panics(value: Vec<u8>, list in "[DdAaWS4 =,\"\\\\a-d/]{0,40}") {
            credential(&value);
            credential(list.as_bytes());
            credential(&[b"Digest ".as_slice(), list.as_bytes()].concat());
        }
    }
}
