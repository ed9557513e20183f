//! The contents of one set's places. A new response replaces the one to the same question, which counts as another use,
//! or else takes an empty place, or else evicts an expired response, or else the least valuable one: the one with the
//! fewest uses, on a tie the oldest. A flood of unrepeated questions therefore evicts its own responses, not repeated
//! ones.
//!
//! Where others' responses would be evicted for more, a client holds at most [`CLIENT_SHARE`] places and a network at
//! most [`NETWORK_SHARE`], so any number of keys is worth no more than one address. Beyond its share, a client's own
//! least valuable response is evicted. Within it, responses of those that exceed their share are evicted first.

use super::entry::is_live;
use super::vary::Named;
use super::{AnswerCache, Question};
use crate::record::{Fixed, Record, bytes_of};
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The places in a set.
pub const WAYS: u32 = 8;

/// The size of an index, in bytes.
pub const COST: u64 = bytes_of::<[StoredWay; 8]>();

/// The places of a set that one client may hold while others' responses would be evicted for more.
pub const CLIENT_SHARE: usize = 2;

/// The places of a set that one network may hold while others' responses would be evicted for more.
pub const NETWORK_SHARE: usize = 4;

/// The index of one set, in the store's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    stored: [StoredWay; 8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredWay {
    mark: U64,
    stored_at: U64,
    /// The length of the response in bytes, or 0 for an empty place.
    length: U32,
    /// The number of uses.
    hits: U32,
    /// The length of the longest response that the place ever held.
    longest: U32,
    client: U32,
    network: U32,
    /// The further headers that the response depends on.
    named: u8,
}

/// The holder of a share, as hashes, which may collide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The client that asked.
    pub client: u32,
    /// The client's network.
    pub network: u32,
}

/// A response to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The length of the response, in bytes.
    pub length: u64,
    /// The headers that the response depends on (`vary`).
    pub named: Named,
    /// The client that asked.
    pub asker: Asker,
}

/// The destination of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// The place in the set, below [`WAYS`].
    pub way: usize,
    /// True if a live response to another request is evicted.
    pub evicted: bool,
    /// The growth of the longest response that the place ever held, in bytes.
    pub grown: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    mark: u64,
    stored_at: Timestamp,
    length: u32,
    hits: u32,
    longest: u32,
    asker: Asker,
    named: Named,
}

impl Default for Index {
    fn default() -> Self {
        Self { stored: Fixed::first_of(&[]) }
    }
}

impl Record for Index {
    /// Bytes of any other length than an index's are an empty index.
    fn from_bytes(stored: &[u8]) -> Self {
        <[StoredWay; 8]>::read_from_bytes(stored).map_or_else(|_| Self::default(), |stored| Self { stored })
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.stored.as_bytes())
    }
}

impl Index {
    /// Returns the place that seems to hold the newest response to `question` at `now`. Only the entry itself proves
    /// that it does.
    pub fn find(&self, cache: &AnswerCache, question: &Question, now: Timestamp) -> Option<usize> {
        let holds = |way: &Way| way.holds(question) && way.is_live(cache, now);
        let ways = self.ways();
        let found = ways.iter().enumerate().filter(|(_, way)| holds(way));
        found.max_by_key(|(_, way)| way.stored_at).map(|(place, _)| place)
    }

    /// Counts another use of the response in place `way`. Returns `None` if it no longer answers `question`.
    pub fn hit(&self, way: usize, question: &Question) -> Option<Self> {
        let mut ways = self.ways();
        let found = ways.get_mut(way).filter(|way| way.holds(question))?;
        found.hits = found.hits.saturating_add(1);
        Some(pack(&ways))
    }

    /// Returns the index with a response to `question`, and the place to write that response once the index is stored.
    /// Returns `None` if the response is empty or longer than an entry may be.
    pub fn put(
        &self,
        cache: &AnswerCache,
        question: &Question,
        offer: Offer,
        now: Timestamp,
    ) -> Option<(Self, Put)> {
        let Offer { length, named, asker } = offer;
        let length = u32::try_from(length).ok().filter(|length| (1..=cache.max_entry).contains(length))?;
        let mut ways = self.ways();
        let mark = question.mark(named);
        let is_same = |way: &Way| way.length > 0 && way.mark == mark;
        let live = ways.iter().filter(|way| way.is_live(cache, now));
        let held: Vec<Asker> = live.map(|way| way.asker).collect();
        let loss = |way: &Way| {
            if is_same(way) {
                Loss::Same
            } else if way.length == 0 {
                Loss::Nothing
            } else if !way.is_live(cache, now) {
                Loss::TooOld(way.stored_at)
            } else {
                let stays = !makes_room(&held, way.asker, asker);
                Loss::Answer { stays, hits: way.hits, stored_at: way.stored_at }
            }
        };
        let (place, lost) = ways.iter().map(loss).enumerate().min_by_key(|(_, loss)| *loss)?;
        let old = ways.get_mut(place)?;
        let evicted = matches!(lost, Loss::Answer { .. });
        let hits = if lost == Loss::Same { old.hits.saturating_add(1) } else { 0 };
        let longest = old.longest.max(length);
        let put = Put { way: place, evicted, grown: longest.saturating_sub(old.longest) };
        *old = Way { mark, stored_at: now, length, hits, longest, asker, named };
        Some((pack(&ways), put))
    }

    fn ways(&self) -> [Way; 8] {
        self.stored.map(|way| Way {
            mark: way.mark.get(),
            stored_at: Timestamp::from_nanos(way.stored_at.get()),
            length: way.length.get(),
            hits: way.hits.get(),
            longest: way.longest.get(),
            asker: Asker { client: way.client.get(), network: way.network.get() },
            named: Named::from_byte(way.named),
        })
    }
}

fn pack(ways: &[Way; 8]) -> Index {
    let stored = ways.map(|way| StoredWay {
        mark: way.mark.into(),
        stored_at: way.stored_at.as_nanos().into(),
        length: way.length.into(),
        hits: way.hits.into(),
        longest: way.longest.into(),
        client: way.asker.client.into(),
        network: way.asker.network.into(),
        named: way.named.to_byte(),
    });
    Index { stored }
}

/// The loss if a place is overwritten, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Same,
    Nothing,
    TooOld(Timestamp),
    Answer { stays: bool, hits: u32, stored_at: Timestamp },
}

/// Returns true if a response of `holder` must make room for one of `asker`, given the holders of all places.
fn makes_room(held: &[Asker], holder: Asker, asker: Asker) -> bool {
    let by_client = |of: Asker| held.iter().filter(|other| other.client == of.client).count();
    let by_network = |of: Asker| held.iter().filter(|other| other.network == of.network).count();
    if by_client(asker) >= CLIENT_SHARE {
        holder.client == asker.client
    } else if by_network(asker) >= NETWORK_SHARE {
        holder.network == asker.network
    } else {
        by_client(holder) > CLIENT_SHARE || by_network(holder) > NETWORK_SHARE
    }
}

impl Way {
    fn holds(&self, question: &Question) -> bool {
        self.length > 0 && self.mark == question.mark(self.named)
    }

    fn is_live(&self, cache: &AnswerCache, now: Timestamp) -> bool {
        self.length > 0 && is_live(self.stored_at, cache.ttl(), now)
    }
}

#[cfg(test)]
mod tests;
