//! Collects the characters to be removed from a request. Eight bytes are kept for each, however many there are and
//! however scattered.
//!
//! Up to 1,024 become one edit each. More become one edit for each member's value that contains some. That is safe
//! because no other edit lies within such a value, except one that replaces it entirely.

use crate::inference::{Class, Place, Suspect};
use crate::rewrite::Edit;
use std::borrow::Cow;

const FEW: usize = 1_024;

/// The characters to be removed, in the order of the body.
#[derive(Debug, Default)]
pub struct Strips {
    ranges: Vec<(u32, u32)>,
    /// Each member's value with the index of its first range.
    members: Vec<(u32, usize)>,
    counts: [u64; Class::ALL.len()],
}

impl Strips {
    /// Returns true if there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns the number of characters in each class, in the order of [`Class::ALL`].
    pub const fn counts(&self) -> &[u64; Class::ALL.len()] {
        &self.counts
    }

    /// Adds a character after all earlier ones. Characters beyond 4 GiB are ignored.
    pub fn add(&mut self, place: &Place, suspect: &Suspect) {
        let ends = (u32::try_from(suspect.range.start), u32::try_from(suspect.range.end));
        let (Ok(start), Ok(end)) = ends else { return };
        let class = Class::ALL.iter().position(|class| *class == suspect.class);
        if let Some(count) = class.and_then(|class| self.counts.get_mut(class)) {
            *count = count.saturating_add(1);
        }
        if self.members.last().is_none_or(|(value, _)| *value != place.value()) {
            self.members.push((place.value(), self.ranges.len()));
        } else if let Some(last) = self.ranges.last_mut().filter(|last| last.1 == start) {
            last.1 = end;
            return;
        }
        self.ranges.push((start, end));
    }

    /// Returns the edits that remove the characters. `held` returns the body and is called only if it is needed.
    pub fn edits(&self, held: impl FnOnce() -> Vec<u8>) -> Vec<Edit> {
        if self.ranges.len() <= FEW {
            let nothing = Cow::Borrowed(b"".as_slice());
            let edit = |&(start, end): &(u32, u32)| Edit {
                range: u64::from(start)..u64::from(end),
                with: nothing.clone(),
                most: None,
            };
            return self.ranges.iter().map(edit).collect();
        }
        let body = held();
        let ends = self.members.iter().skip(1).map(|(_, first)| *first).chain([self.ranges.len()]);
        let members =
            self.members.iter().zip(ends).filter_map(|((_, first), end)| self.ranges.get(*first..end));
        members.filter_map(|ranges| without(&body, ranges)).collect()
    }
}

/// Returns an edit from the first range to the last that keeps only what is between them.
fn without(body: &[u8], ranges: &[(u32, u32)]) -> Option<Edit> {
    let (first, last) = (ranges.first()?, ranges.last()?);
    let mut kept = Vec::new();
    for (before, after) in ranges.iter().zip(ranges.iter().skip(1)) {
        let between = usize::try_from(before.1).ok()?..usize::try_from(after.0).ok()?;
        // If the body is incomplete, the edit cannot be applied and the request is refused.
        kept.extend_from_slice(body.get(between).unwrap_or_default());
    }
    Some(Edit { range: u64::from(first.0)..u64::from(last.1), with: Cow::Owned(kept), most: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Member, Scanner, TextSink};
    use crate::rewrite::apply;

    #[derive(Default)]
    struct All(Strips);

    impl TextSink for All {
        fn piece(&mut self, _: &Place, _: &str) {}
        fn end_of_text(&mut self, _: &Place) {}
        fn suspect(&mut self, place: &Place, suspect: &Suspect) {
            self.0.add(place, suspect);
        }
    }

    #[test]
    fn any_number_of_characters_is_removed_beside_other_edits() {
        for times in [1, 3, 1_000, 5_000] {
            let text = "a\u{200B}b\\u200b\u{202E}c".repeat(times);
            let body =
                format!(r#"{{"system":"{text}","max_tokens":9,"messages":[{{"content":"{text}"}}],"x":1}}"#);
            let (mut scanner, mut all) = (Scanner::new(9), All::default());
            scanner.feed(body.as_bytes(), &mut all).unwrap();
            let mut edits = all.0.edits(|| body.clone().into_bytes());
            edits.push(Edit {
                range: scanner.facts().member(Member::MaxTokens).unwrap().range.clone(),
                with: b"5".as_slice().into(),
                most: None,
            });
            let clean = "abc".repeat(times);
            let expected = format!(
                r#"{{"system":"{clean}","max_tokens":5,"messages":[{{"content":"{clean}"}}],"x":1}}"#
            );
            assert_eq!(apply(body.as_bytes(), &mut edits), Some(expected.into_bytes()));
            let times = u64::try_from(times).unwrap();
            assert_eq!(all.0.counts(), &[0, 2 * times, 4 * times, 0]);
            assert!(edits.len() <= 2 * FEW + 1);
        }
    }
}
