#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::timestamp::MILLISECOND;
use proptest::prelude::*;

const SECOND: u64 = 1_000 * MILLISECOND;

fn rule() -> HealthRule {
    HealthRule::new(Duration::from_secs(10), Duration::from_secs(5)).unwrap()
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

const SOMEBODY: Who = Who { address: 7, key: 8 };

fn told(outcome: Outcome, first_byte: u64) -> Sample {
    Sample { who: SOMEBODY, outcome, first_byte: Some(first_byte), total: None }
}

fn from(address: u64, key: u64, sample: Sample) -> Sample {
    Sample { who: Who { address, key }, ..sample }
}

fn near(value: u64, wanted: u64) -> bool {
    value.abs_diff(wanted) <= 1 << 17
}

fn after(samples: impl IntoIterator<Item = (u64, Sample)>) -> Health {
    samples.into_iter().fold(Health::default(), |health, (time, sample)| {
        health.record(&rule(), &sample, at(time)).unwrap_or(health)
    })
}

#[test]
fn a_window_that_is_too_short_or_too_long_is_refused() {
    let new = |window, slow| HealthRule::new(Duration::from_nanos(window), Duration::from_nanos(slow));
    assert_eq!(new(MIN_WINDOW - 1, 1), Err(InvalidHealth::Window));
    assert_eq!(new(MAX_WINDOW + 1, 1), Err(InvalidHealth::Window));
    assert_eq!(new(MIN_WINDOW, 0), Err(InvalidHealth::ZeroSlowAfter));
    assert!(new(MIN_WINDOW, 1).is_ok() && new(MAX_WINDOW, u64::MAX).is_ok());
}

#[test]
fn failures_overload_and_slowness_are_distinguished_and_a_client_that_left_does_not_count() {
    let health = after([
        (0, told(Outcome::Success, SECOND)),
        (0, told(Outcome::Success, 5 * SECOND)),
        (0, told(Outcome::Failure, SECOND)),
        (0, Sample { first_byte: None, total: Some(6 * SECOND), ..told(Outcome::Failure, 0) }),
        (0, told(Outcome::Overload, SECOND)),
        (0, told(Outcome::Ignored, 9 * SECOND)),
    ]);
    let counts = Counts { requests: 5, errors: 2, slow: 2, overloads: 1 };
    let shares = Shares { errors: 400_000, slow: 400_000, overloads: 200_000 };
    let signals = health.signals(&rule(), at(0));
    assert_eq!((signals.counts, signals.shares), (counts, shares));
    assert_eq!(health.record(&rule(), &told(Outcome::Ignored, 1), at(0)), None);
}

#[test]
fn latency_is_that_of_answers_that_succeeded() {
    let health = after([
        (0, told(Outcome::Success, 160 * MILLISECOND)),
        (1, told(Outcome::Failure, MILLISECOND)),
        (2, told(Outcome::Overload, MILLISECOND)),
        (3, told(Outcome::Success, 320 * MILLISECOND)),
        (4, Sample { first_byte: None, total: Some(SECOND), ..told(Outcome::Ignored, 0) }),
    ]);
    let signals = health.signals(&rule(), at(5));
    assert!(near(signals.first_byte, 170 * MILLISECOND) && near(signals.total, SECOND), "{signals:?}");
}

#[test]
fn a_request_that_was_given_up_counts_only_if_it_was_slow() {
    let given_up = |waited| Sample { first_byte: None, total: Some(waited), ..told(Outcome::GivenUp, 0) };
    assert_eq!(Health::default().record(&rule(), &given_up(5 * SECOND - 1), at(0)), None);
    let signals = after([(0, given_up(5 * SECOND))]).signals(&rule(), at(0));
    assert_eq!(signals.counts, Counts { requests: 1, errors: 0, slow: 1, overloads: 0 });
    assert_eq!((signals.shares.slow, signals.total), (1_000_000, 0));
}

#[test]
fn the_trouble_of_one_client_does_not_count_by_address_or_by_key() {
    let failed = told(Outcome::Failure, 1);
    let well = told(Outcome::Success, 1);
    let errors = |samples: &[Sample]| {
        after(samples.iter().map(|sample| (0, *sample))).signals(&rule(), at(0)).shares.errors
    };
    assert_eq!(errors(&[failed; 20]), 1_000_000, "a cluster of one client");
    let attacked = |attack: fn(u64) -> Who| {
        let attack = (0..200).map(|n| Sample { who: attack(n), ..failed });
        let honest = (0..20).map(|n| from(n % 4, n % 4, well));
        errors(&attack.chain(honest).collect::<Vec<_>>())
    };
    assert_eq!(attacked(|_| Who { address: 99, key: 99 }), 0);
    assert_eq!(attacked(|n| Who { address: 99, key: 1_000 + n }), 0, "made-up keys of one address");
    assert_eq!(attacked(|n| Who { address: 1_000 + n, key: 99 }), 0, "one key from many addresses");
    assert!(attacked(|n| Who { address: 1_000 + n, key: 1_000 + n }) > 500_000, "many clients");
}

#[test]
fn the_request_rate_is_that_of_the_time_covered() {
    let health = after((0..200).map(|n| (n * SECOND / 10, told(Outcome::Success, 1))));
    let signals = health.signals(&rule(), at(20 * SECOND - 1));
    assert_eq!((signals.counts.requests, signals.request_rate()), (100, 10_000));
}

#[test]
fn a_cluster_that_becomes_slow_is_out_of_the_ordinary_until_nothing_is_asked_of_it() {
    let usual = (0..300).map(|n| (n * SECOND / 10, told(Outcome::Success, (90 + n % 20) * MILLISECOND)));
    let slow = (300..340).map(|n| (n * SECOND / 10, told(Outcome::Success, 2_000 * MILLISECOND)));
    assert_eq!(after(usual.clone()).signals(&rule(), at(30 * SECOND)).anomalous, 0);
    let health = after(usual.chain(slow));
    assert_eq!(health.signals(&rule(), at(34 * SECOND)).anomalous, 3);
    assert_eq!(health.signals(&rule(), at(60 * SECOND)).anomalous, 0);
    let well = (340..360).map(|n| (n * SECOND / 10, told(Outcome::Success, 100 * MILLISECOND)));
    let recovered =
        well.fold(health, |health, (time, sample)| health.record(&rule(), &sample, at(time)).unwrap());
    assert_eq!(recovered.signals(&rule(), at(36 * SECOND)).anomalous, 0);
}

#[test]
fn a_lone_client_is_identified_by_address_by_key_or_by_both() {
    let alone = |whos: &[(u64, u64)]| {
        let samples = whos.iter().map(|(address, key)| (0, from(*address, *key, told(Outcome::Failure, 1))));
        after(samples).signals(&rule(), at(1)).alone
    };
    let who = |address, key| Some(Who { address, key });
    assert_eq!((alone(&[]), alone(&[(7, 8), (7, 8)])), (None, who(7, 8)));
    assert_eq!((alone(&[(7, 8), (7, 9)]), alone(&[(6, 8), (7, 8)])), (who(7, 0), who(0, 8)));
    assert_eq!(alone(&[(6, 8), (7, 9)]), None);
}

#[test]
fn a_cluster_that_becomes_fast_is_not_out_of_the_ordinary() {
    let usual = (0..300).map(|n| (n * SECOND / 10, told(Outcome::Success, (90 + n % 20) * MILLISECOND)));
    let fast = (300..340).map(|n| (n * SECOND / 10, told(Outcome::Success, MILLISECOND)));
    assert_eq!(after(usual.chain(fast)).signals(&rule(), at(34 * SECOND)).anomalous, 0);
}

#[test]
fn a_success_that_broke_leaves_the_mean_to_the_others() {
    let health = after([
        (0, told(Outcome::Success, 160 * MILLISECOND)),
        (1, told(Outcome::Success, 320 * MILLISECOND)),
        (2, told(Outcome::Broken, 320 * MILLISECOND)),
    ]);
    let signals = health.signals(&rule(), at(3));
    assert_eq!(signals.counts, Counts { requests: 2, errors: 1, slow: 0, overloads: 0 });
    assert!(near(health.by_key.newest(0).unwrap(), 160 * MILLISECOND));
}

#[test]
fn one_odd_answer_among_many_is_not_out_of_the_ordinary() {
    let usual = |n: u64| (n * SECOND / 100, told(Outcome::Success, (50 + n * 37 % 100) * MILLISECOND));
    let odd = (30 * SECOND, told(Outcome::Success, 400 * MILLISECOND));
    let health = after((0..3_000).map(usual).chain([odd]).chain((3_001..3_200).map(usual)));
    assert_eq!(health.signals(&rule(), at(32 * SECOND)).anomalous, 0);
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    use Outcome::{Failure, Ignored, Overload, Success};
    prop::sample::select(vec![Success, Failure, Overload, Ignored])
}

proptest! {
    #[test]
    fn the_signals_are_those_of_the_samples_in_the_window(
        samples in prop::collection::vec((0..3 * SECOND, outcomes(), 0..10 * SECOND), 1..100),
    ) {
        let (mut health, mut now, mut all) = (Health::default(), 0, Vec::new());
        for (gap, outcome, first_byte) in samples {
            now += gap;
            health = health.record(&rule(), &told(outcome, first_byte), at(now)).unwrap_or(health);
            all.push((now, outcome, first_byte));
            let recent = || all.iter().filter(|(time, outcome, _)| {
                time / SECOND + 10 > now / SECOND && *outcome != Outcome::Ignored
            });
            let counts = health.signals(&rule(), at(now)).counts;
            let of = |kind| recent().filter(|(_, outcome, _)| *outcome == kind).count();
            prop_assert_eq!(counts.requests as usize, recent().count());
            prop_assert_eq!(counts.errors as usize, of(Outcome::Failure));
            prop_assert_eq!(counts.overloads as usize, of(Outcome::Overload));
            let slow = recent().filter(|(_, _, first_byte)| *first_byte >= 5 * SECOND).count();
            prop_assert_eq!(counts.slow as usize, slow);
        }
    }

    #[test]
    fn a_success_that_broke_is_one_failure_and_no_success(
        told_before in prop::collection::vec((0..SECOND / 2, 1..2 * SECOND, any::<bool>()), 1..20),
    ) {
        let (mut broke, mut failed, mut now) = (Health::default(), Health::default(), 0);
        let mut begun = Vec::new();
        for (gap, first_byte, breaks) in told_before {
            now += gap;
            let outcome = if breaks { Outcome::Failure } else { Outcome::Success };
            broke = broke.record(&rule(), &told(Outcome::Success, first_byte), at(now)).unwrap();
            failed = failed.record(&rule(), &told(outcome, first_byte), at(now)).unwrap();
            begun.extend(breaks.then_some((now, first_byte)));
        }
        for (then, first_byte) in begun {
            if rule().holds(at(then), at(now)) {
                broke = broke.record(&rule(), &told(Outcome::Broken, first_byte), at(now)).unwrap();
            }
        }
        let (broke, failed) = (broke.signals(&rule(), at(now)), failed.signals(&rule(), at(now)));
        prop_assert_eq!(broke.counts, failed.counts);
        prop_assert_eq!(broke.shares, failed.shares);
    }

    #[test]
    fn a_sample_is_held_exactly_while_it_is_in_the_window(then in 0..30 * SECOND, later in 0..30 * SECOND) {
        let now = at(then + later);
        let health = after([(then, told(Outcome::Success, 1))]);
        let is_there = health.signals(&rule(), now).counts.requests == 1;
        prop_assert_eq!(rule().holds(at(then), now), is_there);
    }

    #[test]
    fn any_bytes_are_a_record(bytes: Vec<u8>, outcome in outcomes(), first_byte: u64, total: u64, now: u64) {
        let health = Health::from_bytes(&bytes);
        let signals = health.signals(&rule(), at(now));
        signals.request_rate();
        let sample = Sample { total: Some(total), ..told(outcome, first_byte) };
        let next = health.record(&rule(), &sample, at(now)).unwrap();
        prop_assert_eq!(Health::from_bytes(&next.to_bytes()), next);
    }

    #[test]
    fn a_record_survives_a_round_trip(samples in prop::collection::vec((0..SECOND, 0..9 * SECOND), 0..50)) {
        let mut now = 0;
        let health = after(samples.into_iter().map(|(gap, first_byte)| {
            now += gap;
            (now, told(Outcome::Success, first_byte))
        }));
        prop_assert_eq!(health.to_bytes().len(), BYTES);
        prop_assert_eq!(Health::from_bytes(&health.to_bytes()), health);
    }
}
