//! The last good answers, in a fixed number of places of a fixed size, whatever is asked: a place is a key of the
//! store, which can be overwritten but never deleted, so each is taken to hold as much as it ever did, and all of them
//! together are bounded by the configuration even when every answer is as long as one may be.
//!
//! Places lie in sets of [`index::WAYS`]. A question and its client choose the set; the set's [`index`] says what its
//! places hold and which of them is given up first. What counts is the [`entry`] itself: an index and an entry
//! are written one after the other, and only an entry that names its whole question and client is an answer.

pub mod control;
pub mod entry;
pub mod index;
pub mod vary;

use crate::fingerprint::Fingerprint;
use core::fmt;
use entry::HEADER;
use index::WAYS;
use vary::{Named, Variants};

/// The longest answer that can be configured, in bytes: 1 MiB.
pub const MAX_ENTRY: u32 = 1 << 20;

/// The most bytes of the host's memory that can be configured: 1 GiB.
pub const MAX_BYTES: u64 = 1 << 30;

/// What a key of the store costs beyond its value, as measured in Envoy.
const KEY_COST: u64 = 140;

/// What was asked, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of the request.
    pub asked: Fingerprint,
    /// Of the client, unless all clients share their answers.
    pub client: Option<Fingerprint>,
    /// What an answer may depend on besides.
    pub variants: Variants,
}

/// Where answers are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerCache {
    sets: u32,
    max_entry: u32,
    ttl: u64,
}

/// Why numbers make no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidCache {
    /// Fewer entries than one set has.
    TooFew,
    /// Entries of no bytes, or of more than [`MAX_ENTRY`].
    EntrySize,
    /// More than [`MAX_BYTES`] if every entry is as long as it may be.
    TooLarge,
    /// Nothing would be kept.
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

    /// What tells it from others in its set, where its answer depends on `named` besides.
    pub(crate) fn mark(&self, named: Named) -> u64 {
        let client = self.client.map_or(0, |client| client.mark);
        self.asked.mark ^ client ^ self.variants.mark(named)
    }
}

impl AnswerCache {
    /// At most `max_entries` answers of at most `max_entry` bytes, each for at most `ttl` nanoseconds.
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

    /// Bytes of the host's memory that it takes at most: every entry as long as it may be, and rounded up by an
    /// eighth, as allocators do.
    pub fn bytes(&self) -> u64 {
        let cost = |value: u64| value.saturating_mul(9).div_ceil(8).saturating_add(KEY_COST);
        let entry = cost(u64::from(self.max_entry).saturating_add(HEADER));
        let set = entry.saturating_mul(u64::from(WAYS)).saturating_add(cost(index::COST));
        set.saturating_mul(u64::from(self.sets))
    }

    /// Nanoseconds for which an answer is kept.
    pub const fn ttl(&self) -> u64 {
        self.ttl
    }

    /// The set that a question's answer is kept in.
    pub fn set(&self, question: &Question) -> u32 {
        let scaled = u128::from(question.place()).saturating_mul(u128::from(self.sets)) >> 64;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// Whether an answer of so many bytes has room in an entry.
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
    fn numbers_that_keep_nothing_or_too_much_are_refused() {
        assert_eq!(AnswerCache::new(7, 1, 1), Err(InvalidCache::TooFew));
        assert_eq!(AnswerCache::new(8, 0, 1), Err(InvalidCache::EntrySize));
        assert_eq!(AnswerCache::new(8, (1 << 20) + 1, 1), Err(InvalidCache::EntrySize));
        assert_eq!(AnswerCache::new(8, 1 << 40, 1), Err(InvalidCache::EntrySize));
        assert_eq!(AnswerCache::new(1_024, 1 << 20, 1), Err(InvalidCache::TooLarge));
        assert_eq!(AnswerCache::new(u32::MAX, 1 << 20, 1), Err(InvalidCache::TooLarge));
        assert_eq!(AnswerCache::new(8, 1, 0), Err(InvalidCache::ZeroTtl));
    }

    #[test]
    fn only_answers_that_fit_are_kept() {
        assert_eq!([0, 1, 65_536, 65_537].map(|length| cache().accepts(length)), [false, true, true, false]);
    }

    #[test]
    fn the_answers_to_what_all_clients_ask_are_spread_over_the_sets() {
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
        fn it_takes_what_all_its_entries_take_at_most(entries in 8_u32..10_000, entry in 1_u64..100_000) {
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
