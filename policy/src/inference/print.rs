//! Computes a request's fingerprint, which ignores the order of members, escapes and white space. A number is its
//! digits as written, so `1` and `1.0` differ: different prints of equal requests only miss a chance, equal prints of
//! different requests would do harm.
//!
//! Each member is hashed under the secret key, and an object is the sum of its members' hashes modulo 2^128; everything
//! else is hashed in order. A sum forgets which of two members with the same key came last. A member is therefore
//! hashed with its position if its key has occurred before, or if that cannot be known: after 64 members of its object,
//! or with 256 keys remembered. Source: Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing" (1997),
//! AdHash, here with a secret key.

use crate::fingerprint::{Fingerprint, Fingerprinter, Parts};
use crate::json::{Container, Literal};

const KEYS: usize = 256;
const KEYS_OF_ONE: u64 = 64;
/// A byte that never occurs in UTF-8.
const END: &[u8] = &[0xFF];

#[derive(Clone)]
pub(super) struct Print {
    prints: Fingerprinter,
    /// The hash of the current value or member.
    hash: Parts,
    objects: Vec<Object>,
    /// The hashed keys of all open objects.
    keys: Vec<u64>,
    pub(super) repeated_key: bool,
}

#[derive(Clone)]
struct Object {
    outer: Parts,
    sum: u128,
    members: u64,
    first_key: usize,
    /// True if the current member is hashed with its position.
    in_order: bool,
}

impl Print {
    pub(super) fn new(prints: Fingerprinter) -> Self {
        Self { prints, hash: prints.start(), objects: Vec::new(), keys: Vec::new(), repeated_key: false }
    }

    pub(super) fn open(&mut self, container: Container) {
        match container {
            Container::Array => self.hash.extend(b"["),
            Container::Object => {
                let (outer, first_key) = (self.hash.clone(), self.keys.len());
                self.objects.push(Object { outer, sum: 0, members: 0, first_key, in_order: false });
            }
        }
    }

    pub(super) fn close(&mut self, container: Container) {
        match container {
            Container::Array => self.hash.extend(b"]"),
            Container::Object => {
                let Some(object) = self.objects.pop() else { return };
                self.keys.truncate(object.first_key);
                self.hash = object.outer;
                self.hash.extend(b"{");
                self.hash.extend(&object.sum.to_le_bytes());
                self.hash.extend(&object.members.to_le_bytes());
            }
        }
    }

    #[inline]
    pub(super) fn string(&mut self, key: bool) {
        if key {
            self.hash = self.prints.start();
        } else {
            self.hash.extend(b"\"");
        }
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        self.hash.extend(text.as_bytes());
    }

    #[inline]
    pub(super) fn string_end(&mut self, key: bool) {
        self.hash.extend(END);
        if !key {
            return;
        }
        let Some(object) = self.objects.last_mut() else { return };
        if object.members >= KEYS_OF_ONE || self.keys.len() >= KEYS {
            object.in_order = true;
            return;
        }
        let mark = self.hash.finish().mark;
        if self.keys.iter().skip(object.first_key).any(|key| *key == mark) {
            object.in_order = true;
            self.repeated_key = true;
        } else {
            self.keys.push(mark);
        }
    }

    pub(super) fn number(&mut self) {
        self.hash.extend(b"#");
    }

    pub(super) fn number_end(&mut self) {
        self.hash.extend(END);
    }

    pub(super) fn literal(&mut self, literal: Literal) {
        self.hash.extend(match literal {
            Literal::True => b"t",
            Literal::False => b"f",
            Literal::Null => b"n",
        });
    }

    /// Adds a complete member to the innermost object.
    pub(super) fn member_end(&mut self) {
        let Some(object) = self.objects.last_mut() else { return };
        if object.in_order {
            self.hash.extend(b"@");
            self.hash.extend(&object.members.to_le_bytes());
        }
        let Fingerprint { place, mark } = self.hash.finish();
        let hash = u128::from(place).wrapping_shl(64) | u128::from(mark);
        object.sum = object.sum.wrapping_add(hash);
        object.members = object.members.saturating_add(1);
        object.in_order = false;
    }

    pub(super) fn finish(&self) -> Fingerprint {
        self.hash.finish()
    }
}
