//! The edits that let a request pass: removed characters and reduced numbers. A response header reports them:
//! `max_tokens=8192->4096; zero_width=3`.

use crate::config::Limits;
use core::fmt::Write;
use tidegate_host::exchange::Exchange;
use tidegate_policy::clamp::{Clamped, Inconsistent, Spot, clamp};
use tidegate_policy::inference::{Class, Facts};
use tidegate_policy::prompt::{Heard, PromptLimits};
use tidegate_policy::rewrite::Edit;

/// The response header that reports edits.
pub const CHANGED: &str = "x-tidegate-changed";

/// The edits of a request.
#[derive(Debug)]
pub struct Mended {
    /// Edits of the body.
    pub edits: Vec<Edit>,
    /// Value of [`CHANGED`]; empty if nothing was edited.
    pub note: String,
    /// True if characters are removed.
    pub strips: bool,
    /// True if numbers are changed.
    pub clamps: bool,
}

/// The treatment of a request's number of completion tokens.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// Maximum number.
    pub limit: u64,
    /// True if a larger number is reduced.
    clamps: bool,
    /// Path of the request, if a number is inserted where there is none or a negative one.
    path: Option<Vec<u8>>,
}

impl Tokens {
    /// Returns the treatment of a request, by the limits of its route.
    pub fn of(exchange: &dyn Exchange, limits: &Limits, prompt: &PromptLimits) -> Self {
        let Some(limit) = prompt.completion_tokens else { return Self::default() };
        let path = limits.set.then(|| exchange.request_headers().path().to_vec());
        Self { limit, clamps: limits.clamp, path }
    }
}

/// Removes the characters that `heard` has marked, and corrects the number of completion tokens. `held` returns the
/// body.
///
/// # Errors Numbers that depend on each other cannot be made to fit.
pub fn mend(
    heard: &mut Heard,
    facts: &Facts,
    tokens: &Tokens,
    held: impl Fn() -> Vec<u8>,
) -> Result<Mended, Inconsistent> {
    let strips = core::mem::take(&mut heard.strips);
    let Tokens { limit, clamps, path } = tokens;
    let Clamped { mut edits, mut note } = match *clamps || path.is_some() {
        true => clamp(facts, *limit, path.is_some())?,
        false => Clamped::default(),
    };
    let spot = path.as_ref().and_then(|path| Spot::at(path, facts));
    if let Some(spot) = spot.filter(|spot| !spot.is_asked(facts)) {
        let set = spot.limit(facts, *limit, &held())?;
        edits.extend(set.edits);
        note.push_str(&set.note);
    }
    let mut note = note.replace(';', "; ");
    for (class, count) in Class::ALL.iter().zip(strips.counts()).filter(|(_, count)| **count > 0) {
        let _ = write!(note, "; {}={count}", class.name());
    }
    let clamps = !edits.is_empty();
    edits.extend(strips.edits(held));
    let note = note.trim_start_matches("; ").to_owned();
    Ok(Mended { edits, note, strips: !strips.is_empty(), clamps })
}
