//! One JSON text. White space before it is a sign of life, as some servers send it while they think, and no content; any
//! other byte is, unless the text begins with an error: then what it says is waited for, since an error document is short
//! and comes at once. An array, whose elements may come one by one, is content from its first byte.

use super::text::Text;
use super::{First, MAX_INSPECTED, Shown, may_hold_an_error};

/// A text that is cut into pieces shorter than this, in bytes, is read in full before it is taken to hold no error.
const SHORT: usize = 512;

/// Watches the text.
#[derive(Clone, Debug, Default)]
pub struct Document {
    text: Box<Text>,
    read: usize,
    is_judged: bool,
    shown: Shown,
}

impl Document {
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Shown {
        if self.is_judged {
            return self.shown;
        }
        let text = if self.read == 0 { chunk.trim_ascii_start() } else { chunk };
        if text.is_empty() {
            return self.shown;
        }
        let is_first = self.read == 0;
        self.read = self.read.saturating_add(text.len());
        let is_plain = !may_hold_an_error(text);
        if is_first && (text.starts_with(b"[") || (is_plain && text.len() >= SHORT)) {
            return self.judged(First::Content);
        }
        self.text.feed(text);
        match () {
            () if self.text.is_ended() => return self.end(),
            () if self.read > Self::most() => return self.judged(First::Content),
            () if self.text.is_in_error() => {}
            () => self.shown.first = self.shown.first.or(Some(First::Content)),
        }
        self.shown
    }

    pub(super) fn end(&mut self) -> Shown {
        if !self.is_judged && self.read > 0 {
            self.is_judged = true;
            let said = core::mem::take(&mut self.text).said();
            self.shown.hear(Shown { malformed: false, ..said });
            self.shown.first = self.shown.first.or(Some(First::Content));
        }
        self.shown
    }

    pub(super) const fn is_judged(&self) -> bool {
        self.is_judged
    }

    fn judged(&mut self, first: First) -> Shown {
        self.is_judged = true;
        self.shown.first = self.shown.first.or(Some(first));
        self.shown
    }

    fn most() -> usize {
        usize::try_from(MAX_INSPECTED).unwrap_or(usize::MAX)
    }
}
