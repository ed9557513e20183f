#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use super::*;
use crate::bucket::Rate;
use crate::record::Record as _;
use crate::timestamp::SECOND;
use core::time::Duration;
use proptest::prelude::*;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn arrivals(per_second: u32, burst: u32) -> Bucket {
    Bucket::new(Rate { requests: per_second, period: Duration::from_secs(1) }, burst).unwrap()
}

fn caps(connections: u16) -> Caps {
    Caps { connections: Some(connections), arrivals: arrivals(1_000, 100_000) }
}

fn opened(set: &mut ConnectionSet, mark: u64, caps: &Caps, now: Timestamp) -> Option<Lease> {
    match set.open(mark, caps, now) {
        Opening::Admitted { lease, .. } => Some(lease),
        _ => None,
    }
}

#[test]
fn an_address_at_its_cap_is_refused_until_one_of_its_connections_is_gone() {
    let mut set = ConnectionSet::default();
    let leases: Vec<_> = (0..3).map(|_| opened(&mut set, 7, &caps(3), at(5)).unwrap()).collect();
    let before = set.clone();
    assert_eq!(set.open(7, &caps(3), at(6)), Opening::TooMany);
    assert_eq!(set, before);
    assert!(opened(&mut set, 8, &caps(3), at(6)).is_some());
    set.close(7, leases[0], at(7));
    assert!(opened(&mut set, 7, &caps(3), at(8)).is_some());
}

#[test]
fn new_connections_are_admitted_at_the_rate_and_no_faster() {
    let caps = Caps { connections: None, arrivals: arrivals(10, 2) };
    let mut set = ConnectionSet::default();
    let admitted = |set: &mut ConnectionSet, nanos| opened(set, 7, &caps, at(nanos)).is_some();
    assert_eq!([0, 0, 0].map(|nanos| admitted(&mut set, nanos)), [true, true, false]);
    assert!(!admitted(&mut set, SECOND / 10 - 1));
    assert!(admitted(&mut set, SECOND / 10));
}

#[test]
fn an_unrenewed_lease_expires_after_one_term_and_before_two() {
    let mut set = ConnectionSet::default();
    let opened_at = TERM + TERM / 2;
    opened(&mut set, 7, &caps(9), at(opened_at)).unwrap();
    assert_eq!(set.open_connections(7, at(opened_at + TERM)), 1);
    assert_eq!(set.open_connections(7, at(3 * TERM - 1)), 1);
    assert_eq!(set.open_connections(7, at(3 * TERM)), 0);
}

#[test]
fn a_lease_renewed_in_time_is_always_counted_exactly_once() {
    let (mut set, mut now) = (ConnectionSet::default(), at(TERM - 1));
    let mut lease = opened(&mut set, 7, &caps(9), now).unwrap();
    for round in 0..20 {
        now = lease.renew_at(if round % 2 == 0 { u64::MAX } else { 0 });
        assert_eq!(set.open_connections(7, now), 1);
        lease = set.renew(7, lease, &caps(9), now).unwrap();
        assert_eq!(set.open_connections(7, now), 1);
        assert!(lease.is_current(now));
    }
    set.close(7, lease, now);
    assert_eq!(set.open_connections(7, now), 0);
}

#[test]
fn a_full_set_evicts_the_address_with_the_fewest_and_regains_it_by_renewals() {
    let mut set = ConnectionSet::default();
    let first = opened(&mut set, 1, &caps(9), at(0)).unwrap();
    for mark in 2..=WAYS as u64 {
        (0..3).for_each(|_| assert!(opened(&mut set, mark, &caps(9), at(0)).is_some()));
    }
    assert!(matches!(set.open(100, &caps(9), at(0)), Opening::Admitted { evicted: true, .. }));
    assert_eq!(set.open_connections(1, at(0)), 0);
    set.renew(1, first, &caps(9), at(TERM)).unwrap();
    assert_eq!(set.open_connections(1, at(TERM)), 1);
}

#[test]
fn an_address_at_its_cap_is_never_evicted() {
    let (mut set, caps) = (ConnectionSet::default(), caps(1));
    (0..WAYS as u64).for_each(|mark| assert!(opened(&mut set, mark, &caps, at(0)).is_some()));
    assert_eq!(set.open(100, &caps, at(0)), Opening::Full);
}

#[test]
fn a_rate_that_was_raised_locks_nobody_out() {
    let slow = Caps {
        connections: None,
        arrivals: Bucket::new(Rate { requests: 1, period: Duration::from_secs(3_600) }, 9).unwrap(),
    };
    let fast = Caps { connections: None, arrivals: arrivals(10, 2) };
    let mut set = ConnectionSet::default();
    (0..9).for_each(|_| assert!(opened(&mut set, 7, &slow, at(0)).is_some()));
    assert_eq!(set.open(7, &fast, at(0)), Opening::TooFast);
    assert!(opened(&mut set, 7, &fast, at(2 * SECOND)).is_some());
}

proptest! {
    #[test]
    fn the_count_is_that_of_the_open_connections_whatever_the_workers_do(
        steps in prop::collection::vec((any::<u8>(), any::<u64>(), 0..TERM / 3), 1..300),
    ) {
        let (mut set, mut now) = (ConnectionSet::default(), at(0));
        let mut open: Vec<(Lease, Timestamp)> = Vec::new();
        for (what, random, gap) in steps {
            let until = now.plus(gap);
            while let Some(due) = open.iter().position(|(_, renew)| *renew <= until) {
                let (lease, renew) = open[due];
                now = now.max(renew);
                let lease = set.renew(7, lease, &caps(20), now).unwrap();
                open[due] = (lease, lease.renew_at(random));
            }
            now = until;
            if what % 3 == 0 && !open.is_empty() {
                let (lease, _) = open.swap_remove(usize::from(what) % open.len());
                set.close(7, lease, now);
            } else {
                match set.open(7, &caps(20), now) {
                    Opening::Admitted { lease, .. } => open.push((lease, lease.renew_at(random))),
                    refused => prop_assert!(refused == Opening::TooMany && open.len() == 20),
                }
            }
            prop_assert_eq!(usize::from(set.open_connections(7, now)), open.len());
        }
    }

    #[test]
    fn any_bytes_are_a_set(bytes in prop::collection::vec(any::<u8>(), 0..500), nanos in any::<u64>()) {
        let mut set = ConnectionSet::from_bytes(&bytes);
        let lease = opened(&mut set, 7, &caps(3), at(nanos));
        if let Some(lease) = lease {
            set.close(7, lease, at(nanos));
        }
        prop_assert_eq!(ConnectionSet::from_bytes(&set.to_bytes()), set);
    }
}
