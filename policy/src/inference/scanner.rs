//! The scan of one body.

use super::TextSink;
use super::facts::Facts;
use super::listener::Listener;
use super::print::Print;
use super::reader::Reader;
use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::json::{Invalid, Lexer};

/// Scans one body that comes in chunks. It takes some 2 KiB, 56 bytes more for each member that it has
/// seen, each once, and up to 64 for each open container, 190 with a fingerprint, whose keys take 2 KiB at most.
#[derive(Clone)]
pub struct Scanner {
    lexer: Lexer,
    reader: Reader,
    is_complete: bool,
}

impl Scanner {
    /// Accepts containers nested up to `max_depth`, 1 being a container of scalars; 128 at most. Names are known in any
    /// letter case.
    pub fn new(max_depth: u8) -> Self {
        Self { lexer: Lexer::new(max_depth), reader: Reader::new(None, true), is_complete: false }
    }

    /// The same, but names are known to the letter, as all servers know them that are not written in Go.
    pub fn exact(max_depth: u8) -> Self {
        Self { reader: Reader::new(None, false), ..Self::new(max_depth) }
    }

    /// The same, with a fingerprint under the key of `prints`. That costs a hash of the whole body.
    #[must_use]
    pub fn with_fingerprint(mut self, prints: Fingerprinter) -> Self {
        self.reader.print = Some(Print::new(prints));
        self
    }

    /// Reads on. After an error every call answers that error.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut (impl TextSink + ?Sized)) -> Result<(), Invalid> {
        self.lexer.feed(chunk, &mut Listener { reader: &mut self.reader, sink })
    }

    /// No more bytes come.
    pub fn finish(&mut self, sink: &mut (impl TextSink + ?Sized)) -> Result<(), Invalid> {
        self.lexer.finish(&mut Listener { reader: &mut self.reader, sink })?;
        self.is_complete = true;
        Ok(())
    }

    /// What is known so far.
    pub const fn facts(&self) -> &Facts {
        &self.reader.facts
    }

    /// Of the canonical request, once it is complete, if one was asked for.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.reader.print.as_ref().filter(|_| self.is_complete).map(Print::finish)
    }
}
