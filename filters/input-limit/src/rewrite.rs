//! What is taken out of a request or made smaller in it, so that it can pass, and how a header of the response says it:
//! `max_tokens=8192->4096; zero_width=3`.

use core::fmt::Write;
use tidegate_policy::clamp::{Clamped, Inconsistent, clamp};
use tidegate_policy::inference::{Class, Facts};
use tidegate_policy::prompt::Heard;
use tidegate_policy::rewrite::Edit;

/// The header.
pub const CHANGED: &str = "x-tidegate-changed";

/// What is changed.
#[derive(Debug)]
pub struct Mended {
    /// In the body.
    pub edits: Vec<Edit>,
    /// What [`CHANGED`] says; empty if nothing is.
    pub note: String,
    /// Characters are taken out.
    pub strips: bool,
    /// Numbers are made smaller.
    pub clamps: bool,
}

/// Takes out what `heard` has marked, and clamps completion tokens to `limit`. `held` gives the body.
///
/// # Errors
/// If numbers that depend on each other cannot be made to fit.
pub fn mend(
    heard: &mut Heard,
    facts: &Facts,
    limit: Option<u64>,
    held: impl FnOnce() -> Vec<u8>,
) -> Result<Mended, Inconsistent> {
    let strips = core::mem::take(&mut heard.strips);
    let Clamped { mut edits, note } = match limit {
        Some(limit) => clamp(facts, limit, false)?,
        None => Clamped::default(),
    };
    let mut note = note.replace(';', "; ");
    for (class, count) in Class::ALL.iter().zip(strips.counts()).filter(|(_, count)| **count > 0) {
        let _ = write!(note, "; {}={count}", class.name());
    }
    let clamps = !edits.is_empty();
    edits.extend(strips.edits(held));
    let note = note.trim_start_matches("; ").to_owned();
    Ok(Mended { edits, note, strips: !strips.is_empty(), clamps })
}
