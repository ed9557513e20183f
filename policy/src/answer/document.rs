//! Reads one JSON text. Leading white space is not content, because some servers send it to keep the connection alive
//! while they compute. Any other byte is, unless the text begins with an error: an error document is short and comes at
//! once, so it is read in full first. An array, whose elements may come one by one, is content from its first byte.

use super::meter::Metering;
use super::text::Text;
use super::{First, MAX_INSPECTED, Shown, may_hold_an_error};

/// The size in bytes below which a first chunk is always parsed, instead of being searched for an error.
const SHORT: usize = 512;

/// The reader of one JSON text.
#[derive(Clone, Debug)]
pub struct Document {
    /// The parser, until it has shown everything.
    text: Option<Box<Text>>,
    is_metered: bool,
    read: usize,
    is_judged: bool,
    shown: Shown,
    metering: Metering,
}

impl Document {
    pub(super) fn new(is_metered: bool) -> Self {
        Self {
            text: Some(Box::new(Text::new(is_metered))),
            is_metered,
            read: 0,
            is_judged: false,
            shown: Shown::default(),
            metering: Metering::default(),
        }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) -> Shown {
        if self.is_judged && !self.is_metered {
            return self.shown;
        }
        let text = if self.read == 0 { chunk.trim_ascii_start() } else { chunk };
        if text.is_empty() {
            return self.shown;
        }
        let is_first = self.read == 0;
        self.read = self.read.saturating_add(text.len());
        if is_first {
            let is_plain = text.len() >= SHORT && !may_hold_an_error(text);
            if text.starts_with(b"[") || is_plain {
                self.judge(First::Content);
            }
        }
        let Some(read) = self.text.as_mut().filter(|_| !self.is_judged || self.is_metered) else {
            return self.shown;
        };
        read.feed(text);
        if self.is_judged {
            return self.shown;
        }
        if read.is_ended() {
            return self.end();
        }
        if self.read > Self::most() {
            self.judge(First::Content);
        } else if !read.is_in_error() {
            self.shown.first = self.shown.first.or(Some(First::Content));
        }
        self.shown
    }

    pub(super) fn end(&mut self) -> Shown {
        let Some((shown, metering)) = self.text.take_if(|_| self.read > 0).map(|text| text.said()) else {
            return self.shown;
        };
        self.metering = metering;
        if !self.is_judged {
            self.is_judged = true;
            self.shown.merge(Shown { malformed: false, ..shown });
            self.shown.first = self.shown.first.or(Some(First::Content));
        }
        self.shown
    }

    pub(super) const fn is_judged(&self) -> bool {
        self.is_judged
    }

    pub(super) const fn metering(&self) -> Metering {
        self.metering
    }

    fn judge(&mut self, first: First) {
        self.is_judged = true;
        self.shown.first = self.shown.first.or(Some(first));
    }

    fn most() -> usize {
        usize::try_from(MAX_INSPECTED).unwrap_or(usize::MAX)
    }
}
