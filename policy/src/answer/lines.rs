//! Reads JSON texts, one per line, as Ollama streams them. Blank lines are no content. A line counts once it has ended,
//! as for its client. At most [`MAX_INSPECTED`] bytes of each line are read.

use super::meter::Metering;
use super::text::Text;
use super::{Shown, may_hold_an_error};

/// The reader of JSON lines.
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

    /// Ends the response. The last line may lack its line feed.
    pub(super) fn end(&mut self) -> Shown {
        self.dispatch();
        self.shown
    }

    /// Skips chunks that cannot contain an error, unless the response is metered.
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

/// Returns true if the line is JSON white space only, so that a cut after it makes no difference.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}
