//! Combines several limits into one decision. Every limit that applies to a request charges one bucket. All enforced
//! limits must admit the request, and if one refuses, none is charged. A limit in shadow mode decides and is charged
//! like the others, but never refuses.
//!
//! Buckets in one entry of the store are decided in one step. If they lie in several entries, all are checked first and
//! then charged entry by entry; if a lost race makes a later one refuse, the earlier charges are given back.

use crate::bucket::{Bucket, Level, Take, Taken};
use crate::slot_key::SlotKey;
use crate::slots::{Put, Record, SlotSet};
use crate::timestamp::Timestamp;

/// The charge of one limit for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The limit's index in the configuration.
    pub limit: usize,
    /// The entry that holds the bucket.
    pub key: SlotKey,
    /// The mark of the bucket.
    pub mark: u64,
    /// The bucket's size and rate.
    pub bucket: Bucket,
    /// The number of tokens to take.
    pub cost: u32,
    /// True if the limit is in shadow mode.
    pub shadow: bool,
}

/// A completed charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The charge.
    pub charge: Charge,
    /// The bucket just after the charge.
    pub tat: Timestamp,
}

/// The joint decision of the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// The refusal with the longest wait.
    pub refusal: Option<Refusal>,
    /// The time in nanoseconds until the last promised token is available; 0 to forward at once.
    pub hold: u64,
    /// The admitting enforced limit with the fewest tokens left.
    pub tightest: Option<Level>,
    /// The limits in shadow mode that would have refused.
    pub shadowed: Vec<usize>,
    /// The completed charges, in the order of their keys, for [`give_back`] and [`settle`].
    pub charged: Vec<Charged>,
    /// The number of evicted clients whose bucket was partly spent.
    pub evicted: u32,
    /// The number of charges on overflow buckets, which the new clients of a full set share.
    pub overflowed: u32,
    /// The reason why a bucket was undecided, if one was.
    pub undecided: Option<Undecided>,
    /// True if a bucket seems further ahead than it can be: see [`amend`].
    pub implausible: bool,
}

/// The reason why a bucket was undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Every attempt to charge the bucket lost its race.
    Contended,
    /// The set has no room for the bucket: all of its buckets are refusing their clients now, including the overflow
    /// buckets of other limits.
    Saturated {
        /// The time in nanoseconds until there is room.
        wait: u64,
    },
}

/// The terms on which a request may be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// True if tokens may be promised, because the request can be held.
    pub may_hold: bool,
    /// True if an undecided bucket admits.
    pub lenient: bool,
}

/// The time until a refused request would be admitted, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// A number of nanoseconds.
    For(u64),
    /// Forever: the cost exceeds the bucket's capacity.
    Never,
}

/// The refusal of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The refused charge.
    pub charge: Charge,
    /// The time until the limit would admit it.
    pub wait: Wait,
    /// The bucket's level.
    pub level: Level,
}

impl Ruling {
    /// Returns true if the request may proceed.
    pub const fn admits(&self, terms: Terms) -> bool {
        self.refusal.is_none() && (self.undecided.is_none() || terms.lenient)
    }

    /// Adds the ruling on other entries to this one.
    pub fn join(&mut self, other: Self) {
        if let Some(refusal) = other.refusal {
            self.refuse(refusal);
        }
        if let Some(level) = other.tightest {
            self.tighten(level);
        }
        self.hold = self.hold.max(other.hold);
        self.shadowed.extend(other.shadowed);
        self.charged.extend(other.charged);
        self.evicted = self.evicted.saturating_add(other.evicted);
        self.overflowed = self.overflowed.saturating_add(other.overflowed);
        self.undecided = self.undecided.or(other.undecided);
        self.implausible |= other.implausible;
    }

    fn refuse(&mut self, refusal: Refusal) {
        if self.refusal.is_none_or(|known| known.wait < refusal.wait) {
            self.refusal = Some(refusal);
        }
    }

    fn tighten(&mut self, level: Level) {
        self.tightest = Some(self.tightest.map_or(level, |known| known.tightest(level)));
    }
}

/// Decides on the charges on one entry of the store at `now`. The caller stores the returned set by compare-and-swap.
/// No set is returned if a charge is refused, or if there is nothing to charge.
pub fn decide(
    charges: &[Charge],
    mut set: SlotSet,
    now: Timestamp,
    terms: Terms,
) -> (Option<SlotSet>, Ruling) {
    let mut ruling = Ruling::default();
    let mut takes = Vec::with_capacity(charges.len());
    for charge in charges {
        let tat = set.find(charge.mark);
        ruling.implausible |= tat.is_some_and(|tat| charge.bucket.amended(tat, now).is_some());
        let wait = match charge.bucket.take(tat, now, charge.cost) {
            Take::Now { tat } => {
                takes.push((charge, tat, 0));
                continue;
            }
            Take::Later { wait, tat } if terms.may_hold || charge.shadow => {
                takes.push((charge, tat, wait));
                continue;
            }
            Take::Later { wait, .. } | Take::NotYet { wait } => Wait::For(wait),
            Take::Never => Wait::Never,
        };
        if charge.shadow {
            ruling.shadowed.push(charge.limit);
        } else {
            ruling.refuse(Refusal { charge: *charge, wait, level: charge.bucket.level(tat, now) });
        }
    }
    if ruling.refusal.is_some() || takes.is_empty() {
        return (None, ruling);
    }
    let marks: Vec<u64> = takes.iter().map(|(charge, ..)| charge.mark).collect();
    for (charge, tat, wait) in takes {
        let record = Record { mark: charge.mark, tat, tolerance: charge.bucket.tolerance() };
        let (mut charge, mut tat, mut wait) = (*charge, tat, wait);
        match set.put(record, now, &marks) {
            Put::Stored => {}
            Put::Evicted => ruling.evicted = ruling.evicted.saturating_add(1),
            Put::Full { .. } if charge.shadow => continue,
            Put::Full { .. } => {
                charge.mark = overflow_mark(&charge);
                ruling.overflowed = ruling.overflowed.saturating_add(1);
                match overflow(&mut set, &charge, now, terms) {
                    Ok(taken) => (tat, wait) = taken,
                    Err(Overflow::Refused { wait, level }) => {
                        ruling.refuse(Refusal { charge, wait, level });
                        ruling.charged.clear();
                        return (None, ruling);
                    }
                    Err(Overflow::Full { wait }) => {
                        ruling.undecided = Some(Undecided::Saturated { wait });
                        if terms.lenient {
                            continue;
                        }
                        ruling.charged.clear();
                        return (None, ruling);
                    }
                }
            }
        }
        ruling.charged.push(Charged { charge, tat });
        if !charge.shadow {
            ruling.hold = ruling.hold.max(wait);
            ruling.tighten(charge.bucket.level(Some(tat), now));
        }
    }
    (Some(set), ruling)
}

/// The reason why a new client of a full set is refused.
enum Overflow {
    Refused { wait: Wait, level: Level },
    Full { wait: u64 },
}

/// Takes the cost from the set's overflow bucket. Returns its new TAT and the wait in nanoseconds.
fn overflow(
    set: &mut SlotSet,
    charge: &Charge,
    now: Timestamp,
    terms: Terms,
) -> Result<(Timestamp, u64), Overflow> {
    let bucket = charge.bucket;
    let tat = set.find(charge.mark).map(|tat| bucket.amended(tat, now).unwrap_or(tat));
    let refused = |wait| Overflow::Refused { wait, level: bucket.level(tat, now) };
    let (tat, wait) = match bucket.take(tat, now, charge.cost) {
        Take::Now { tat } => (tat, 0),
        Take::Later { wait, tat } if terms.may_hold => (tat, wait),
        Take::Later { wait, .. } | Take::NotYet { wait } => {
            return Err(refused(Wait::For(wait)));
        }
        Take::Never => return Err(refused(Wait::Never)),
    };
    let record = Record { mark: charge.mark, tat, tolerance: bucket.tolerance() };
    match set.put_overflow(record, now, &[]) {
        Put::Full { wait } => Err(Overflow::Full { wait }),
        Put::Stored | Put::Evicted => Ok((tat, wait)),
    }
}

/// Returns the mark of the limit's overflow bucket in this set.
fn overflow_mark(charge: &Charge) -> u64 {
    const SHARED: u64 = 0x6f76_6572_666c_6f77;
    let Some(set) = charge.key.number() else { return SHARED };
    let limit = u64::try_from(charge.limit).unwrap_or(u64::MAX);
    SHARED ^ (limit << 32) ^ u64::from(set)
}

/// Returns the set with each implausible bucket set back to the furthest that it can be ahead, or `None` if all are
/// plausible. A bucket is too far ahead after a reload that made it smaller, or after a clock step. Since a refusal
/// stores nothing, it would refuse its client until it has caught up. `now` must have been read after the set: a bucket
/// that another worker has charged since an earlier reading is rightly ahead of that reading.
pub fn amend(charges: &[Charge], mut set: SlotSet, now: Timestamp) -> Option<SlotSet> {
    let mut amended = false;
    for charge in charges {
        if let Some(empty) = set.find(charge.mark).and_then(|tat| charge.bucket.amended(tat, now)) {
            set.amend(charge.mark, |_| empty);
            amended = true;
        }
    }
    amended.then_some(set)
}

/// Returns the set with the tokens of [`Ruling::charged`] given back.
pub fn give_back(charged: &[Charged], mut set: SlotSet) -> SlotSet {
    for Charged { charge, .. } in charged {
        set.amend(charge.mark, |tat| charge.bucket.give_back(tat, charge.cost));
    }
    set
}

/// Settles each charge once its real usage is known: see [`Bucket::settle`]. An evicted bucket stays evicted.
pub fn settle(used: &[(Charged, u32)], mut set: SlotSet, now: Timestamp) -> SlotSet {
    for (Charged { charge, tat }, used) in used {
        let taken = Taken { cost: charge.cost, tat: *tat };
        set.amend(charge.mark, |tat| charge.bucket.settle(tat, taken, *used, now));
    }
    set
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use crate::bucket::Rate;
    use core::time::Duration;
    use proptest::prelude::*;

    fn charge(limit: usize, burst: u32) -> Charge {
        let rate = Rate { requests: 1, period: Duration::from_secs(1) };
        let mark = u64::try_from(limit).unwrap() + 1;
        Charge {
            limit,
            key: SlotKey::numbered(b"t.", 0),
            mark,
            bucket: Bucket::new(rate, burst).unwrap(),
            cost: 1,
            shadow: false,
        }
    }

    const REJECT: Terms = Terms { may_hold: false, lenient: false };
    const HOLD: Terms = Terms { may_hold: true, lenient: false };

    fn start() -> Timestamp {
        Timestamp::default()
    }

    #[test]
    fn a_request_refused_by_one_limit_is_charged_to_none() {
        let charges = [charge(0, 5), charge(1, 1)];
        let (set, ruling) = decide(&charges, SlotSet::default(), start(), REJECT);
        assert!(ruling.admits(REJECT));
        let set = set.unwrap();
        let (unchanged, ruling) = decide(&charges, set, start(), REJECT);
        assert_eq!(unchanged, None);
        assert_eq!(ruling.refusal.map(|refusal| refusal.charge.limit), Some(1));
    }

    #[test]
    fn the_tightest_limit_is_reported() {
        let (_, ruling) = decide(&[charge(0, 5), charge(1, 3)], SlotSet::default(), start(), REJECT);
        assert_eq!(ruling.tightest.map(|level| (level.capacity, level.remaining)), Some((3, 2)));
    }

    #[test]
    fn a_shadow_limit_refuses_nobody_and_spends_nothing_when_it_would() {
        let shadow = Charge { shadow: true, ..charge(1, 1) };
        let (set, first) = decide(&[charge(0, 5), shadow], SlotSet::default(), start(), REJECT);
        assert!(first.shadowed.is_empty());
        let (set, second) = decide(&[charge(0, 5), shadow], set.unwrap(), start(), REJECT);
        assert!(second.admits(REJECT));
        assert_eq!(second.shadowed, [1]);
        assert_eq!(second.tightest.map(|level| level.remaining), Some(3));
        assert_eq!(set.unwrap().find(2), Some(start().plus(1_000_000_000)));
    }

    #[test]
    fn tokens_are_promised_only_to_a_request_that_can_be_held() {
        let slow = Charge { bucket: charge(0, 1).bucket.promising(Duration::from_secs(5)), ..charge(0, 1) };
        let (set, _) = decide(&[slow], SlotSet::default(), start(), HOLD);
        let set = set.unwrap();
        assert!(!decide(&[slow], set.clone(), start(), REJECT).1.admits(REJECT));
        assert_eq!(decide(&[slow], set, start(), HOLD).1.hold, 1_000_000_000);
    }

    #[test]
    fn charges_can_be_given_back() {
        let charges = [charge(0, 5), Charge { shadow: true, ..charge(1, 1) }];
        let (before, _) = decide(&charges, SlotSet::default(), start(), REJECT);
        let (after, ruling) = decide(&charges, before.clone().unwrap(), start(), REJECT);
        assert_eq!(ruling.charged.iter().map(|made| made.charge).collect::<Vec<_>>(), [charges[0]]);
        assert_eq!(give_back(&ruling.charged, after.unwrap()), before.unwrap());
    }

    #[test]
    fn a_raised_limit_admits_as_soon_as_a_bucket_of_its_own_size_would() {
        let minutes = Bucket::new(Rate { requests: 1, period: Duration::from_secs(60) }, 60).unwrap();
        let slow = Charge { bucket: minutes, ..charge(0, 1) };
        let mut set = SlotSet::default();
        for _ in 0..60 {
            set = decide(&[slow], set, start(), REJECT).0.unwrap();
        }
        let fast = charge(0, 5);
        let (unchanged, ruling) = decide(&[fast], set.clone(), start(), REJECT);
        assert_eq!((unchanged, ruling.implausible), (None, true));
        assert_eq!(ruling.refusal.map(|refusal| refusal.wait), Some(Wait::For(1_000_000_000)));
        let wait = 1_000_000_000;
        let amended = amend(&[fast], set, start()).unwrap();
        let (_, ruling) = decide(&[fast], amended, start().plus(wait), REJECT);
        assert!(ruling.admits(REJECT));
    }

    #[test]
    fn a_charge_stored_after_the_clock_was_read_is_not_amended() {
        let charges = [charge(0, 2)];
        let later = start().plus(500_000_000);
        let mut set = SlotSet::default();
        for _ in 0..2 {
            set = decide(&charges, set, later, REJECT).0.unwrap();
        }
        assert!(decide(&charges, set.clone(), start(), REJECT).1.implausible);
        assert_eq!(amend(&charges, set, later), None);
    }

    #[test]
    fn a_cost_that_one_limit_can_never_hold_is_refused_for_good_and_charged_to_none() {
        let charges = [Charge { cost: 4, ..charge(0, 5) }, Charge { cost: 4, ..charge(1, 3) }];
        let (set, ruling) = decide(&charges, SlotSet::default(), start(), REJECT);
        assert_eq!(set, None);
        let refusal = ruling.refusal.unwrap();
        assert_eq!((refusal.charge.limit, refusal.wait), (1, Wait::Never));
        let shadow = [charges[0], Charge { shadow: true, ..charges[1] }];
        let (set, ruling) = decide(&shadow, SlotSet::default(), start(), HOLD);
        assert!(ruling.admits(HOLD) && ruling.shadowed == [1] && set.is_some());
    }

    #[test]
    fn never_is_longer_than_any_wait() {
        let charges = [charge(0, 1), Charge { cost: 2, ..charge(1, 1) }];
        let (set, _) = decide(&charges[..1], SlotSet::default(), start(), REJECT);
        for order in [[0, 1], [1, 0]] {
            let charges = order.map(|place: usize| charges[place]);
            let (_, ruling) = decide(&charges, set.clone().unwrap(), start(), REJECT);
            assert_eq!(ruling.refusal.map(|refusal| refusal.wait), Some(Wait::Never));
        }
    }

    #[test]
    fn each_limit_is_settled_in_its_own_unit() {
        let costing = |limit, cost| Charge { cost, ..charge(limit, 5) };
        let charges = [costing(0, 3), costing(1, 3), costing(2, 3)];
        let (set, ruling) = decide(&charges, SlotSet::default(), start(), REJECT);
        let used: Vec<_> = ruling.charged.iter().copied().zip([1, 3, 4]).collect();
        let set = settle(&used, set.unwrap(), start());
        let left = [1, 2, 3].map(|mark| charge(0, 5).bucket.level(set.find(mark), start()).remaining);
        assert_eq!(left, [4, 2, 1]);
    }

    /// Returns a set in which every bucket refuses its client.
    fn full() -> SlotSet {
        (100..114).fold(SlotSet::default(), |set, mark| {
            let spent = Charge { mark, ..charge(0, 1) };
            decide(&[spent], set, start(), REJECT).0.unwrap()
        })
    }

    #[test]
    fn new_clients_of_a_full_set_share_a_bucket_and_known_ones_keep_their_own() {
        let mut set = full();
        let new = |mark| Charge { mark, ..charge(0, 2) };
        for mark in [200, 201] {
            let (stored, ruling) = decide(&[new(mark)], set, start(), REJECT);
            assert!(ruling.admits(REJECT) && ruling.overflowed == 1);
            set = stored.unwrap();
        }
        let (unchanged, ruling) = decide(&[new(202)], set.clone(), start(), REJECT);
        assert_eq!(unchanged, None);
        assert_eq!(ruling.refusal.map(|refusal| refusal.wait), Some(Wait::For(1_000_000_000)));
        assert!((100..114).all(|mark| set.find(mark).is_some()));
        let (after, ruling) = decide(&[new(203)], set, start().plus(999_999_999), REJECT);
        assert!(after.is_none() && ruling.charged.is_empty());
    }

    #[test]
    fn a_charge_on_the_overflow_bucket_is_given_back_to_it() {
        let before = full();
        let (after, ruling) = decide(&[charge(0, 1)], before.clone(), start(), REJECT);
        let returned = give_back(&ruling.charged, after.unwrap());
        assert!(decide(&[charge(0, 1)], returned.clone(), start(), REJECT).1.admits(REJECT));
        assert!((100..114).all(|mark| returned.find(mark) == before.find(mark)));
    }

    proptest! {
        #[test]
        fn newcomers_are_admitted_at_the_rate_of_one_bucket_for_each_set_and_no_faster(
            gaps in prop::collection::vec(0..3_000_000_000_u64, 1..60),
            burst in 1..4_u32,
        ) {
            let long = Bucket::new(Rate { requests: 1, period: Duration::from_secs(3_600) }, 1).unwrap();
            let mut set = (100..114).fold(SlotSet::default(), |set, mark| {
                let spent = Charge { mark, bucket: long, ..charge(0, 1) };
                decide(&[spent], set, start(), REJECT).0.unwrap()
            });
            let one = charge(0, burst).bucket;
            let (mut now, mut alone) = (start(), None);
            for (number, gap) in gaps.into_iter().enumerate() {
                now = now.plus(gap);
                let newcomer = Charge { mark: 1_000 + u64::try_from(number).unwrap(), ..charge(0, burst) };
                let (stored, ruling) = decide(&[newcomer], set.clone(), now, REJECT);
                let expected = match one.take(alone, now, 1) {
                    Take::Now { tat } => {
                        alone = Some(tat);
                        true
                    }
                    _ => false,
                };
                prop_assert_eq!(ruling.admits(REJECT), expected);
                set = stored.unwrap_or(set);
                prop_assert!((100..114).all(|mark| set.find(mark).is_some()));
            }
        }
    }

    #[test]
    fn without_room_only_lenient_terms_admit_and_other_limits_still_apply() {
        let newcomer = |limit: usize| Charge { mark: 7, limit, ..charge(0, 1) };
        let set = [1, 2]
            .into_iter()
            .fold(full(), |set, limit| decide(&[newcomer(limit)], set, start(), REJECT).0.unwrap());
        let (unchanged, ruling) = decide(&[charge(0, 1)], set.clone(), start(), REJECT);
        assert_eq!((unchanged, ruling.admits(REJECT)), (None, false));
        assert_eq!(ruling.undecided, Some(Undecided::Saturated { wait: 1_000_000_000 }));
        let lenient = Terms { lenient: true, ..REJECT };
        let known = Charge { mark: 100, ..charge(1, 1) };
        let forgiven = decide(&[charge(0, 1)], set.clone(), start(), lenient).1;
        assert!(forgiven.admits(lenient) && forgiven.charged.is_empty());
        assert!(!decide(&[charge(0, 1), known], set.clone(), start(), lenient).1.admits(lenient));
        let shadow = Charge { shadow: true, ..charge(0, 1) };
        assert!(decide(&[shadow], set, start(), REJECT).1.admits(REJECT));
    }

    #[test]
    fn nothing_is_charged_if_only_one_of_two_limits_has_room() {
        let newcomer = |limit: usize| Charge { mark: 7, limit, ..charge(0, 1) };
        let set = [2, 3]
            .into_iter()
            .fold(full(), |set, limit| decide(&[newcomer(limit)], set, start(), REJECT).0.unwrap());
        let known = Charge { mark: 100, bucket: charge(0, 9).bucket, ..charge(1, 9) };
        let (unchanged, ruling) = decide(&[known, charge(0, 1)], set, start(), REJECT);
        assert!(unchanged.is_none() && ruling.undecided.is_some());
        assert_eq!(ruling.charged, []);
    }

    #[test]
    fn the_refusal_with_the_longer_wait_is_reported() {
        let slow = Bucket::new(Rate { requests: 1, period: Duration::from_secs(60) }, 1).unwrap();
        let charges = [Charge { bucket: slow, ..charge(0, 1) }, charge(1, 1)];
        let (set, _) = decide(&charges, SlotSet::default(), start(), REJECT);
        let (_, ruling) = decide(&charges, set.unwrap(), start(), REJECT);
        assert_eq!(ruling.refusal.map(|refusal| refusal.wait), Some(Wait::For(60_000_000_000)));
    }
}
