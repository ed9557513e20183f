#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use proptest::prelude::*;
use std::num::NonZeroU32;

const SECOND: Duration = Duration::from_secs(1);

fn bucket(requests: u32, burst: u32) -> Bucket {
    Bucket::new(Rate { requests, period: SECOND }, burst).unwrap()
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

#[test]
fn an_unenforceable_bucket_cannot_be_built() {
    let rate = |requests, period| Rate { requests, period };
    assert_eq!(Bucket::new(rate(0, SECOND), 1), Err(InvalidBucket::ZeroRate));
    assert_eq!(Bucket::new(rate(1, Duration::ZERO), 1), Err(InvalidBucket::ZeroRate));
    assert_eq!(Bucket::new(rate(1, SECOND), 0), Err(InvalidBucket::ZeroBurst));
    assert_eq!(Bucket::new(rate(1_000_000, SECOND), 1).map(|bucket| bucket.interval()), Ok(1_000));
    assert_eq!(Bucket::new(rate(1_000_001, SECOND), 1), Err(InvalidBucket::RateTooHigh));
    assert_eq!(Bucket::new(rate(1, Duration::from_secs(86_400)), 32), Err(InvalidBucket::RefillTooLong));
    assert_eq!(Bucket::new(rate(1, Duration::MAX), u32::MAX), Err(InvalidBucket::RefillTooLong));
}

#[test]
fn a_full_bucket_admits_its_burst_and_then_one_per_interval() {
    let bucket = bucket(10, 3);
    let mut tat = None;
    for remaining in [2, 1, 0] {
        let Take::Now { tat: next } = bucket.take(tat, at(0), 1) else { panic!("refused within the burst") };
        tat = Some(next);
        assert_eq!(bucket.level(tat, at(0)).remaining, remaining);
    }
    assert_eq!(bucket.take(tat, at(0), 1), Take::NotYet { wait: 100_000_000 });
    assert_eq!(bucket.take(tat, at(99_999_999), 1), Take::NotYet { wait: 1 });
    assert!(matches!(bucket.take(tat, at(100_000_000), 1), Take::Now { .. }));
}

#[test]
fn promised_tokens_come_in_order_and_end_at_the_promise() {
    let bucket = bucket(10, 1).promising(Duration::from_millis(250));
    let Take::Now { tat } = bucket.take(None, at(0), 1) else { panic!("full bucket refused") };
    let Take::Later { wait: 100_000_000, tat } = bucket.take(Some(tat), at(0), 1) else { panic!("first") };
    let Take::Later { wait: 200_000_000, tat } = bucket.take(Some(tat), at(0), 1) else { panic!("second") };
    assert_eq!(bucket.take(Some(tat), at(0), 1), Take::NotYet { wait: 300_000_000 });
}

#[test]
fn a_clock_step_locks_no_client_out_for_longer_than_a_refill() {
    let bucket = bucket(1, 5);
    let hours = 5 * 3_600_000_000_000;
    let Take::NotYet { wait } = bucket.take(Some(at(hours)), at(0), 1) else {
        panic!("admitted from the future")
    };
    assert_eq!(wait, bucket.interval());
}

#[test]
fn a_cost_is_taken_whole_or_not_at_all() {
    let bucket = bucket(10, 5);
    let Take::Now { tat } = bucket.take(None, at(0), 3) else { panic!("a full bucket refused") };
    assert_eq!(bucket.level(Some(tat), at(0)).remaining, 2);
    assert_eq!(bucket.take(Some(tat), at(0), 4), Take::NotYet { wait: 200_000_000 });
    assert!(matches!(bucket.take(Some(tat), at(0), 2), Take::Now { .. }));
}

#[test]
fn a_cost_is_refused_forever_only_above_the_capacity() {
    let bucket = bucket(10, 5);
    assert_eq!(bucket.take(None, at(0), 6), Take::Never);
    assert_eq!(bucket.take(None, at(u64::MAX), u32::MAX), Take::Never);
    assert!(matches!(bucket.take(None, at(0), 5), Take::Now { .. }));
    assert!(matches!(bucket.promising(SECOND).take(None, at(0), 6), Take::Never));
}

#[test]
fn usage_above_the_cost_is_owed_and_paid_before_anything_is_admitted() {
    let bucket = bucket(10, 5).owing(20);
    let Take::Now { tat } = bucket.take(None, at(0), 2) else { panic!("a full bucket refused") };
    let owing = bucket.settle(tat, Taken { cost: 2, tat }, 9, at(0));
    assert_eq!(bucket.level(Some(owing), at(0)), Level { capacity: 5, remaining: 0, reset: 900_000_000 });
    assert_eq!(bucket.take(Some(owing), at(0), 1), Take::NotYet { wait: 500_000_000 });
    assert_eq!(bucket.take(Some(owing), at(0), 0), Take::NotYet { wait: 400_000_000 });
    assert!(matches!(bucket.take(Some(owing), at(400_000_000), 0), Take::Now { .. }));
    assert_eq!(bucket.amended(owing, at(0)), None);
}

#[test]
fn debt_never_exceeds_its_bound() {
    for (debt, tokens) in [(0, 5), (3, 8)] {
        let bucket = bucket(10, 5).owing(debt);
        let Take::Now { tat } = bucket.take(None, at(0), 1) else { panic!("a full bucket refused") };
        let owing = bucket.settle(tat, Taken { cost: 1, tat }, u32::MAX, at(0));
        assert_eq!(owing, at(tokens * bucket.interval()));
    }
}

#[test]
fn unused_tokens_are_given_back_unless_refilled_meanwhile() {
    let bucket = bucket(10, 5);
    let Take::Now { tat } = bucket.take(None, at(0), 5) else { panic!("a full bucket refused") };
    let taken = Taken { cost: 5, tat };
    let then = at(200_000_000);
    assert_eq!(bucket.level(Some(bucket.settle(tat, taken, 1, at(0))), at(0)).remaining, 4);
    assert_eq!(bucket.level(Some(bucket.settle(tat, taken, 1, then)), then).remaining, 5);
    let full = at(500_000_000);
    let Take::Now { tat: again } = bucket.take(Some(tat), full, 5) else { panic!("it has refilled") };
    assert_eq!(bucket.settle(again, taken, 0, full), again);
}

/// Fails if some window admitted more than the burst plus the refill. Each pair is a time and a cost.
fn within_the_rate(admitted: &[(u64, u32)], requests: u32, burst: u32) -> Result<(), TestCaseError> {
    for first in 0..admitted.len() {
        let mut sum = 0;
        for (at, cost) in &admitted[first..] {
            sum += u128::from(*cost);
            let window = u128::from(at - admitted[first].0);
            let most = u128::from(burst) + window * u128::from(requests) / 1_000_000_000;
            prop_assert!(sum <= most, "{sum} in {window} ns");
        }
    }
    Ok(())
}

/// Decides as the bucket did when every request cost one token.
fn take_one_as_before(bucket: &Bucket, tat: Option<Timestamp>, now: Timestamp) -> Take {
    let refill = bucket.interval() * u64::from(bucket.capacity());
    let furthest = now.plus(refill.saturating_add(bucket.promised()));
    let found = tat.unwrap_or(now).clamp(now, furthest);
    let tat = found.plus(bucket.interval());
    match found.nanos_since(now.plus(refill - bucket.interval())) {
        0 => Take::Now { tat },
        wait if wait <= bucket.promised() => Take::Later { wait, tat },
        wait => Take::NotYet { wait },
    }
}

proptest! {
    #[test]
    fn a_cost_of_one_is_decided_as_before_costs_existed(
        requests in 1_u32..1_000_000, burst in 1_u32..1_000, promised in 0_u64..5_000_000_000,
        tat in prop::option::of(0_u64..3_000_000_000_000), now in 0_u64..3_000_000_000_000,
    ) {
        let bucket = bucket(requests, burst).promising(Duration::from_nanos(promised));
        let (tat, now) = (tat.map(at), at(now));
        prop_assert_eq!(bucket.take(tat, now, 1), take_one_as_before(&bucket, tat, now));
    }

    #[test]
    fn admitted_cost_never_exceeds_the_burst_plus_the_refill_in_any_window(
        requests in 1_u32..5_000,
        burst in 1_u32..50,
        steps in prop::collection::vec((0_u64..400_000_000, 0_u32..60), 1..300),
    ) {
        let bucket = bucket(requests, burst);
        let (mut now, mut tat, mut admitted) = (0, None, Vec::new());
        for (gap, cost) in steps {
            now += gap;
            match bucket.take(tat, at(now), cost) {
                Take::Now { tat: next } => {
                    tat = Some(next);
                    admitted.push((now, cost));
                }
                Take::Never => prop_assert!(cost > burst),
                Take::NotYet { .. } | Take::Later { .. } => prop_assert!(cost <= burst),
            }
        }
        within_the_rate(&admitted, requests, burst)?;
    }

    #[test]
    fn usage_never_exceeds_the_burst_plus_the_refill_if_charges_are_settled_one_by_one(
        requests in 1_u32..5_000,
        burst in 1_u32..50,
        steps in prop::collection::vec((0_u64..400_000_000, 1_u32..50, 0_u32..50, any::<bool>()), 1..300),
    ) {
        let bucket = bucket(requests, burst);
        let (mut now, mut tat, mut admitted): (_, _, Vec<(u64, u32)>) = (0, None, Vec::new());
        let mut open: Option<(usize, Taken)> = None;
        for (gap, cost, used, settles) in steps {
            now += gap;
            if let Some((place, taken)) = open.filter(|_| settles) {
                let used = used.min(taken.cost);
                tat = tat.map(|tat| bucket.settle(tat, taken, used, at(now)));
                admitted[place].1 = used;
                open = None;
            }
            if let Take::Now { tat: next } = bucket.take(tat, at(now), cost) {
                tat = Some(next);
                open = open.or(Some((admitted.len(), Taken { cost, tat: next })));
                admitted.push((now, cost));
            }
        }
        within_the_rate(&admitted, requests, burst)?;
    }

    #[test]
    fn an_overrun_delays_the_next_request_by_its_own_size(
        requests in 1_u32..1_000, burst in 1_u32..50, cost in 1_u32..50, more in 0_u32..200, gap in 0_u64..2_000_000_000,
    ) {
        let bucket = bucket(requests, burst).owing(200);
        if let Take::Now { tat } = bucket.take(None, at(0), cost) {
            let owing = bucket.settle(tat, Taken { cost, tat }, cost + more, at(gap));
            prop_assert_eq!(owing, tat.max(at(gap)).plus(bucket.time_of(more)));
            if let Take::NotYet { wait } = bucket.take(Some(owing), at(gap), cost) {
                prop_assert_eq!(bucket.take(Some(owing), at(gap + wait - 1), cost), Take::NotYet { wait: 1 });
                let exact = matches!(bucket.take(Some(owing), at(gap + wait), cost), Take::Now { .. });
                prop_assert!(exact, "still refused after the wait");
            }
        }
    }

    #[test]
    fn it_decides_as_governor_does(
        interval in 1_000_u64..2_000_000_000,
        burst in 1_u32..200,
        steps in prop::collection::vec((0_u64..3_000_000_000, 1_u8..8), 1..120),
    ) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_period(Duration::from_nanos(interval)).unwrap()
            .allow_burst(NonZeroU32::new(burst).unwrap());
        let oracle = RateLimiter::direct_with_clock(quota, clock.clone());
        let ours = Bucket::new(Rate { requests: 1, period: Duration::from_nanos(interval) }, burst).unwrap();

        let (mut now, mut tat) = (0, None);
        for (gap, tries) in steps {
            now += gap;
            clock.advance(Duration::from_nanos(gap));
            for _ in 0..tries {
                match (ours.take(tat, at(now), 1), oracle.check()) {
                    (Take::Now { tat: next }, Ok(())) => tat = Some(next),
                    (Take::NotYet { .. }, Err(_)) => {}
                    (ours, oracle) => prop_assert!(false, "at {now}: {ours:?}, governor {oracle:?}"),
                }
            }
        }
    }

    #[test]
    fn admitted_requests_never_exceed_the_burst_plus_the_refill_in_any_window(
        requests in 1_u32..5_000,
        burst in 1_u32..50,
        gaps in prop::collection::vec(0_u64..400_000_000, 1..300),
    ) {
        let bucket = bucket(requests, burst);
        let (mut now, mut tat, mut admitted) = (0, None, Vec::new());
        for gap in gaps {
            now += gap;
            if let Take::Now { tat: next } = bucket.take(tat, at(now), 1) {
                tat = Some(next);
                admitted.push(now);
            }
        }
        let admitted: Vec<_> = admitted.into_iter().map(|at| (at, 1)).collect();
        within_the_rate(&admitted, requests, burst)?;
    }

    #[test]
    fn the_wait_is_exact(
        requests in 1_u32..1_000_000, burst in 1_u32..1_000, cost in 0_u32..1_000,
        ahead in 0_u64..u64::MAX / 4, now in 0_u64..u64::MAX / 4,
    ) {
        let bucket = bucket(requests, burst);
        if let Take::NotYet { wait } = bucket.take(Some(at(ahead)), at(now), cost) {
            let tat = Some(at(ahead.min(now + bucket.tolerance() + bucket.interval())));
            let exact = matches!(bucket.take(tat, at(now + wait), cost), Take::Now { .. });
            prop_assert!(exact, "still refused after the wait");
            let early = matches!(bucket.take(tat, at(now + wait - 1), cost), Take::NotYet { wait: 1 });
            prop_assert!(early, "admitted 1 ns early");
        }
    }

    #[test]
    fn no_clock_and_no_record_cause_an_overflow(
        requests in 1_u32..1_000_000, burst in 1_u32..100, tat: u64, now: u64, ahead: u64, cost: u32, used: u32,
    ) {
        let bucket = bucket(requests, burst).promising(Duration::from_nanos(ahead)).owing(used);
        let level = bucket.level(Some(at(tat)), at(now));
        prop_assert!(level.remaining <= level.capacity);
        bucket.take(Some(at(tat)), at(now), cost);
        let _ = bucket.give_back(at(tat), cost);
        let _ = bucket.settle(at(tat), Taken { cost, tat: at(ahead) }, used, at(now));
    }

    #[test]
    fn a_cost_given_back_is_as_if_never_taken(
        requests in 1_u32..10_000, burst in 1_u32..100, used in 0_u32..100, cost in 0_u32..100,
    ) {
        let bucket = bucket(requests, burst);
        let before = at(bucket.time_of(used.min(burst)));
        if let Take::Now { tat } = bucket.take(Some(before), at(0), cost) {
            prop_assert_eq!(bucket.give_back(tat, cost), before);
        }
    }
}
