//! The scan of a request body, made once for all filters that ask for it (see [`bodies`](crate::bodies)).

use core::fmt;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};
use tidegate_policy::inference::{Facts, Scanner, TextSink};
use tidegate_policy::json::Invalid;

/// The requirements of filters on a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanNeeds {
    /// Maximum nesting depth of containers, 1 to 128.
    pub max_depth: u8,
    /// True if member names match only when spelled exactly, or if no filter cares.
    pub exact_names: bool,
    /// True if a fingerprint is needed, which costs a hash of the whole body.
    pub fingerprint: bool,
}

/// The state of a scan.
pub struct Scan {
    scanner: Scanner,
    fault: Option<Invalid>,
    is_complete: bool,
}

impl ScanNeeds {
    /// Returns the combined needs of two filters of one module. A filter that asked for a lower depth than the
    /// combined one checks [`Facts::depth`] itself.
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
    /// Returns the scan of a new body.
    pub fn new(needs: ScanNeeds, prints: Fingerprinter) -> Self {
        let ScanNeeds { max_depth, exact_names, fingerprint } = needs;
        let scanner = if exact_names { Scanner::exact(max_depth) } else { Scanner::new(max_depth) };
        let scanner = if fingerprint { scanner.with_fingerprint(prints) } else { scanner };
        Self { scanner, fault: None, is_complete: false }
    }

    /// Returns true if further bytes could reveal more.
    pub const fn goes_on(&self) -> bool {
        self.fault.is_none() && !self.is_complete
    }

    /// Scans a chunk; `sink` receives the texts.
    pub fn feed(&mut self, chunk: &[u8], sink: Option<&mut dyn TextSink>) {
        if self.goes_on() {
            self.fault = self.scanner.feed(chunk, sink.unwrap_or(&mut ())).err();
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, sink: Option<&mut dyn TextSink>) {
        if self.goes_on() {
            self.fault = self.scanner.finish(sink.unwrap_or(&mut ())).err();
            self.is_complete = self.fault.is_none();
        }
    }

    /// Returns the facts known so far.
    pub const fn facts(&self) -> &Facts {
        self.scanner.facts()
    }

    /// Returns why the body is not JSON, if it is not.
    pub const fn fault(&self) -> Option<Invalid> {
        self.fault
    }

    /// Returns true if the whole body has been read and is JSON.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the fingerprint of the canonical request once the body is complete, if a filter needs it.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.scanner.fingerprint()
    }
}
