//! A cached response in the store's format, after the question and the client that it belongs to. It is served only to
//! the same client (or to all, if they share responses) for exactly the same question, and only if complete. Neither an
//! outdated index nor an entry in the wrong place can therefore serve one client's response to another.

use super::Question;
use super::control::Lifetime;
use super::vary::Named;
use crate::fingerprint::Fingerprint;
use crate::record::bytes_of;
use crate::timestamp::Timestamp;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The number of bytes before the response.
pub const HEADER: u64 = bytes_of::<Head>();

/// The status of every cached response.
const STATUS: u16 = 200;

/// The value for a response without a freshness lifetime of its own.
const UNSAID: u32 = u32::MAX;

/// The largest lag of a worker's time behind another's, in nanoseconds: 1 s. An entry stored further in the future
/// dates from before the clock stepped back.
const SKEW: u64 = 1_000_000_000;

/// The kind of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One JSON document.
    Json,
    /// A stream of events.
    Sse,
}

impl Kind {
    /// Returns the kind for a value of `content-type`, or `None` if such responses are not cached.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let media = content_type.split(|byte| *byte == b';').next()?.trim_ascii();
        if media.eq_ignore_ascii_case(b"application/json") {
            Some(Self::Json)
        } else if media.eq_ignore_ascii_case(b"text/event-stream") {
            Some(Self::Sse)
        } else {
            None
        }
    }
}

/// A cached response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The kind of the response.
    pub kind: Kind,
    /// The time at which it was stored.
    pub stored_at: Timestamp,
    /// The further headers that it depends on.
    pub named: Named,
    /// The time for which it may be served.
    pub lifetime: Lifetime,
    /// The body.
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    version: u8,
    kind: u8,
    status: U16,
    /// The length of the response, in bytes.
    length: U32,
    stored_at: U64,
    asked: StoredPrint,
    /// The client's fingerprint; zeros, and another version, if clients share responses.
    client: StoredPrint,
    /// The further headers that the response depends on, and a mark of their values.
    named: u8,
    variant: U64,
    /// The time of the request, and the age of the response then, in seconds.
    since: U64,
    age: U32,
    /// The remaining freshness lifetime that the response states, in seconds.
    fresh: U32,
    /// The time for which it may be served stale while the cluster fails, in seconds.
    excused: U32,
    /// 1 if it must never be served stale.
    strict: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredPrint {
    place: U64,
    mark: U64,
}

impl From<Fingerprint> for StoredPrint {
    fn from(print: Fingerprint) -> Self {
        Self { place: print.place.into(), mark: print.mark.into() }
    }
}

impl<'a> Answer<'a> {
    /// Returns the entry to store, or `None` if the response is 4 GiB or longer.
    pub fn pack(&self, question: &Question) -> Option<Vec<u8>> {
        let Lifetime { since, age, fresh, excused, strict } = self.lifetime;
        let head = Head {
            version: version(question),
            kind: match self.kind {
                Kind::Json => 1,
                Kind::Sse => 2,
            },
            status: STATUS.into(),
            length: u32::try_from(self.body.len()).ok()?.into(),
            stored_at: self.stored_at.as_nanos().into(),
            asked: question.asked.into(),
            client: question.client.unwrap_or(NOBODY).into(),
            named: self.named.to_byte(),
            variant: question.variants.mark(self.named).into(),
            since: since.as_nanos().into(),
            age: age.into(),
            fresh: fresh.unwrap_or(UNSAID).into(),
            excused: excused.into(),
            strict: u8::from(strict),
        };
        Some([head.as_bytes(), self.body].concat())
    }

    /// Reads an entry of the store. Returns the response if it answers `question`, is complete, and is no older than
    /// `ttl` nanoseconds at `now`.
    pub fn read(entry: &'a [u8], question: &Question, ttl: u64, now: Timestamp) -> Option<Self> {
        let (head, body) = Head::read_from_prefix(entry).ok()?;
        let kind = match head.kind {
            1 => Kind::Json,
            2 => Kind::Sse,
            _ => return None,
        };
        let named = Named::from_byte(head.named);
        let is_wanted = head.version == version(question)
            && head.asked == question.asked.into()
            && head.client == question.client.unwrap_or(NOBODY).into()
            && head.variant.get() == question.variants.mark(named);
        let is_whole = u32::try_from(body.len()) == Ok(head.length.get());
        let stored_at = Timestamp::from_nanos(head.stored_at.get());
        let lifetime = Lifetime {
            since: Timestamp::from_nanos(head.since.get()),
            age: head.age.get(),
            fresh: Some(head.fresh.get()).filter(|fresh| *fresh != UNSAID),
            excused: head.excused.get(),
            strict: head.strict == 1,
        };
        (is_wanted && is_whole && is_live(stored_at, ttl, now)).then_some(Self {
            kind,
            stored_at,
            named,
            lifetime,
            body,
        })
    }
}

const NOBODY: Fingerprint = Fingerprint { place: 0, mark: 0 };

const fn version(question: &Question) -> u8 {
    if question.client.is_some() { 3 } else { 4 }
}

pub(super) const fn is_live(stored_at: Timestamp, ttl: u64, now: Timestamp) -> bool {
    now.nanos_since(stored_at) <= ttl && stored_at.nanos_since(now) <= SKEW
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use crate::answer_cache::vary::Variants;
    use crate::fingerprint::Fingerprinter;
    use proptest::prelude::*;

    const TTL: u64 = 1_000;
    const ANSWER: Answer<'static> = Answer {
        kind: Kind::Sse,
        stored_at: Timestamp::from_nanos(5),
        named: Named::from_byte(8),
        lifetime: Lifetime {
            since: Timestamp::from_nanos(5),
            age: 0,
            fresh: Some(7),
            excused: 8,
            strict: true,
        },
        body: b"data: [DONE]\n\n",
    };

    fn print(n: u64) -> Fingerprint {
        Fingerprint { place: n, mark: n + 1 }
    }

    fn question(asked: u64, client: Option<u64>) -> Question {
        Question { asked: print(asked), client: client.map(print), variants: from_origin("https://a") }
    }

    fn from_origin(origin: &str) -> Variants {
        let values = |name: &'static [u8]| Some(origin.as_bytes()).filter(|_| name == b"origin").into_iter();
        Variants::read(&Fingerprinter::new([7; 16]), values)
    }

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn an_answer_comes_back_until_its_time_to_live_is_over() {
        let asked = question(1, Some(2));
        let entry = ANSWER.pack(&asked).unwrap();
        let read = |now| Answer::read(&entry, &asked, TTL, at(now));
        assert_eq!(read(5 + TTL), Some(ANSWER));
        assert_eq!(read(6 + TTL), None);
        let unsaid = Answer { lifetime: Lifetime { age: 3, ..Lifetime::default() }, ..ANSWER };
        let entry = unsaid.pack(&asked).unwrap();
        assert_eq!(Answer::read(&entry, &asked, TTL, at(5)), Some(unsaid));
    }

    #[test]
    fn an_entry_from_before_a_clock_step_is_no_answer() {
        let (asked, late) = (question(1, None), Answer { stored_at: at(10 * SKEW), ..ANSWER });
        let entry = late.pack(&asked).unwrap();
        let read = |now| Answer::read(&entry, &asked, TTL, at(now));
        assert!(read(9 * SKEW).is_some() && read(9 * SKEW - 1).is_none());
    }

    #[test]
    fn another_question_another_client_and_another_scope_are_no_answer() {
        let entry = ANSWER.pack(&question(1, Some(2))).unwrap();
        for other in [question(2, Some(2)), question(1, Some(1)), question(2, Some(1)), question(1, None)] {
            assert_eq!(Answer::read(&entry, &other, TTL, at(5)), None);
        }
        let elsewhere = Question { variants: from_origin("https://b"), ..question(1, Some(2)) };
        assert_eq!(Answer::read(&entry, &elsewhere, TTL, at(5)), None);
        let shared = ANSWER.pack(&question(1, None)).unwrap();
        let zeros = Question { client: Some(NOBODY), ..question(1, None) };
        assert_eq!(Answer::read(&shared, &zeros, TTL, at(5)), None);
        assert_eq!(Answer::read(&[], &zeros, TTL, at(5)), None);
    }

    #[test]
    fn the_kind_of_a_response_follows_from_its_content_type() {
        for value in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"] {
            assert_eq!(Kind::of(value.as_bytes()), Some(Kind::Json), "{value}");
        }
        assert_eq!(Kind::of(b"text/event-stream; charset=utf-8"), Some(Kind::Sse));
        for value in ["", "text/html", "application/jsonl", "application/problem+json"] {
            assert_eq!(Kind::of(value.as_bytes()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_torn_or_changed_entry_is_no_answer_or_the_same_question(
            body: Vec<u8>, cut: prop::sample::Index, bit in 0_u8..8, more: u8,
        ) {
            let asked = question(7, Some(8));
            let answer = Answer { body: &body, ..ANSWER };
            let entry = answer.pack(&asked).unwrap();
            prop_assert_eq!(Answer::read(&entry, &asked, TTL, at(5)), Some(answer));
            let torn = &entry[..cut.index(entry.len())];
            prop_assert_eq!(Answer::read(torn, &asked, TTL, at(5)), None);
            let longer = [&entry[..], &[more]].concat();
            prop_assert_eq!(Answer::read(&longer, &asked, TTL, at(5)), None);
            let mut changed = entry.clone();
            // The byte at 48 is skipped: the mark after it proves each bit that names a header, but one bit names none.
            let place = 16 + cut.index(40);
            let place = place + usize::from(place >= 48);
            changed[place] ^= 1 << bit;
            prop_assert_eq!(Answer::read(&changed, &asked, TTL, at(5)), None);
        }

        #[test]
        fn any_bytes_are_read_without_harm(entry: Vec<u8>, now: u64, ttl: u64) {
            prop_assert_eq!(Answer::read(&entry, &question(1, Some(2)), ttl, at(now)), None);
        }
    }
}
