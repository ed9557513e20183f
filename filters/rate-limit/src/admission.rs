//! Charges one request to all its limits, or to none. Buckets in one set of the table are settled in one step:
//! one host call if refused, two if admitted. Where they lie in several sets, all are looked at before any is
//! charged, so that a refusal writes nothing; and what a race that was lost in between then refuses is given
//! back in the sets that were charged before.

use tidegate_host::store::{Contended, Store, look, update, update_seen};
use tidegate_policy::admission::{Charge, Ruling, give_back, settle};
use tidegate_policy::slots::{SetIndex, SlotSet};
use tidegate_policy::timestamp::Timestamp;

const PREFIX: &[u8; 9] = b"tidegate.";

/// The store's key of a set.
pub fn key(set: SetIndex) -> [u8; 13] {
    let mut key = [0; 13];
    let bytes = PREFIX.iter().copied().chain(set.0.to_le_bytes());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    key
}

/// Charges `charges` at `now`, promising tokens ahead only if `may_hold`.
pub fn admit(
    store: &dyn Store,
    charges: &mut [Charge],
    now: Timestamp,
    may_hold: bool,
) -> Result<Ruling, Contended> {
    charges.sort_unstable_by_key(|charge| charge.set);
    let settle_set = |set: &[Charge], slots: SlotSet| settle(set, slots, now, may_hold);
    if let [first, .., last] | [first @ last] = &*charges
        && first.set == last.set
    {
        return update(store, &key(first.set), |slots| settle_set(charges, slots));
    }

    let mut verdict = Ruling::default();
    let mut looked = Vec::new();
    for set in sets(charges) {
        let seen = look::<SlotSet>(store, &set_key(set));
        verdict.join(settle_set(set, seen.state.clone()).1);
        looked.push((set, seen));
    }
    if !verdict.admits() {
        return Ok(verdict);
    }

    let mut verdict = Ruling::default();
    let mut charged: Vec<(&[Charge], Ruling)> = Vec::with_capacity(looked.len());
    for (set, seen) in looked {
        let settled = update_seen(store, &set_key(set), seen, |slots| settle_set(set, slots));
        match &settled {
            Ok(ruling) if ruling.admits() => charged.push((set, ruling.clone())),
            _ => refund(store, &charged),
        }
        verdict.join(settled?);
        if !verdict.admits() {
            break;
        }
    }
    Ok(verdict)
}

fn sets(charges: &[Charge]) -> impl Iterator<Item = &[Charge]> {
    charges.chunk_by(|a, b| a.set == b.set)
}

fn set_key(set: &[Charge]) -> [u8; 13] {
    key(set.first().map_or(SetIndex(0), |charge| charge.set))
}

/// Losing every race here leaves a token spent: too strict for one client, never too generous.
fn refund(store: &dyn Store, charged: &[(&[Charge], Ruling)]) {
    for (set, ruling) in charged {
        let _ = update(store, &set_key(set), |slots| (Some(give_back(set, ruling, slots)), ()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use tidegate_host::fake::FakeStore;
    use tidegate_host::store::ATTEMPTS;
    use tidegate_policy::bucket::{Bucket, Rate};

    fn charge(limit: usize, set: u32, burst: u32) -> Charge {
        let bucket = Bucket::new(Rate { requests: 1, period: Duration::from_secs(1) }, burst).unwrap();
        Charge { limit, set: SetIndex(set), mark: u64::from(set), bucket, shadow: false }
    }

    fn admits(store: &FakeStore, charges: &mut [Charge]) -> bool {
        admit(store, charges, Timestamp::default(), false).unwrap().admits()
    }

    #[test]
    fn one_set_costs_one_look_and_one_write_and_a_refusal_one_look() {
        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(0, 1, 1)]));
        assert_eq!((store.loads(), store.swaps()), (1, 1));
        assert!(!admits(&store, &mut [charge(0, 1, 1)]));
        assert_eq!((store.loads(), store.swaps()), (2, 1));
    }

    #[test]
    fn a_refusal_in_one_set_writes_nothing_in_the_others() {
        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(0, 1, 9), charge(1, 2, 1)]));
        let before = store.swaps();
        assert!(!admits(&store, &mut [charge(0, 1, 9), charge(1, 2, 1)]));
        assert_eq!(store.swaps(), before);
    }

    #[test]
    fn what_a_lost_race_refuses_is_given_back() {
        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(1, 2, 1)]));
        let (spent, _) = store.load(&key(SetIndex(2))).unwrap();

        let store = FakeStore::default();
        assert!(admits(&store, &mut [charge(0, 1, 2)]));
        let (before, _) = store.load(&key(SetIndex(1))).unwrap();
        store.lose_swap_of(&key(SetIndex(2)), 1, &spent);
        assert!(!admits(&store, &mut [charge(0, 1, 2), charge(1, 2, 1)]));
        assert_eq!(store.load(&key(SetIndex(1))).unwrap().0, before);
    }

    #[test]
    fn losing_every_race_is_contended_and_charges_nothing() {
        let store = FakeStore::default();
        store.lose_swap_of(&key(SetIndex(2)), ATTEMPTS, b"");
        let mut charges = [charge(0, 1, 2), charge(1, 2, 1)];
        assert_eq!(admit(&store, &mut charges, Timestamp::default(), false), Err(Contended));
        assert!(admits(&store, &mut [charge(0, 1, 2)]));
        assert!(admits(&store, &mut [charge(0, 1, 2)]));
    }
}
