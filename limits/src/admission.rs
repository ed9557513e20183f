//! Charges one request to all its limits, or to none. Buckets in one entry of the store are decided in one step: one
//! host call for a refusal, two for an admission. If they lie in several entries, all are checked before any is
//! charged, so that a refusal spends nothing. If a lost race then makes one refuse, the earlier charges are given back.

use tidegate_host::store::{Store, look, update, update_seen};
use tidegate_policy::admission::{self, Charge, Charged, Ruling, Terms, Undecided, amend, decide, give_back};
use tidegate_policy::slot_key::SlotKey;
use tidegate_policy::slots::SlotSet;
use tidegate_policy::timestamp::Timestamp;

/// Makes `charges` at `now` on these terms. `clock` returns a time later than `now` where one is needed.
pub fn admit(
    store: &dyn Store,
    charges: &mut [Charge],
    terms: Terms,
    now: Timestamp,
    clock: impl Fn() -> Timestamp,
) -> Ruling {
    charges.sort_unstable_by_key(|charge| charge.key);
    let ruling = match charges.first().map(|first| first.key) {
        Some(key) if charges.iter().all(|charge| charge.key == key) => {
            update(store, &key, |set| decide(charges, set, now, terms)).unwrap_or_else(contended)
        }
        _ => admit_each(store, charges, now, terms),
    };
    if ruling.implausible {
        for (key, charges) in by_entry(charges) {
            let _ = update(store, &key, |set| (amend(charges, set, clock()), ()));
        }
    }
    ruling
}

fn admit_each(store: &dyn Store, charges: &[Charge], now: Timestamp, terms: Terms) -> Ruling {
    let mut verdict = Ruling::default();
    let mut looked = Vec::new();
    for (key, charges) in by_entry(charges) {
        let seen = look::<SlotSet>(store, &key);
        verdict.join(decide(charges, seen.state.clone(), now, terms).1);
        looked.push((key, charges, seen));
    }
    if !verdict.admits(terms) {
        return verdict;
    }

    let mut verdict = Ruling::default();
    for (key, charges, seen) in looked {
        let settled = update_seen(store, &key, seen, |set| decide(charges, set, now, terms));
        verdict.join(settled.unwrap_or_else(contended));
        if !verdict.admits(terms) {
            refund(store, &core::mem::take(&mut verdict.charged));
            break;
        }
    }
    verdict
}

/// Gives back the charges of a [`Ruling`]. If every race is lost, the tokens stay spent, which is too strict for one
/// client but never too generous.
pub fn refund(store: &dyn Store, charged: &[Charged]) {
    for charged in charged.chunk_by(|a, b| a.charge.key == b.charge.key) {
        let Some(first) = charged.first() else { continue };
        let _ = update(store, &first.charge.key, |set| (Some(give_back(charged, set)), ()));
    }
}

/// Settles the charges of a [`Ruling`], in their order, once the tokens that each has used are known. If every race is
/// lost, the bucket stays as charged.
pub fn settle(store: &dyn Store, used: &[(Charged, u32)], now: Timestamp) {
    for used in used.chunk_by(|(a, _), (b, _)| a.charge.key == b.charge.key) {
        let Some((first, _)) = used.first() else { continue };
        let _ = update(store, &first.charge.key, |set| (Some(admission::settle(used, set, now)), ()));
    }
}

/// Returns the charges of each entry, which must be adjacent.
fn by_entry(charges: &[Charge]) -> impl Iterator<Item = (SlotKey, &[Charge])> {
    let entries = charges.chunk_by(|a, b| a.key == b.key);
    entries.filter_map(|charges| charges.first().map(|first| (first.key, charges)))
}

fn contended<E>(_: E) -> Ruling {
    Ruling { undecided: Some(Undecided::Contended), ..Ruling::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use tidegate_host::fake::FakeStore;
    use tidegate_host::store::ATTEMPTS;
    use tidegate_policy::admission::Wait;
    use tidegate_policy::bucket::{Bucket, Rate};
    use tidegate_policy::record::Record as _;

    const STRICT: Terms = Terms { may_hold: false, lenient: false };
    const LENIENT: Terms = Terms { lenient: true, ..STRICT };

    fn key(set: u32) -> SlotKey {
        SlotKey::numbered(b"tidegate.xx.", set)
    }

    fn bucket(requests: u32, burst: u32) -> Bucket {
        Bucket::new(Rate { requests, period: Duration::from_secs(60) }, burst).unwrap()
    }

    fn charge(limit: usize, set: u32, burst: u32) -> Charge {
        let mark = u64::from(set).checked_add(1).unwrap();
        Charge { limit, key: key(set), mark, bucket: bucket(60, burst), cost: 1, shadow: false }
    }

    fn admits(store: &FakeStore, charges: &mut [Charge]) -> bool {
        admit(store, charges, STRICT, Timestamp::default(), Timestamp::default).admits(STRICT)
    }

    fn entry(store: &FakeStore, set: u32) -> Vec<u8> {
        store.load_entry(&key(set))
    }

    #[test]
    fn an_admission_in_one_entry_costs_one_read_and_one_write_and_a_refusal_one_read() {
        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(0, 1, 1)]));
        assert_eq!((store.loads(), store.swaps()), (1, 1));
        assert!(!admits(&store, &mut [charge(0, 1, 1)]));
        assert_eq!((store.loads(), store.swaps()), (2, 1));
    }

    #[test]
    fn a_refusal_in_one_entry_writes_nothing_in_the_others() {
        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(0, 1, 9), charge(1, 2, 1)]));
        let before = store.swaps();
        assert!(!admits(&store, &mut [charge(0, 1, 9), charge(1, 2, 1)]));
        assert_eq!(store.swaps(), before);
    }

    #[test]
    fn an_entry_without_room_spends_nothing_in_the_others() {
        let store = FakeStore::default();
        for mark in 100..115 {
            assert!(admits(&store, &mut [Charge { mark, ..charge(1, 2, 1) }]));
        }
        assert!(!admits(&store, &mut [charge(0, 1, 9), charge(1, 2, 1)]));
        assert_eq!(entry(&store, 1), Vec::<u8>::new());
    }

    #[test]
    fn charges_are_given_back_if_a_lost_race_ends_in_a_refusal() {
        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(1, 2, 1)]));
        let spent = entry(&store, 2);

        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(0, 1, 2)]));
        let before = entry(&store, 1);
        store.lose_swap_of(&key(2), 1, &spent);
        assert!(!admits(&store, &mut [charge(0, 1, 2), charge(1, 2, 1)]));
        assert_eq!(entry(&store, 1), before);
    }

    #[test]
    fn losing_every_race_is_contended_and_charges_nothing() {
        let store = FakeStore::default();
        store.lose_swap_of(&key(2), ATTEMPTS, b"");
        let ruling = admit(
            &store,
            &mut [charge(0, 1, 2), charge(1, 2, 1)],
            STRICT,
            Timestamp::default(),
            Timestamp::default,
        );
        assert_eq!((ruling.undecided, ruling.admits(STRICT)), (Some(Undecided::Contended), false));
        assert!(admits(&store, &mut [charge(0, 1, 2)]));
        assert!(admits(&store, &mut [charge(0, 1, 2)]));
    }

    #[test]
    fn lenient_terms_forgive_the_limit_that_is_contended_and_no_other() {
        for (burst, admitted) in [(2, true), (1, false)] {
            let store = FakeStore::default();
            assert!(admits(&store, &mut [charge(0, 3, burst)]));
            store.lose_swap_of(&key(2), ATTEMPTS, b"");
            let mut charges = [charge(0, 3, burst), charge(1, 2, 1)];
            let ruling = admit(&store, &mut charges, LENIENT, Timestamp::default(), Timestamp::default);
            assert_eq!(ruling.admits(LENIENT), admitted);
        }
    }

    #[test]
    fn a_raised_limit_is_amended_beside_another_one() {
        let store = FakeStore::default();
        let slow = Charge { bucket: bucket(1, 60), ..charge(0, 1, 1) };
        (0..60).for_each(|_| assert!(admits(&store, &mut [slow])));
        let mut fast = [charge(0, 1, 5), charge(1, 2, 60)];
        let refusal =
            admit(&store, &mut fast, STRICT, Timestamp::default(), Timestamp::default).refusal.unwrap();
        assert_eq!(refusal.wait, Wait::For(1_000_000_000));
        let then = Timestamp::default().plus(1_000_000_000);
        assert!(admit(&store, &mut fast, STRICT, then, || then).admits(STRICT));
    }

    #[test]
    fn a_cost_is_settled_in_every_charged_entry() {
        let store = FakeStore::default();
        let mut charges = [Charge { cost: 4, ..charge(0, 1, 9) }, Charge { cost: 4, ..charge(1, 2, 9) }];
        let now = Timestamp::default();
        let ruling = admit(&store, &mut charges, STRICT, now, || now);
        let used: Vec<_> = ruling.charged.into_iter().zip([1, 6]).collect();
        settle(&store, &used, now);
        for (set, left) in [(1, 8), (2, 3)] {
            let mark = u64::from(set).checked_add(1).unwrap();
            let tat = SlotSet::from_bytes(&entry(&store, set)).find(mark);
            assert_eq!(bucket(60, 9).level(tat, now).remaining, left);
        }
    }

    #[test]
    fn a_worker_with_a_late_clock_gives_away_no_tokens() {
        let store = FakeStore::default();
        let later = Timestamp::from_nanos(500_000_000);
        let mut charges = [charge(0, 1, 2)];
        for admitted in [true, true, false] {
            assert_eq!(admit(&store, &mut charges, STRICT, later, || later).admits(STRICT), admitted);
        }
        let before = entry(&store, 1);
        let late = Timestamp::default();
        assert!(!admit(&store, &mut charges, STRICT, late, || later).admits(STRICT));
        assert_eq!(entry(&store, 1), before);
    }
}
