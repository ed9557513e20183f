//! Represents a name without storing it: a keyed 128-bit hash (SipHash-1-3) under a random key that is generated once
//! per process. Outsiders can neither choose two names that collide nor recover a name.
//!
//! Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).

use core::hash::Hasher;
use siphasher::sip128::{Hasher128, SipHasher13};

/// A hashed name. One half selects the set of its record, the other distinguishes it from the other records there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The position of the record's set.
    pub place: u64,
    /// The identity of the record within its set.
    pub mark: u64,
}

/// Creates fingerprints under one key.
#[derive(Clone, Copy)]
pub struct Fingerprinter {
    key: [u8; 16],
}

impl Fingerprinter {
    /// Creates a fingerprinter with `key`, which must be random and secret.
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Begins a fingerprint.
    pub fn start(&self) -> Parts {
        Parts { hasher: SipHasher13::new_with_key(&self.key) }
    }

    /// Returns the fingerprint of a sequence of parts.
    pub fn of<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Fingerprint {
        let mut print = self.start();
        parts.into_iter().for_each(|part| print.add(part));
        print.finish()
    }
}

/// An incomplete fingerprint.
#[derive(Clone, Debug)]
pub struct Parts {
    hasher: SipHasher13,
}

impl Parts {
    /// Adds a part with its length, so that no two sequences run together.
    pub fn add(&mut self, part: &[u8]) {
        self.hasher.write_u64(u64::try_from(part.len()).unwrap_or(u64::MAX));
        self.hasher.write(part);
    }

    /// Adds bytes without their length, as they stream in. The caller must mark their end.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    /// Returns the fingerprint of all parts so far.
    pub fn finish(&self) -> Fingerprint {
        let hash = self.hasher.finish128();
        Fingerprint { place: hash.h1, mark: hash.h2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let prints = Fingerprinter::new([7; 16]);
        let of = |parts: &[&'static str]| prints.of(parts.iter().map(|p| p.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["ab"]), of(&["ab", ""]));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    }

    #[test]
    fn another_key_gives_another_fingerprint() {
        let of = |key| Fingerprinter::new([key; 16]).of([b"sk-1".as_slice()]);
        assert_ne!(of(1), of(2));
    }
}
