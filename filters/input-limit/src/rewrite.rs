//! What is taken out of a request or made smaller in it, so that it can pass.

use std::borrow::Cow;
use tidegate_policy::inference::{Facts, Value};
use tidegate_policy::prompt::{COMPLETION_TOKENS, Heard};
use tidegate_policy::rewrite::Edit;

/// The edits: what `heard` has marked, and completion tokens beyond `clamp`.
pub fn edits(heard: &mut Heard, facts: &Facts, clamp: Option<u64>) -> Vec<Edit> {
    let strips = core::mem::take(&mut heard.strips).into_iter();
    let strips = strips.map(|range| Edit { range, with: Cow::Borrowed(b"".as_slice()) });
    let exceeding = COMPLETION_TOKENS.iter().filter_map(|member| {
        let (seen, limit) = (facts.member(*member)?, clamp?);
        let exceeds = match seen.value {
            Value::Integer(number) => number > limit,
            Value::Other => true,
            Value::Null | Value::Bool(_) => false,
        };
        exceeds.then(|| Edit { range: seen.range.clone(), with: Cow::Owned(limit.to_string().into_bytes()) })
    });
    strips.chain(exceeding).collect()
}
