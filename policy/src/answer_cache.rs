//! A cache of recent successful responses, with a fixed number of fixed-size places. Envoy's shared data cannot delete
//! a key, so each place is charged at the longest response that it ever held, and the configuration bounds all of them
//! even at their maximum size.
//!
//! Places lie in sets of [`index::WAYS`]. A question and its client choose the set, whose [`index`] records the
//! contents of its places and their order of eviction. Index and [`entry`] are written one after the other, so the
//! entry decides: it is a hit only if it names the same question and client.

pub mod control;
pub mod entry;
pub mod index;
pub mod vary;

use crate::fingerprint::Fingerprint;
use core::fmt;
use entry::HEADER;
use index::WAYS;
use vary::{Named, Variants};

/// The maximum configurable length of a response, in bytes: 1 MiB.
pub const MAX_ENTRY: u32 = 1 << 20;

/// The maximum configurable host memory, in bytes: 1 GiB.
pub const MAX_BYTES: u64 = 1 << 30;

/// The host memory of a key beyond its value, in bytes, as measured in Envoy.
const KEY_COST: u64 = 140;

/// A request as a cache key, with its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The fingerprint of the request.
    pub asked: Fingerprint,
    /// The fingerprint of the client, or `None` if all clients share their responses.
    pub client: Option<Fingerprint>,
    /// The further headers that a response may depend on.
    pub variants: Variants,
}

/// The dimensions of a cache and the lifetime of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerCache {
    sets: u32,
    max_entry: u32,
    ttl: u64,
}

/// The reason why parameters make no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidCache {
    /// The number of entries is below that of one set.
    TooFew,
    /// The entry size is 0 or above [`MAX_ENTRY`].
    EntrySize,
    /// The memory of all entries at their maximum length is above [`MAX_BYTES`].
    TooLarge,
    /// The lifetime is 0.
    ZeroTtl,
}

impl fmt::Display for InvalidCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFew => "at least 8 entries are accepted",
            Self::EntrySize => "entries of 1B to 1MiB are accepted",
            Self::TooLarge => "entries that take at most 1GiB together are accepted",
            Self::ZeroTtl => "a time to live above 0 is accepted",
        })
    }
}

impl Question {
    pub(crate) const fn place(&self) -> u64 {
        match self.client {
            Some(client) => self.asked.place ^ client.place,
            None => self.asked.place,
        }
    }

    /// Returns a mark that distinguishes the question within its set, if its response depends on the `named` headers.
    pub(crate) fn mark(&self, named: Named) -> u64 {
        let client = self.client.map_or(0, |client| client.mark);
        self.asked.mark ^ client ^ self.variants.mark(named)
    }
}

impl AnswerCache {
    /// Creates a cache of at most `max_entries` responses of at most `max_entry` bytes, each kept for at most `ttl`
    /// nanoseconds.
    pub fn new(max_entries: u32, max_entry: u64, ttl: u64) -> Result<Self, InvalidCache> {
        let entry = u32::try_from(max_entry).unwrap_or(u32::MAX);
        let cache = Self { sets: max_entries / WAYS, max_entry: entry, ttl };
        if cache.sets == 0 {
            Err(InvalidCache::TooFew)
        } else if !(1..=MAX_ENTRY).contains(&entry) {
            Err(InvalidCache::EntrySize)
        } else if cache.bytes() > MAX_BYTES {
            Err(InvalidCache::TooLarge)
        } else if ttl == 0 {
            Err(InvalidCache::ZeroTtl)
        } else {
            Ok(cache)
        }
    }

    /// Returns the maximum host memory in bytes: every entry at its maximum length, rounded up by an eighth, as
    /// allocators do.
    pub fn bytes(&self) -> u64 {
        let cost = |value: u64| value.saturating_mul(9).div_ceil(8).saturating_add(KEY_COST);
        let entry = cost(u64::from(self.max_entry).saturating_add(HEADER));
        let set = entry.saturating_mul(u64::from(WAYS)).saturating_add(cost(index::COST));
        set.saturating_mul(u64::from(self.sets))
    }

    /// Returns the lifetime of an entry, in nanoseconds.
    pub const fn ttl(&self) -> u64 {
        self.ttl
    }

    /// Returns the number of the question's set.
    pub fn set(&self, question: &Question) -> u32 {
        let scaled = u128::from(question.place()).saturating_mul(u128::from(self.sets)) >> 64;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// Returns true if a response of this many bytes fits in an entry.
    pub fn accepts(&self, length: u64) -> bool {
        (1..=u64::from(self.max_entry)).contains(&length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    use crate::timestamp::SECOND;

    fn cache() -> AnswerCache {
        AnswerCache::new(512, 65_536, 600 * SECOND).unwrap()
    }

    #[test]
    fn a_cache_of_nothing_or_of_too_much_is_refused() {
        assert_eq!(AnswerCache::new(7, 1, 1), Err(InvalidCache::TooFew));
        assert_eq!(AnswerCache::new(8, 0, 1), Err(InvalidCache::EntrySize));
        assert_eq!(AnswerCache::new(8, (1 << 20) + 1, 1), Err(InvalidCache::EntrySize));
        assert_eq!(AnswerCache::new(8, 1 << 40, 1), Err(InvalidCache::EntrySize));
        assert_eq!(AnswerCache::new(1_024, 1 << 20, 1), Err(InvalidCache::TooLarge));
        assert_eq!(AnswerCache::new(u32::MAX, 1 << 20, 1), Err(InvalidCache::TooLarge));
        assert_eq!(AnswerCache::new(8, 1, 0), Err(InvalidCache::ZeroTtl));
    }

    #[test]
    fn only_responses_that_fit_are_accepted() {
        assert_eq!([0, 1, 65_536, 65_537].map(|length| cache().accepts(length)), [false, true, true, false]);
    }

    #[test]
    fn questions_of_all_clients_are_spread_over_the_sets() {
        let print = |place| Fingerprint { place, mark: 1 };
        let of = |client| Question {
            asked: print(7),
            client: Some(print(client << 58)),
            variants: Variants::default(),
        };
        let sets: std::collections::HashSet<_> = (0..64_u64).map(|client| cache().set(&of(client))).collect();
        assert!(sets.len() > 32, "{}", sets.len());
    }

    proptest! {
        #[test]
        fn its_memory_is_that_of_all_entries_at_their_maximum(entries in 8_u32..10_000, entry in 1_u64..100_000) {
            if let Ok(cache) = AnswerCache::new(entries, entry, 1) {
                let places = u64::from(cache.sets * WAYS);
                prop_assert!(places <= u64::from(entries));
                prop_assert!(cache.bytes() >= places * (entry + HEADER));
                prop_assert!(cache.bytes() <= MAX_BYTES);
            }
        }

        #[test]
        fn every_question_has_a_set(place: u64, client: Option<u64>) {
            let print = |place| Fingerprint { place, mark: 1 };
            let question = Question { asked: print(place), client: client.map(print), variants: Variants::default() };
            prop_assert!(cache().set(&question) < cache().sets);
        }
    }
}
