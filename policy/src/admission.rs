//! Several limits, one answer. Every limit that applies to a request charges one bucket; all that are
//! enforced must admit, and a request that one of them refuses is charged to none. A limit in shadow decides
//! and is charged like the others, but never refuses.
//!
//! Buckets of one identity share a set, so that limits on the same identity are settled in one step. Limits
//! whose buckets lie in several sets are looked at first and charged one set after the other; what a lost
//! race then refuses is given back.

use crate::bucket::{Bucket, Level, Take};
use crate::slots::{Put, Record, SetIndex, SlotSet};
use crate::timestamp::Timestamp;

/// What one limit charges for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which limit, by its place in the configuration.
    pub limit: usize,
    /// The set of its bucket.
    pub set: SetIndex,
    /// The mark of its bucket.
    pub mark: u64,
    /// The bucket's size and rate.
    pub bucket: Bucket,
    /// Whether it only counts.
    pub shadow: bool,
}

/// What the limits say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// Of the limits that refuse, the one that will admit last.
    pub refusal: Option<Refusal>,
    /// Nanoseconds until the last promised token is there; 0 to go now.
    pub hold: u64,
    /// Of the enforced limits that admit, the one with the fewest tokens left.
    pub tightest: Option<Level>,
    /// The limits in shadow that would have refused.
    pub shadowed: Vec<usize>,
    /// Clients forgotten that had spent part of their bucket.
    pub evicted: u32,
    /// Whether a bucket could not be kept, its set being full of clients that are refused now.
    pub full: bool,
}

/// One limit's no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What refuses.
    pub charge: Charge,
    /// Nanoseconds until it would admit.
    pub wait: u64,
    /// How full its bucket is.
    pub level: Level,
}

impl Ruling {
    /// Whether every limit that is enforced admits.
    pub const fn admits(&self) -> bool {
        self.refusal.is_none() && !self.full
    }

    /// What this and the ruling on other sets say together.
    pub fn join(&mut self, other: Self) {
        if let Some(refusal) = other.refusal {
            self.refuse(refusal);
        }
        if let Some(level) = other.tightest {
            self.tighten(level);
        }
        self.hold = self.hold.max(other.hold);
        self.shadowed.extend(other.shadowed);
        self.evicted = self.evicted.saturating_add(other.evicted);
        self.full |= other.full;
    }

    fn refuse(&mut self, refusal: Refusal) {
        if self.refusal.is_none_or(|known| known.wait < refusal.wait) {
            self.refusal = Some(refusal);
        }
    }

    fn tighten(&mut self, level: Level) {
        let order = |level: &Level| (level.remaining, core::cmp::Reverse(level.reset));
        if self.tightest.is_none_or(|known| order(&level) < order(&known)) {
            self.tightest = Some(level);
        }
    }
}

/// Settles the charges on one set at `now`. The set that is returned is to be stored, if nobody has changed it
/// meanwhile; none is when a charge is refused, or when there is nothing to charge. Tokens are promised ahead
/// only if `may_hold`.
pub fn settle(
    charges: &[Charge],
    mut set: SlotSet,
    now: Timestamp,
    may_hold: bool,
) -> (Option<SlotSet>, Ruling) {
    let mut ruling = Ruling::default();
    let mut takes = Vec::with_capacity(charges.len());
    for charge in charges {
        let tat = set.find(charge.mark);
        match charge.bucket.take(tat, now) {
            Take::Now { tat } => takes.push((charge, tat, 0)),
            Take::Later { wait, tat } if may_hold || charge.shadow => takes.push((charge, tat, wait)),
            Take::Later { wait, .. } | Take::NotYet { wait } => {
                let level = charge.bucket.level(tat, now);
                if charge.shadow {
                    ruling.shadowed.push(charge.limit);
                } else {
                    ruling.refuse(Refusal { charge: *charge, wait, level });
                }
            }
        }
    }
    if ruling.refusal.is_some() || takes.is_empty() {
        return (None, ruling);
    }
    let marks: Vec<u64> = takes.iter().map(|(charge, ..)| charge.mark).collect();
    for (charge, tat, wait) in takes {
        let record = Record { mark: charge.mark, tat, tolerance: charge.bucket.tolerance() };
        match set.put(record, now, &marks) {
            Put::Stored => {}
            Put::Evicted => ruling.evicted = ruling.evicted.saturating_add(1),
            Put::Full if charge.shadow => continue,
            Put::Full => {
                ruling.full = true;
                return (None, ruling);
            }
        }
        if !charge.shadow {
            ruling.hold = ruling.hold.max(wait);
            ruling.tighten(charge.bucket.level(Some(tat), now));
        }
    }
    (Some(set), ruling)
}

/// The set with the charges given back that `ruling` took.
pub fn give_back(charges: &[Charge], ruling: &Ruling, mut set: SlotSet) -> SlotSet {
    for charge in charges.iter().filter(|charge| !ruling.shadowed.contains(&charge.limit)) {
        set.amend(charge.mark, |tat| charge.bucket.give_back(tat));
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Rate;
    use core::time::Duration;

    fn charge(limit: usize, burst: u32) -> Charge {
        let rate = Rate { requests: 1, period: Duration::from_secs(1) };
        let mark = u64::try_from(limit).unwrap();
        Charge { limit, set: SetIndex(0), mark, bucket: Bucket::new(rate, burst).unwrap(), shadow: false }
    }

    fn start() -> Timestamp {
        Timestamp::default()
    }

    #[test]
    fn a_request_refused_by_one_limit_is_charged_to_none() {
        let charges = [charge(0, 5), charge(1, 1)];
        let (set, ruling) = settle(&charges, SlotSet::default(), start(), false);
        assert!(ruling.admits());
        let set = set.unwrap();
        let (unchanged, ruling) = settle(&charges, set, start(), false);
        assert_eq!(unchanged, None);
        assert_eq!(ruling.refusal.map(|refusal| refusal.charge.limit), Some(1));
    }

    #[test]
    fn the_tightest_limit_is_reported() {
        let (_, ruling) = settle(&[charge(0, 5), charge(1, 3)], SlotSet::default(), start(), false);
        assert_eq!(ruling.tightest.map(|level| (level.capacity, level.remaining)), Some((3, 2)));
    }

    #[test]
    fn a_shadow_limit_refuses_nobody_and_spends_nothing_when_it_would() {
        let shadow = Charge { shadow: true, ..charge(1, 1) };
        let (set, first) = settle(&[charge(0, 5), shadow], SlotSet::default(), start(), false);
        assert!(first.shadowed.is_empty());
        let (set, second) = settle(&[charge(0, 5), shadow], set.unwrap(), start(), false);
        assert!(second.admits());
        assert_eq!(second.shadowed, [1]);
        assert_eq!(second.tightest.map(|level| level.remaining), Some(3));
        assert_eq!(set.unwrap().find(1), Some(start().plus(1_000_000_000)));
    }

    #[test]
    fn tokens_are_promised_only_to_a_request_that_can_be_held() {
        let slow = Charge { bucket: charge(0, 1).bucket.promising(Duration::from_secs(5)), ..charge(0, 1) };
        let (set, _) = settle(&[slow], SlotSet::default(), start(), true);
        let set = set.unwrap();
        assert!(!settle(&[slow], set.clone(), start(), false).1.admits());
        assert_eq!(settle(&[slow], set, start(), true).1.hold, 1_000_000_000);
    }

    #[test]
    fn what_was_charged_can_be_given_back() {
        let charges = [charge(0, 5), Charge { shadow: true, ..charge(1, 1) }];
        let (before, _) = settle(&charges, SlotSet::default(), start(), false);
        let (after, ruling) = settle(&charges, before.clone().unwrap(), start(), false);
        assert_eq!(give_back(&charges, &ruling, after.unwrap()), before.unwrap());
    }

    #[test]
    fn of_two_refusals_the_longer_wait_is_told() {
        let slow = Bucket::new(Rate { requests: 1, period: Duration::from_secs(60) }, 1).unwrap();
        let charges = [Charge { bucket: slow, ..charge(0, 1) }, charge(1, 1)];
        let (set, _) = settle(&charges, SlotSet::default(), start(), false);
        let (_, ruling) = settle(&charges, set.unwrap(), start(), false);
        assert_eq!(ruling.refusal.map(|refusal| refusal.wait), Some(60_000_000_000));
    }
}
