//! One kept answer as the store holds it: what it answers and whom, then the answer. It is read only by the
//! client that it was given to (or by all, where they share) asking the very same question, and only whole, so neither
//! an index that is behind nor one entry in another's place can make one client's answer another's.

use super::Question;
use super::control::Lifetime;
use super::vary::Named;
use crate::fingerprint::Fingerprint;
use crate::record::bytes_of;
use crate::timestamp::Timestamp;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// Bytes before the answer.
pub const HEADER: u64 = bytes_of::<Head>();

/// The status of every answer that is kept.
const STATUS: u16 = 200;

/// An own time that is not said.
const UNSAID: u32 = u32::MAX;

/// How far a worker's time may be behind another's, in nanoseconds: 1 s. What was stored later than that from now is
/// from before the clock stepped back.
const SKEW: u64 = 1_000_000_000;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One JSON document.
    Json,
    /// A stream of events.
    Sse,
}

impl Kind {
    /// By the value of `content-type`.
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

/// A kept answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What it is.
    pub kind: Kind,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Which other headers it depends on.
    pub named: Named,
    /// How long it may be given.
    pub lifetime: Lifetime,
    /// The answer.
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    version: u8,
    kind: u8,
    status: U16,
    /// Of the answer, in bytes.
    length: U32,
    stored_at: U64,
    asked: StoredPrint,
    /// Zeros, and another version, where clients share.
    client: StoredPrint,
    /// Which other headers the answer depends on, and what they said.
    named: u8,
    variant: U64,
    /// When it was asked for, and how old it was then.
    since: U64,
    age: U32,
    /// How long its own time lasts.
    fresh: U32,
    /// For how long that may be over while the cluster fails.
    excused: U32,
    /// 1 if nothing else excuses it.
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
    /// The entry for the store; `None` if the answer is 4 GiB or longer.
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

    /// The answer to `question` in an entry of the store, if that is what it holds, whole and at `now` no older than
    /// `ttl` nanoseconds.
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
    fn what_was_stored_before_the_clock_stepped_back_is_no_answer() {
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
    fn what_an_answer_is_follows_from_its_content_type() {
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
            // Every bit of the byte at 48 that names a header is proven by the mark after it; one names none.
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
