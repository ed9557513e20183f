//! Who a client is: the credential that it presents, or the address that it comes from.
//!
//! A credential is taken in the form its upstream would read it, so that rewriting it (another case of
//! `Bearer`, more spaces, a second header) does not make another client of the same key. What no upstream
//! reads in one way only is no credential at all. An IPv6 client counts by its /64, which one subscriber
//! commonly holds whole.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The key in the value of `authorization` or of an API-key header: what follows the scheme (`Bearer`, `Basic`), or
/// the whole value where there is none. `None` if nothing is left, or if it holds white space or a comma, which no
/// token does (RFC 9110, section 11.2): proxies join repeated headers with a comma.
pub fn credential(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let key = match value.iter().position(u8::is_ascii_whitespace) {
        Some(end) => value.get(end..)?.trim_ascii(),
        None => value,
    };
    let scheme_alone = key.eq_ignore_ascii_case(b"bearer") || key.eq_ignore_ascii_case(b"basic");
    let whole =
        !key.is_empty() && !scheme_alone && !key.iter().any(|b| b.is_ascii_whitespace() || *b == b',');
    whole.then_some(key)
}

/// The address that `x-forwarded-for` (its values in order) has at `hops` from the right, 1 being the last.
/// `None` if there are fewer, or if that entry is no address.
pub fn forwarded<'a>(values: impl DoubleEndedIterator<Item = &'a [u8]>, hops: u32) -> Option<IpAddr> {
    let back = usize::try_from(hops.checked_sub(1)?).ok()?;
    let entry = values.rev().flat_map(|value| value.rsplit(|b| *b == b',')).nth(back)?;
    address(entry.trim_ascii())
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

/// The bytes by which an address is counted: IPv4 whole (also when mapped into IPv6), IPv6 by its /64.
pub fn network(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_one_client_however_it_is_written() {
        for value in ["Bearer sk-1", "bearer sk-1", "BEARER   sk-1  ", " Bearer\tsk-1", "sk-1"] {
            assert_eq!(credential(value.as_bytes()), Some(b"sk-1".as_slice()), "{value:?}");
        }
        assert_eq!(credential(b"Basic dTpw"), credential(b"basic   dTpw"));
        assert_eq!(credential(b"Bearersk-1"), Some(b"Bearersk-1".as_slice()));
    }

    #[test]
    fn what_is_no_credential_names_nobody() {
        for value in ["", "  ", "Bearer", "Bearer  ", "Bearer sk-1,Bearer sk-2", "Bearer sk-1 sk-2"] {
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
    fn addresses_are_read_in_every_usual_form() {
        for text in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443"] {
            assert_eq!(address(text.as_bytes()), Some("2001:db8::1".parse().unwrap()), "{text}");
        }
        assert_eq!(address(b"1.2.3.4:80"), address(b"1.2.3.4"));
        for text in [b"".as_slice(), b"::g", b"1.2.3", b"\xff\xfe", b"/var/run/envoy.sock"] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn ipv6_counts_by_its_64_and_mapped_ipv4_as_itself() {
        let net = |text: &str| network(text.parse().unwrap());
        assert_eq!(net("2001:db8::1"), net("2001:db8::ffff:1"));
        assert_ne!(net("2001:db8::1"), net("2001:db8:0:1::1"));
        assert_eq!(net("::ffff:1.2.3.4"), net("1.2.3.4"));
        assert_ne!(net("1.2.3.4"), net("1.2.3.5"));
    }
}
