//! Scans one body.

use super::TextSink;
use super::facts::Facts;
use super::listener::Listener;
use super::print::Print;
use super::reader::Reader;
use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::json::{Invalid, Lexer};

/// Scans one body that arrives in chunks. Memory: about 2 KiB, plus 56 bytes for each distinct member, plus up to 64
/// bytes for each open container. With a fingerprint, a container takes up to 190 bytes and the keys up to 2 KiB.
#[derive(Clone)]
pub struct Scanner {
    lexer: Lexer,
    reader: Reader,
    is_complete: bool,
}

impl Scanner {
    /// Creates a scanner that accepts containers nested up to `max_depth`, 128 at most; 1 is a container of scalars.
    /// Names match in any letter case.
    pub fn new(max_depth: u8) -> Self {
        Self { lexer: Lexer::new(max_depth), reader: Reader::new(None, true), is_complete: false }
    }

    /// Creates a scanner that matches names exactly, as every server does that is not written in Go.
    pub fn exact(max_depth: u8) -> Self {
        Self { reader: Reader::new(None, false), ..Self::new(max_depth) }
    }

    /// Adds a fingerprint under the key of `prints`, at the cost of hashing the whole body.
    #[must_use]
    pub fn with_fingerprint(mut self, prints: Fingerprinter) -> Self {
        self.reader.print = Some(Print::new(prints));
        self
    }

    /// Reads the next chunk. After an error, every call returns that error.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut (impl TextSink + ?Sized)) -> Result<(), Invalid> {
        self.lexer.feed(chunk, &mut Listener { reader: &mut self.reader, sink })
    }

    /// Ends the body.
    pub fn finish(&mut self, sink: &mut (impl TextSink + ?Sized)) -> Result<(), Invalid> {
        self.lexer.finish(&mut Listener { reader: &mut self.reader, sink })?;
        self.is_complete = true;
        Ok(())
    }

    /// Returns the facts so far.
    pub const fn facts(&self) -> &Facts {
        &self.reader.facts
    }

    /// Returns the fingerprint of the canonical request, if it was requested and the body is complete.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.reader.print.as_ref().filter(|_| self.is_complete).map(Print::finish)
    }
}
