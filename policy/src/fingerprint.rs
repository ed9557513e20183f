//! Names are stored as fingerprints only: a keyed 128-bit hash (SipHash-1-3) under a random key that is made once per process.
//! Nobody outside can choose two names that collide, nor read a name back.
//!
//! Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).

use core::hash::Hasher;
use siphasher::sip128::{Hasher128, SipHasher13};

/// A hashed name: one half places its record, the other tells it from the records beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// Where its record lives.
    pub place: u64,
    /// Which of the records there is its own.
    pub mark: u64,
}

/// Makes fingerprints under one key.
#[derive(Clone, Copy)]
pub struct Fingerprinter {
    key: [u8; 16],
}

impl Fingerprinter {
    /// Under `key`, which must be random and secret.
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Of no parts yet.
    pub fn start(&self) -> Parts {
        Parts { hasher: SipHasher13::new_with_key(&self.key) }
    }

    /// Of a sequence of parts.
    pub fn of<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Fingerprint {
        let mut print = self.start();
        parts.into_iter().for_each(|part| print.add(part));
        print.finish()
    }
}

/// A fingerprint in the making.
#[derive(Clone, Debug)]
pub struct Parts {
    hasher: SipHasher13,
}

impl Parts {
    /// One part more, hashed with its length, so that no two sequences run together.
    pub fn add(&mut self, part: &[u8]) {
        self.hasher.write_u64(u64::try_from(part.len()).unwrap_or(u64::MAX));
        self.hasher.write(part);
    }

    /// Bytes without their length, as they stream in. Whoever adds them marks where they end.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    /// The fingerprint of all parts so far.
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
