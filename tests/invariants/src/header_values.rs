//! The values of headers, as clients and servers may write them: what is read is within its bounds, the same however its
//! writing may differ, and nobody's name is more than a part of the value.

use core::net::IpAddr;
use tidegate_policy::answer_cache::control::{RequestControl, ResponseControl};
use tidegate_policy::attempt::{MAX_ATTEMPT, claimed};
use tidegate_policy::date;
use tidegate_policy::identity::{Credential, Prefixes, address, credential, forwarded};
use tidegate_policy::path::{canonical, is_beneath, is_canonical};
use tidegate_policy::retry_hint::{Asked, MAX_ASKED, asked, reset};

/// Some instant, in nanoseconds since 1970.
const NOW: u64 = 1_764_300_000_000_000_000;

/// Whatever the lines: each a header, or a value alone.
pub fn header_values(text: &[u8]) {
    let headers = || {
        text.split(|byte| *byte == b'\n').map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            (name, value.strip_prefix(b":").unwrap_or(value))
        })
    };
    let with_clock = asked(headers(), Some(NOW)).expect("a clock was given");
    assert!(!matches!(with_clock, Asked::Wait(0)) && with_clock.wait().is_none_or(|wait| wait <= MAX_ASKED));
    let without = asked(headers(), None);
    assert!(without.is_none_or(|without| without == with_clock), "{without:?} and {with_clock:?}");
    let values = || headers().map(|(_, value)| value);
    let read = RequestControl::read(values(), core::iter::empty());
    let spaced: Vec<Vec<u8>> = values().map(|value| [b" , ", value, b"\t,"].concat()).collect();
    // Within quotes, or with a quote that is not closed, a comma is none.
    if !text.contains(&b'"') {
        let spaced = RequestControl::read(spaced.iter().map(Vec::as_slice), core::iter::empty());
        assert_eq!(spaced, read);
    }
    let _ = ResponseControl::read(values());
    assert!(claimed(values(), 0).is_none_or(|attempt| attempt <= MAX_ATTEMPT));
    for line in text.split(|byte| *byte == b'\n').chain(values()) {
        one(line);
    }
    for hops in 0..4 {
        let found = forwarded(values().collect::<Vec<_>>().into_iter(), hops);
        assert!(hops > 0 || found.is_none());
    }
}

fn one(value: &[u8]) {
    if let Some(time) = date::rfc3339(value) {
        let written = date::to_rfc3339(time);
        let read = date::rfc3339(written.as_bytes()).expect("what we write can be read");
        assert!(read.abs_diff(time) < 1_000_000_000, "{time} is written as {written}");
    }
    let _ = date::http(value);
    assert!(reset(value, NOW).is_none_or(|wait| wait > 0 && wait <= MAX_ASKED));
    names(value);
    if let Some(address) = address(value) {
        networks(address);
    }
    let path = canonical(value);
    assert!(!is_canonical(value) || path == value, "{path:?}");
    assert!(path.len() <= value.len());
    if path.starts_with(b"/") {
        let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            assert!(segment != b"." && segment != b"..", "{path:?}");
            assert!(!segment.is_empty() || segments.peek().is_none(), "{path:?}");
        }
        assert!(is_beneath(&path, b"/"));
    }
}

fn names(value: &[u8]) {
    let found = credential(value);
    let padded = [b"\t ", value, b" \t"].concat();
    assert_eq!(credential(&padded), found, "blanks around it make another client");
    match found {
        None => {}
        Some(Credential::Key(key)) => {
            assert!(!key.is_empty() && key.len() <= value.len());
            assert!(!key.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b','));
            let bearer = [b"bEaReR \t", key].concat();
            assert!(credential(&bearer).is_none_or(|found| found == Credential::Key(key)));
            let twice = [value, b", ", value].concat();
            assert_eq!(credential(&twice), None, "two keys are one");
        }
        Some(Credential::Name(name)) => {
            assert!(!name.is_empty() && !name.contains(&b'\\'));
            let twice = [value, b", ", value].concat();
            assert!(!matches!(credential(&twice), Some(Credential::Name(other)) if other != name));
        }
    }
}

fn networks(address: IpAddr) {
    for prefixes in [Prefixes::default(), Prefixes { ipv4: 0, ipv6: 0 }, Prefixes { ipv4: 255, ipv6: 255 }] {
        let network = prefixes.network(address);
        assert_eq!(prefixes.network(IpAddr::from(network)), network, "a network is in itself");
    }
}
