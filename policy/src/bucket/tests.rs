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
fn what_cannot_be_enforced_cannot_be_built() {
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
        let Take::Now { tat: next } = bucket.take(tat, at(0)) else { panic!("refused within the burst") };
        tat = Some(next);
        assert_eq!(bucket.level(tat, at(0)).remaining, remaining);
    }
    assert_eq!(bucket.take(tat, at(0)), Take::NotYet { wait: 100_000_000 });
    assert_eq!(bucket.take(tat, at(99_999_999)), Take::NotYet { wait: 1 });
    assert!(matches!(bucket.take(tat, at(100_000_000)), Take::Now { .. }));
}

#[test]
fn promised_tokens_come_in_order_and_end_at_the_promise() {
    let bucket = bucket(10, 1).promising(Duration::from_millis(250));
    let Take::Now { tat } = bucket.take(None, at(0)) else { panic!("full bucket refused") };
    let Take::Later { wait: 100_000_000, tat } = bucket.take(Some(tat), at(0)) else { panic!("first") };
    let Take::Later { wait: 200_000_000, tat } = bucket.take(Some(tat), at(0)) else { panic!("second") };
    assert_eq!(bucket.take(Some(tat), at(0)), Take::NotYet { wait: 300_000_000 });
}

#[test]
fn a_clock_that_steps_back_locks_out_for_at_most_one_refill() {
    let bucket = bucket(1, 5);
    let hours = 5 * 3_600_000_000_000;
    let Take::NotYet { wait } = bucket.take(Some(at(hours)), at(0)) else {
        panic!("admitted from the future")
    };
    assert_eq!(wait, bucket.interval());
}

proptest! {
    #[test]
    fn decides_as_governor_does(
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
                match (ours.take(tat, at(now)), oracle.check()) {
                    (Take::Now { tat: next }, Ok(())) => tat = Some(next),
                    (Take::NotYet { .. }, Err(_)) => {}
                    (ours, oracle) => prop_assert!(false, "at {now}: {ours:?}, governor {oracle:?}"),
                }
            }
        }
    }

    #[test]
    fn never_more_than_the_burst_and_the_refill_in_any_window(
        requests in 1_u32..5_000,
        burst in 1_u32..50,
        gaps in prop::collection::vec(0_u64..400_000_000, 1..300),
    ) {
        let bucket = bucket(requests, burst);
        let (mut now, mut tat, mut admitted) = (0, None, Vec::new());
        for gap in gaps {
            now += gap;
            if let Take::Now { tat: next } = bucket.take(tat, at(now)) {
                tat = Some(next);
                admitted.push(now);
            }
        }
        for first in 0..admitted.len() {
            for last in first..admitted.len() {
                let window = u128::from(admitted[last] - admitted[first]);
                let most = u128::from(burst) + window * u128::from(requests) / 1_000_000_000;
                prop_assert!((last - first + 1) as u128 <= most, "{} in {window} ns", last - first + 1);
            }
        }
    }

    #[test]
    fn the_wait_told_is_exact(
        requests in 1_u32..1_000_000, burst in 1_u32..1_000, ahead in 0_u64..u64::MAX / 4, now in 0_u64..u64::MAX / 4,
    ) {
        let bucket = bucket(requests, burst);
        if let Take::NotYet { wait } = bucket.take(Some(at(ahead)), at(now)) {
            let tat = Some(at(ahead.min(now + bucket.tolerance() + bucket.interval())));
            let exact = matches!(bucket.take(tat, at(now + wait)), Take::Now { .. });
            prop_assert!(exact, "still refused after the wait");
            let early = matches!(bucket.take(tat, at(now + wait - 1)), Take::NotYet { wait: 1 });
            prop_assert!(early, "admitted 1 ns early");
        }
    }

    #[test]
    fn no_clock_and_no_record_overflow_it(
        requests in 1_u32..1_000_000, burst in 1_u32..100, tat: u64, now: u64, ahead: u64,
    ) {
        let bucket = bucket(requests, burst).promising(Duration::from_nanos(ahead));
        let level = bucket.level(Some(at(tat)), at(now));
        prop_assert!(level.remaining <= level.capacity);
        bucket.take(Some(at(tat)), at(now));
        let _ = bucket.give_back(at(tat));
    }

    #[test]
    fn a_token_given_back_is_as_if_never_taken(requests in 1_u32..10_000, burst in 1_u32..100, used in 0_u32..100) {
        let bucket = bucket(requests, burst);
        let before = at(u64::from(used) * bucket.interval());
        if let Take::Now { tat } = bucket.take(Some(before), at(0)) {
            prop_assert_eq!(bucket.give_back(tat), before);
        }
    }
}
