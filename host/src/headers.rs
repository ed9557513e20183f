//! HTTP headers as bytes, read from the host once. Values may contain any byte and names may repeat; callers must
//! handle both.

use core::ops::Range;
use std::borrow::Cow;
use tidegate_policy::path;

/// Names (lower case, pseudo-headers included) and values, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMap {
    text: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl HeaderMap {
    /// Creates a map whose names and values are at these ranges of `text`. A range beyond it reads as empty.
    pub const fn new(text: Vec<u8>, fields: Vec<(Range<usize>, Range<usize>)>) -> Self {
        Self { text, fields }
    }

    /// Returns all fields.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (self.slice(name), self.slice(value)))
    }

    /// Returns every value of `name`.
    pub fn all<'a>(&'a self, name: &[u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Returns the value of `name`, if it occurs exactly once.
    pub fn only(&self, name: &[u8]) -> Option<&[u8]> {
        let mut all = self.all(name);
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    /// Returns the path in canonical form; empty if there is none.
    pub fn path(&self) -> Cow<'_, [u8]> {
        path::canonical(self.only(b":path").unwrap_or_default())
    }

    /// Returns the method; empty if there is none.
    pub fn method(&self) -> &[u8] {
        self.only(b":method").unwrap_or_default()
    }

    /// Returns true if the body that these headers announce has a content coding and must be decoded before it can be
    /// read.
    pub fn is_coded(&self) -> bool {
        let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
        let mut codings = self.all(b"content-encoding").flat_map(|value| value.split(|byte| *byte == b','));
        !codings.all(|coding| plain(coding.trim_ascii()))
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut map = Self::default();
        let append = |text: &mut Vec<u8>, bytes: &[u8]| {
            let from = text.len();
            text.extend_from_slice(bytes);
            from..text.len()
        };
        for (name, value) in pairs {
            let name = append(&mut map.text, name.as_ref());
            let value = append(&mut map.text, value.as_ref());
            map.fields.push((name, value));
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_occurs_twice_has_no_only_value() {
        let map: HeaderMap = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(map.only(b"a"), None);
        assert_eq!(map.only(b"b"), Some(b"2".as_slice()));
        assert_eq!(map.all(b"a").collect::<Vec<_>>(), [b"1", b"3"]);
    }

    #[test]
    fn a_body_is_coded_unless_every_coding_is_identity() {
        let coded = |values: &[&str]| {
            values.iter().map(|value| ("content-encoding", *value)).collect::<HeaderMap>().is_coded()
        };
        for plain in [&[][..], &[""], &["identity"], &[" Identity "], &["identity", "identity, "]] {
            assert!(!coded(plain), "{plain:?}");
        }
        for values in [&["gzip"][..], &["identity, br"], &["identity", "zstd"], &["x"]] {
            assert!(coded(values), "{values:?}");
        }
    }

    #[test]
    fn a_range_beyond_the_text_is_empty() {
        let map = HeaderMap::new(b"ab".to_vec(), vec![(0..1, 1..9)]);
        assert_eq!(map.only(b"a"), Some(b"".as_slice()));
    }
}
