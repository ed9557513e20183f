//! Normalises a path to the form in which the upstream will most likely read it, so that no other spelling evades a
//! limit: query and fragment removed, percent-encoding decoded once, repeated slashes merged, `.` and `..` resolved.
//!
//! Source: RFC 3986, sections 6.2.2.2 and 5.2.4.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Returns the canonical path of a request target, in one pass. A path that is already canonical is not copied.
pub fn canonical(target: &[u8]) -> Cow<'_, [u8]> {
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    if !path.starts_with(b"/") || is_canonical(path) {
        return Cow::Borrowed(path);
    }
    let decoded: Cow<'_, [u8]> = percent_decode(path).into();
    Cow::Owned(resolved(&decoded))
}

/// Returns true if a path has the form that [`canonical`] returns.
pub fn is_canonical(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    segments.next();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.contains(&b'%') || segment == b"." || segment == b".." || (segment.is_empty() && !last) {
            return false;
        }
    }
    !path.iter().any(|byte| matches!(byte, b'?' | b'#'))
}

/// Returns true if a canonical path equals `prefix` or lies below it. A prefix ends at the end of a segment: `/v10` is
/// not below `/v1`.
pub fn is_beneath(path: &[u8], prefix: &[u8]) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(b"/") || matches!(prefix.last(), None | Some(b'/'))
    })
}

fn resolved(path: &[u8]) -> Vec<u8> {
    let mut resolved: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" | b"." if !last => {}
            b"" | b"." => resolved.push(b'/'),
            b".." => {
                let parent = resolved.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                resolved.truncate(parent);
                if last {
                    resolved.push(b'/');
                }
            }
            segment => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
            }
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_path_is_the_same_path() {
        for spelling in [
            "/v1/chat",
            "//v1/chat",
            "/./v1/chat",
            "/x/../v1/chat",
            "/v1/./chat",
            "/../v1//chat",
            "/%761/chat",
            "/v%31/chat",
            "/v1%2fchat",
            "/v1%2Fchat",
            "/v1/x/%2e%2e/chat",
            "/v1/chat?x=/../y",
            "/v1/chat#y",
        ] {
            assert_eq!(canonical(spelling.as_bytes()).as_ref(), b"/v1/chat", "{spelling}");
        }
    }

    #[test]
    fn a_last_slash_and_invalid_escapes_are_kept_and_nothing_is_decoded_twice() {
        for (spelling, path) in [
            ("/v1/", "/v1/"),
            ("/v1/.", "/v1/"),
            ("/v1/x/..", "/v1/"),
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/%zz%1", "/%zz%1"),
            ("/%2576", "/%76"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(canonical(spelling.as_bytes()).as_ref(), path.as_bytes(), "{spelling}");
        }
    }

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        let beneath = |path: &str, prefix: &str| is_beneath(path.as_bytes(), prefix.as_bytes());
        for (path, prefix) in [
            ("/v1", "/v1"),
            ("/v1/", "/v1"),
            ("/v1/chat", "/v1"),
            ("/v1/chat", "/v1/"),
            ("/x", ""),
            ("/x", "/"),
        ] {
            assert!(beneath(path, prefix), "{path} {prefix}");
        }
        for (path, prefix) in
            [("/v10/x", "/v1"), ("/v1x", "/v1"), ("/v1", "/v1/"), ("/v2/chat", "/v1"), ("", "/")]
        {
            assert!(!beneath(path, prefix), "{path} {prefix}");
        }
    }

    proptest! {
        #[test]
        fn no_target_panics(target: Vec<u8>) {
            let path = canonical(&target);
            prop_assert!(path.len() <= target.len().max(1));
        }

        #[test]
        fn a_canonical_path_without_escapes_is_a_fixed_point(target in "/[a-c./]{0,20}") {
            let once = canonical(target.as_bytes()).into_owned();
            prop_assert!(is_canonical(&once), "{:?}", String::from_utf8_lossy(&once));
            prop_assert_eq!(canonical(&once).into_owned(), once);
        }
    }
}
