#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000 * MILLISECOND;
const WORKERS: usize = 4;

fn hints(base: u64, max: u64, attempts: u32) -> Hints {
    Hints::new(Duration::from_nanos(base), Duration::from_nanos(max), attempts).unwrap()
}

fn usual() -> Hints {
    hints(SECOND, 60 * SECOND, 3)
}

/// When clients come back who were refused at `times`, each by a worker.
fn arrivals(
    hints: Hints,
    times: &[(u64, usize)],
    seeds: [u64; WORKERS],
    attempt: u32,
    asked: Option<u64>,
) -> Vec<u64> {
    let mut crowds = seeds.map(Crowd::new);
    let told = times.iter().map(|(time, worker)| {
        let hint = hints.hint(&mut crowds[*worker], attempt, asked, Timestamp::from_nanos(*time));
        assert!(hint.should_retry);
        time + hint.wait
    });
    let mut arrivals: Vec<_> = told.collect();
    arrivals.sort_unstable();
    arrivals
}

/// The most that come in 100 ms, wherever those begin, and the mean from the first to the last.
fn peak_and_mean(arrivals: &[u64]) -> (usize, f64) {
    let slot = 100 * MILLISECOND;
    let in_slot =
        |begin: usize| arrivals[begin..].iter().take_while(|time| **time < arrivals[begin] + slot).count();
    let peak = (0..arrivals.len()).map(in_slot).max().unwrap();
    let slots = (arrivals.last().unwrap() - arrivals[0]) as f64 / slot as f64;
    (peak, arrivals.len() as f64 / slots)
}

#[test]
fn what_cannot_be_told_cannot_be_built() {
    let new = |base, max, attempts| {
        Hints::new(Duration::from_millis(base), Duration::from_millis(max), attempts).map(|_| ())
    };
    assert_eq!(new(1, 60_001, 3), Err(InvalidHints::Max));
    assert_eq!(new(0, 60_000, 3), Err(InvalidHints::Base));
    assert_eq!(new(2_001, 2_000, 3), Err(InvalidHints::Base));
    assert_eq!(new(1, 2_000, 0), Err(InvalidHints::Attempts));
    assert_eq!(new(2_000, 2_000, 100), Ok(()));
}

#[test]
fn the_wait_doubles_with_each_attempt_up_to_the_longest() {
    let hints = hints(SECOND, 10 * SECOND, 100);
    for (attempt, ceiling) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 10), (63, 10), (64, 10), (98, 10)] {
        let mut crowd = Crowd::new(7);
        let alone = |n: u64| hints.hint(&mut crowd, attempt, None, Timestamp::from_nanos(n * SECOND)).wait;
        let waits: Vec<_> = (1..1_000).map(alone).collect();
        assert!(waits.iter().all(|wait| *wait <= ceiling * SECOND));
        assert!(waits.iter().any(|wait| *wait > ceiling * SECOND * 99 / 100), "attempt {attempt}");
        assert!(waits.iter().any(|wait| *wait < ceiling * SECOND / 100), "attempt {attempt}");
    }
}

#[test]
fn the_last_attempt_means_stop() {
    let mut crowd = Crowd::new(1);
    let retry = |attempt| usual().hint(&mut crowd, attempt, None, Timestamp::default()).should_retry;
    assert_eq!([0, 1, 2, 3, u32::MAX].map(retry), [true, true, false, false, false]);
}

#[test]
fn what_the_upstream_asks_is_kept_within_the_longest_wait_and_means_stop_beyond() {
    let hints = hints(SECOND, 20 * SECOND, 3);
    let mut crowd = Crowd::new(1);
    let mut hint = |asked| hints.hint(&mut crowd, 0, Some(asked), Timestamp::default());
    let kept = hint(15 * SECOND);
    assert!(kept.should_retry && (15 * SECOND..=20 * SECOND).contains(&kept.wait));
    assert_eq!(hint(20 * SECOND), Hint { wait: 20 * SECOND, should_retry: true });
    assert_eq!(hint(20 * SECOND + 1), Hint { wait: 20 * SECOND + 1, should_retry: false });
    assert_eq!(hint(MAX_ASKED), Hint { wait: MAX_ASKED, should_retry: false });
}

#[test]
fn those_who_are_told_to_stop_push_nobody_back() {
    let mut crowd = Crowd::new(1);
    for _ in 0..1_000 {
        usual().hint(&mut crowd, 2, None, Timestamp::default());
    }
    assert!(usual().hint(&mut crowd, 0, None, Timestamp::default()).wait <= SECOND);
}

#[test]
fn a_flood_that_heeds_nothing_pushes_nobody_further_than_a_round() {
    let mut crowd = Crowd::new(1);
    for _ in 0..100_000 {
        assert!(usual().hint(&mut crowd, 0, None, Timestamp::default()).wait <= 11 * SECOND);
    }
}

#[test]
fn a_crowd_larger_than_a_round_is_spread_as_evenly() {
    let times: Vec<_> = (0..20_000).map(|n| (n * SECOND / 20_000, n as usize % WORKERS)).collect();
    let (peak, mean) = peak_and_mean(&arrivals(usual(), &times, [1, 2, 3, 4], 0, None));
    assert!((peak as f64) < 2.0 * mean, "{peak} in 100 ms, {mean} on average");
}

#[test]
fn a_thousand_clients_refused_in_one_second_do_not_come_back_in_one() {
    let times: Vec<_> = (0..1_000).map(|n| (n * MILLISECOND, n as usize % WORKERS)).collect();
    let arrivals = arrivals(usual(), &times, [1, 2, 3, 4], 0, None);
    let in_second =
        |begin: u64| arrivals.iter().filter(|time| (begin..begin + SECOND).contains(*time)).count();
    let most = arrivals.iter().map(|begin| in_second(*begin)).max().unwrap();
    assert!(most < 500, "{most}");
}

proptest! {
    #[test]
    fn of_a_thousand_clients_refused_in_one_second_no_slot_has_more_than_three_times_the_mean(
        times in prop::collection::vec((0..SECOND, 0..WORKERS), 1_000), seeds: [u64; WORKERS],
        attempt in 0_u32..3, within in prop_oneof![Just(1), Just(SECOND / 10), Just(SECOND)],
        workers in 1..=WORKERS, asked in prop::option::of(1..50 * SECOND),
        base in prop_oneof![Just(SECOND), SECOND / 100..2 * SECOND],
    ) {
        let mut times: Vec<_> = times.iter().map(|(time, worker)| (time % within, worker % workers)).collect();
        times.sort_unstable();
        let hints = hints(base, 60 * SECOND, 4);
        let (peak, mean) = peak_and_mean(&arrivals(hints, &times, seeds, attempt, asked));
        prop_assert!(peak as f64 <= 3.0 * mean, "{peak} in 100 ms, {mean} on average");
    }

    #[test]
    fn a_hint_is_never_zero_never_shorter_than_asked_and_never_an_invitation_past_the_longest(
        base in MILLISECOND..60 * SECOND, more in 0..60 * SECOND, attempts in 1_u32..=100,
        calls in prop::collection::vec((any::<u32>(), prop::option::of(any::<u64>()), any::<u64>()), 1..50), seed: u64,
    ) {
        let max = (base + more).min(60 * SECOND);
        let (hints, mut crowd) = (hints(base, max, attempts), Crowd::new(seed));
        for (attempt, asked, now) in calls {
            let attempt = attempt >> (now % 32);
            let hint = hints.hint(&mut crowd, attempt, asked, Timestamp::from_nanos(now));
            prop_assert!(hint.wait >= MILLISECOND.max(asked.unwrap_or(0)));
            prop_assert!(!hint.should_retry || (hint.wait <= max && attempt + 1 < attempts));
        }
    }
}
