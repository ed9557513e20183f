//! Replaces parts of a body and keeps every other byte.

use core::cmp::Reverse;
use core::ops::Range;
use std::borrow::Cow;

/// A part of a body and its replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes to be replaced, as offsets in the body.
    pub range: Range<u64>,
    /// The replacement.
    pub with: Cow<'static, [u8]>,
    /// The number that the replacement sets, if it is a limit. The lowest of several limits at one position wins, in
    /// any order.
    pub most: Option<u64>,
}

impl Edit {
    /// Returns the edit that wins if both have the same position, or `None` if both can be made.
    fn or<'a>(&'a self, later: &'a Self) -> Option<&'a Self> {
        match (self.most, later.most) {
            _ if self.range != later.range => None,
            (Some(most), Some(others)) if most < others => Some(self),
            (Some(_), Some(_)) => Some(later),
            _ => Some(later).filter(|_| !self.range.is_empty()),
        }
    }
}

/// Applies edits to `body`. An edit replaces the earlier edits within its range, because a later decision covers the
/// whole range. An edit within the range of an earlier one has no effect. Returns `None` if two ranges overlap in part
/// or one exceeds the body.
pub fn apply(body: &[u8], edits: &mut [Edit]) -> Option<Vec<u8>> {
    edits.sort_by_key(|edit| (edit.range.start, !edit.range.is_empty(), Reverse(edit.range.end)));
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut new = Vec::with_capacity(body.len().saturating_add(added));
    let mut at = 0;
    let mut edits = edits.iter().peekable();
    while let Some(mut edit) = edits.next() {
        while let Some(made) = edits.peek().and_then(|later| edit.or(later)) {
            edit = made;
            edits.next();
        }
        let Edit { range, with, .. } = edit;
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        body.get(start..end)?;
        if start < at && end > at {
            return None;
        }
        if start < at {
            continue;
        }
        new.extend_from_slice(body.get(at..start)?);
        new.extend_from_slice(with);
        at = end;
    }
    new.extend_from_slice(body.get(at..)?);
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(range: Range<u64>, with: &'static str) -> Edit {
        Edit { range, with: Cow::Borrowed(with.as_bytes()), most: None }
    }

    #[test]
    fn the_lowest_of_several_limits_is_written_once() {
        let limit = |range: Range<u64>, most: u64| Edit {
            range,
            with: Cow::Owned(most.to_string().into_bytes()),
            most: Some(most),
        };
        for limits in [[8, 512, 99], [512, 8, 8], [99, 512, 8]] {
            let mut replaced = limits.map(|most| limit(1..3, most));
            assert_eq!(apply(b"0123", &mut replaced).as_deref(), Some(b"083".as_slice()));
            let mut added = limits.map(|most| limit(1..1, most));
            assert_eq!(apply(b"0123", &mut added).as_deref(), Some(b"08123".as_slice()));
        }
        let mut both = [limit(1..3, 8), edit(1..3, "null"), edit(1..1, "a"), edit(1..1, "b")];
        assert_eq!(apply(b"0123", &mut both).as_deref(), Some(b"0abnull3".as_slice()));
    }

    #[test]
    fn parts_are_replaced_and_the_rest_is_kept() {
        let mut edits = [edit(4..6, ""), edit(0..1, "xy"), edit(8..8, "!")];
        assert_eq!(apply(b"01234567", &mut edits).as_deref(), Some(b"xy12367!".as_slice()));
        assert_eq!(apply(b"01", &mut []).as_deref(), Some(b"01".as_slice()));
    }

    #[test]
    fn the_later_edit_of_a_part_and_the_outer_of_two_nested_edits_win() {
        let mut edits = [edit(1..2, "a"), edit(4..6, "b"), edit(0..3, "c"), edit(4..6, "d"), edit(4..4, "e")];
        assert_eq!(apply(b"01234567", &mut edits).as_deref(), Some(b"c3ed67".as_slice()));
        let mut nested = [edit(0..6, "x"), edit(2..4, "y"), edit(3..3, "z"), edit(6..6, "!")];
        assert_eq!(apply(b"01234567", &mut nested).as_deref(), Some(b"x!67".as_slice()));
    }

    #[test]
    fn edits_that_overlap_or_exceed_the_body_are_refused() {
        for mut edits in [[edit(0..2, ""), edit(1..3, "")], [edit(0..1, ""), edit(7..9, "")]] {
            assert_eq!(apply(b"01234567", &mut edits), None);
        }
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let mut backwards = [edit(3..2, "")];
        assert_eq!(apply(b"01234567", &mut backwards), None);
    }
}
