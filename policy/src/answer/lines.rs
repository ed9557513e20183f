//! JSON texts, one a line, as Ollama streams them. Blank lines are no content; a line counts when its end has come, as for
//! its client. Of each line at most [`MAX_INSPECTED`] bytes are looked at.

use super::meter::Metering;
use super::text::Text;
use super::{Shown, may_hold_an_error};

/// Watches the lines.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    line: Option<Box<Text>>,
    only_errors: bool,
    is_metered: bool,
    shown: Shown,
    metering: Metering,
}

impl Lines {
    pub(super) fn new(is_metered: bool) -> Self {
        Self { is_metered, ..Self::default() }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) -> Shown {
        if self.only_errors && self.line.is_none() && chunk.ends_with(b"\n") && !may_hold_an_error(chunk) {
            return self.shown;
        }
        let mut rest = chunk;
        while !rest.is_empty() {
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            if self.line.is_some() || !is_blank(line) {
                let is_metered = self.is_metered;
                self.line.get_or_insert_with(|| Box::new(Text::new(is_metered))).feed(line);
            }
            rest = after.strip_prefix(b"\n").unwrap_or(after);
            if !after.is_empty() {
                self.dispatch();
            }
        }
        self.shown
    }

    /// The last line may lack its end.
    pub(super) fn end(&mut self) -> Shown {
        self.dispatch();
        self.shown
    }

    /// Passes over what cannot hold an error, unless the cost of the response is read.
    pub(super) const fn only_errors(&mut self) {
        self.only_errors = !self.is_metered;
    }

    pub(super) const fn metering(&self) -> Metering {
        self.metering
    }

    fn dispatch(&mut self) {
        if let Some(line) = self.line.take() {
            let (shown, metering) = line.said();
            self.shown.merge(shown);
            self.metering.merge(&metering);
        }
    }
}

/// Whether there is nothing but what JSON takes for white space, so that a cut behind it makes no difference.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}
