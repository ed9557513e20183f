//! What the places of one set hold. A new answer takes the place of the one to the same question, else of none, else
//! of one that is too old, else of the least valuable: the one that was asked for least often, of these the oldest. So a
//! flood of questions that nobody repeats takes places from each other, not from those that are.
//!
//! An index is 224 bytes, little-endian, for each place: mark (8), when it was stored (8), length (4, 0 for none), how
//! often it was asked for (4), the longest that the place ever held (4).

use super::entry::is_live;
use super::{AnswerCache, Question};
use crate::packed::{Reader, Writer};
use crate::timestamp::Timestamp;

/// Places in a set.
pub const WAYS: u32 = 8;

/// Bytes of an index.
pub const COST: u64 = 224;

const BYTES: usize = 224;

/// One set's index, as the bytes that the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    bytes: [u8; BYTES],
}

/// Where a new answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// The place in the set, below [`WAYS`].
    pub way: usize,
    /// Whether an answer to another question that could still have been given is lost.
    pub evicted: bool,
    /// By how many bytes the longest that the place ever held has grown.
    pub grown: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    mark: u64,
    stored_at: Timestamp,
    length: u32,
    hits: u32,
    longest: u32,
}

impl Default for Index {
    fn default() -> Self {
        Self { bytes: [0; BYTES] }
    }
}

impl Index {
    /// From the store's bytes. What is missing is a place that holds nothing.
    pub fn from_bytes(stored: &[u8]) -> Self {
        Self { bytes: Reader::new(stored).bytes() }
    }

    /// For the store.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place that seems to hold the answer to `question` at `now`: its entry tells whether it does.
    pub fn find(&self, cache: &AnswerCache, question: &Question, now: Timestamp) -> Option<usize> {
        let holds = |way: &Way| way.holds(question) && is_live(way.stored_at, cache.ttl(), now);
        self.ways().iter().position(holds)
    }

    /// The index after the answer in place `way` was given to `question`; `None` if it is not there any more.
    pub fn hit(&self, way: usize, question: &Question) -> Option<Self> {
        let mut ways = self.ways();
        let found = ways.get_mut(way).filter(|way| way.holds(question))?;
        found.hits = found.hits.saturating_add(1);
        Some(pack(&ways))
    }

    /// The index with an answer of `length` bytes to `question`, and where that is to be written once the index is;
    /// `None` if it is longer than an entry may be, or empty.
    pub fn put(
        &self,
        cache: &AnswerCache,
        question: &Question,
        length: u64,
        now: Timestamp,
    ) -> Option<(Self, Put)> {
        let length = u32::try_from(length).ok().filter(|length| (1..=cache.max_entry).contains(length))?;
        let mut ways = self.ways();
        let loss = |way: &Way| way.loss(cache, question, now);
        let (way, old) = ways.iter_mut().enumerate().min_by_key(|(_, way)| loss(way))?;
        let evicted = matches!(loss(old), Loss::Answer(..));
        let hits = if old.holds(question) { old.hits } else { 0 };
        let longest = old.longest.max(length);
        let put = Put { way, evicted, grown: longest.saturating_sub(old.longest) };
        *old = Way { mark: question.mark(), stored_at: now, length, hits, longest };
        Some((pack(&ways), put))
    }

    fn ways(&self) -> [Way; 8] {
        let mut from = Reader::new(&self.bytes);
        [(); 8].map(|()| Way {
            mark: from.u64(),
            stored_at: Timestamp::from_nanos(from.u64()),
            length: from.u32(),
            hits: from.u32(),
            longest: from.u32(),
        })
    }
}

fn pack(ways: &[Way; 8]) -> Index {
    let mut into = Writer::<BYTES>::default();
    for way in ways {
        into.put(way.mark.to_le_bytes()).put(way.stored_at.as_nanos().to_le_bytes());
        into.put(way.length.to_le_bytes()).put(way.hits.to_le_bytes()).put(way.longest.to_le_bytes());
    }
    Index { bytes: into.finish() }
}

/// What overwriting a place would lose, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Same,
    Nothing,
    TooOld(Timestamp),
    Answer(u32, Timestamp),
}

impl Way {
    const fn holds(&self, question: &Question) -> bool {
        self.length > 0 && self.mark == question.mark()
    }

    fn loss(&self, cache: &AnswerCache, question: &Question, now: Timestamp) -> Loss {
        match () {
            () if self.holds(question) => Loss::Same,
            () if self.length == 0 => Loss::Nothing,
            () if !is_live(self.stored_at, cache.ttl(), now) => Loss::TooOld(self.stored_at),
            () => Loss::Answer(self.hits, self.stored_at),
        }
    }
}

#[cfg(test)]
mod tests;
