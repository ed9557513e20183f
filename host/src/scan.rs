//! The scan of a request's body, made once for all filters that ask for it (see [`bodies`](crate::bodies)).

use core::fmt;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};
use tidegate_policy::inference::{Facts, Scanner, TextSink};
use tidegate_policy::json::Invalid;

/// What filters want to know of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanNeeds {
    /// How deep its containers may nest, 1 to 128.
    pub max_depth: u8,
    /// Whether names are known to the letter only, or nobody cares.
    pub exact_names: bool,
    /// Whether it is to have a fingerprint, which costs a hash of all of it.
    pub fingerprint: bool,
}

/// What has been read of a body.
pub struct Scan {
    scanner: Scanner,
    fault: Option<Invalid>,
    is_complete: bool,
}

impl ScanNeeds {
    /// What two filters of one module need. A filter for which a body nests deeper than it asked judges that itself, by
    /// [`Facts::depth`].
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            max_depth: self.max_depth.max(other.max_depth),
            exact_names: self.exact_names && other.exact_names,
            fingerprint: self.fingerprint || other.fingerprint,
        }
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("fault", &self.fault).field("is_complete", &self.is_complete).finish()
    }
}

impl Scan {
    /// For a new body.
    pub fn new(needs: ScanNeeds, prints: Fingerprinter) -> Self {
        let ScanNeeds { max_depth, exact_names, fingerprint } = needs;
        let scanner = if exact_names { Scanner::exact(max_depth) } else { Scanner::new(max_depth) };
        let scanner = if fingerprint { scanner.with_fingerprint(prints) } else { scanner };
        Self { scanner, fault: None, is_complete: false }
    }

    /// Whether more bytes could tell more.
    pub const fn goes_on(&self) -> bool {
        self.fault.is_none() && !self.is_complete
    }

    /// Reads a chunk, whose texts `sink` hears.
    pub fn feed(&mut self, chunk: &[u8], sink: Option<&mut dyn TextSink>) {
        if self.goes_on() {
            self.fault = self.scanner.feed(chunk, sink.unwrap_or(&mut ())).err();
        }
    }

    /// No more comes.
    pub fn finish(&mut self, sink: Option<&mut dyn TextSink>) {
        if self.goes_on() {
            self.fault = self.scanner.finish(sink.unwrap_or(&mut ())).err();
            self.is_complete = self.fault.is_none();
        }
    }

    /// What is known so far.
    pub const fn facts(&self) -> &Facts {
        self.scanner.facts()
    }

    /// Why the body is no JSON, if it is none.
    pub const fn fault(&self) -> Option<Invalid> {
        self.fault
    }

    /// The whole body has been read, and is JSON.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Of the canonical request, once that is complete, if somebody needs it.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.scanner.fingerprint()
    }
}
