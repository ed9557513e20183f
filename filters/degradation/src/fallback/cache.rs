//! The last good responses, in the store that all workers share. A hit costs two reads and one write, which may lose
//! its race; storing costs a read and a write of both the set and the slot. No lost race is retried: a response that
//! is not stored now is stored the next time.

use crate::config::Cached;
use tidegate_host::store::{Store, look, update, update_seen};
use tidegate_policy::answer_cache::Question;
use tidegate_policy::answer_cache::control::{Lifetime, RequestControl};
use tidegate_policy::answer_cache::entry::{Answer, Kind};
use tidegate_policy::answer_cache::index::{Asker, Index, Offer, Put, WAYS};
use tidegate_policy::answer_cache::vary::Named;
use tidegate_policy::slot_key::SlotKey;
use tidegate_policy::timestamp::Timestamp;

/// A cached response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Media type.
    pub kind: Kind,
    /// Body.
    pub body: Vec<u8>,
    /// Nanoseconds since the server created it.
    pub age: u64,
}

/// The occasion on which a cached response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The cluster is healthy; only a response stored at most this many nanoseconds ago is sent.
    Well(u64),
    /// The cluster gives no response.
    Failing,
}

/// A response to store.
#[derive(Clone, Copy, Debug)]
pub struct Good<'a> {
    /// Media type.
    pub kind: Kind,
    /// Body.
    pub body: &'a [u8],
    /// Other request headers that it depends on.
    pub named: Named,
    /// Freshness lifetime.
    pub lifetime: Lifetime,
}

/// Returns the cached response to `question` that `control` allows on this occasion.
pub fn find(
    store: &dyn Store,
    cached: &Cached,
    (question, control): (&Question, &RequestControl),
    occasion: Occasion,
    now: Timestamp,
) -> Option<Found> {
    let (within, failing) = match occasion {
        Occasion::Well(within) => (within, false),
        Occasion::Failing => (u64::MAX, true),
    };
    let ttl = cached.answers.ttl();
    let set = cached.answers.set(question);
    let seen = look::<Index>(store, &index_key(set));
    let way = seen.state.find(&cached.answers, question, now)?;
    let (entry, _) = store.load(&entry_key(set, way))?;
    let answer = Answer::read(&entry, question, ttl.min(within), now)?;
    if !control.allows(&answer.lifetime, ttl, now, failing) {
        return None;
    }
    let found = Found { kind: answer.kind, body: answer.body.to_vec(), age: answer.lifetime.age(now) };
    let _ = update_seen(store, &index_key(set), seen, |index| (index.hit(way, question), ()));
    Some(found)
}

/// Stores the response to `question`. Returns its slot, if it was stored.
pub fn keep(
    store: &dyn Store,
    cached: &Cached,
    (question, asker): (&Question, Asker),
    good: Good<'_>,
    now: Timestamp,
) -> Option<Put> {
    let set = cached.answers.set(question);
    let Good { kind, body, named, lifetime } = good;
    let offer = Offer { length: u64::try_from(body.len()).ok()?, named, asker };
    let placed = update(store, &index_key(set), |index: Index| {
        index
            .put(&cached.answers, question, offer, now)
            .map_or((None, None), |(new, put)| (Some(new), Some(put)))
    });
    let put = placed.ok().flatten()?;
    let entry = Answer { kind, stored_at: now, named, lifetime, body }.pack(question)?;
    let key = entry_key(set, put.way);
    let version = store.load(&key).map(|(_, version)| version);
    let _ = store.swap(&key, &entry, version);
    Some(put)
}

fn index_key(set: u32) -> SlotKey {
    SlotKey::numbered(b"tidegate.dg.i", set)
}

fn entry_key(set: u32, way: usize) -> SlotKey {
    let number = set.saturating_mul(WAYS).saturating_add(u32::try_from(way).unwrap_or(0));
    SlotKey::numbered(b"tidegate.dg.e", number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;
    use tidegate_host::fake::FakeStore;
    use tidegate_policy::answer_cache::vary::Variants;
    use tidegate_policy::fingerprint::Fingerprint;

    fn cached(document: &str) -> Cached {
        let document = format!("{{\"tiers\":{{\"cached\":{document}}}}}");
        Config::read(document.as_bytes()).unwrap().cached.unwrap()
    }

    fn question([a, b, c, d]: [u64; 4]) -> Question {
        let print = |place, mark| Fingerprint { place, mark };
        Question { asked: print(a, b), client: Some(print(c, d)), variants: Variants::default() }
    }

    fn kept(
        store: &FakeStore,
        cached: &Cached,
        question: &Question,
        body: &[u8],
        now: Timestamp,
    ) -> Option<Put> {
        let good = Good { kind: Kind::Sse, body, named: Named::default(), lifetime: Lifetime::default() };
        keep(store, cached, (question, Asker::default()), good, now)
    }

    fn found(store: &FakeStore, cached: &Cached, question: &Question, now: Timestamp) -> Option<Vec<u8>> {
        let asked = (question, &RequestControl::default());
        find(store, cached, asked, Occasion::Failing, now).map(|found| found.body)
    }

    proptest! {
        #[test]
        fn what_falls_together_with_anothers_answer_takes_its_place_and_never_gives_it_away(
            parts: [u64; 4], place: u64, mark: u64,
        ) {
            let [a, b, c, d] = parts;
            let (victim, attacker) = (question(parts), question([a ^ place, b ^ mark, c ^ place, d ^ mark]));
            prop_assume!(victim != attacker);
            let (store, cached, now) = (FakeStore::default(), cached("{}"), Timestamp::from_nanos(7));
            prop_assert_eq!(cached.answers.set(&victim), cached.answers.set(&attacker));
            let body = |question| found(&store, &cached, question, now);
            kept(&store, &cached, &victim, b"the victim's", now).unwrap();
            prop_assert_eq!(body(&attacker), None);
            prop_assert_eq!(body(&victim).unwrap(), b"the victim's");
            kept(&store, &cached, &attacker, b"the attacker's", now).unwrap();
            prop_assert_eq!(body(&victim), None);
            prop_assert_eq!(body(&attacker).unwrap(), b"the attacker's");
        }

        #[test]
        fn whatever_is_asked_an_answer_is_that_of_its_question_and_places_are_as_many_as_are_configured(
            asked in prop::collection::vec((0_u64..60, any::<bool>()), 1..200),
        ) {
            let (store, cached) = (FakeStore::default(), cached("{\"max_entries\":16}"));
            for (time, (number, keeps)) in (1..).zip(asked) {
                let now = Timestamp::from_nanos(time);
                let question = question([number << 58, number / 3, number / 2, 0]);
                let body = number.to_le_bytes();
                if keeps {
                    kept(&store, &cached, &question, &body, now).unwrap();
                }
                let found = found(&store, &cached, &question, now);
                prop_assert!(!keeps || found.is_some());
                prop_assert!(found.is_none_or(|found| found == body));
            }
            prop_assert!(store.entries() <= 16 + 2);
        }
    }
}
