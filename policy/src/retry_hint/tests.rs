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

/// A refused client: the time, the worker, and the random number drawn.
type Refused = (u64, usize, u64);

/// Returns the times at which clients come back.
fn arrivals(hints: Hints, refused: &[Refused], attempt: u32, asked: Option<u64>) -> Vec<u64> {
    let mut crowds = [Crowd::default(); WORKERS];
    let told = refused.iter().map(|(time, worker, random)| {
        let hint = hints.hint(&mut crowds[*worker], attempt, asked, Timestamp::from_nanos(*time), *random);
        assert!(hint.should_retry);
        time + hint.wait
    });
    let mut arrivals: Vec<_> = told.collect();
    arrivals.sort_unstable();
    arrivals
}

/// Returns this many clients that are refused one after the other within a second, with random numbers of SplitMix64.
fn refused_in_one_second(count: u64) -> Vec<Refused> {
    (0..count).map(|n| (n * SECOND / count, n as usize % WORKERS, random(n))).collect()
}

fn random(n: u64) -> u64 {
    let mixed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// Returns the highest number of arrivals in any 100 ms, and the mean from the first to the last.
fn peak_and_mean(arrivals: &[u64]) -> (usize, f64) {
    let slot = 100 * MILLISECOND;
    let in_slot =
        |begin: usize| arrivals[begin..].iter().take_while(|time| **time < arrivals[begin] + slot).count();
    let peak = (0..arrivals.len()).map(in_slot).max().unwrap();
    let slots = (arrivals.last().unwrap() - arrivals[0]) as f64 / slot as f64;
    (peak, arrivals.len() as f64 / slots)
}

#[test]
fn hints_outside_their_ranges_cannot_be_built() {
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
        let alone =
            |random| hints.hint(&mut Crowd::default(), attempt, None, Timestamp::default(), random).wait;
        assert_eq!(alone(0), MILLISECOND);
        assert_eq!(alone(1 << 63), ceiling * SECOND / 2);
        assert_eq!(alone(u64::MAX), ceiling * SECOND - 1);
    }
}

#[test]
fn the_last_attempt_means_stop() {
    let mut crowd = Crowd::default();
    let mut retry = |attempt| usual().hint(&mut crowd, attempt, None, Timestamp::default(), 7).should_retry;
    assert_eq!([0, 1, 2, 3, u32::MAX].map(&mut retry), [true, true, false, false, false]);
}

#[test]
fn the_upstreams_wait_is_added_up_to_the_longest_wait_and_means_stop_beyond() {
    let hints = hints(SECOND, 20 * SECOND, 3);
    let hint = |asked, random| {
        let hint = hints.hint(&mut Crowd::default(), 0, Some(asked), Timestamp::default(), random);
        (hint.wait, hint.should_retry)
    };
    assert_eq!(hint(15 * SECOND, 1 << 63), (15 * SECOND + SECOND / 2, true));
    assert_eq!(hint(20 * SECOND, u64::MAX), (20 * SECOND, true));
    assert_eq!(hint(20 * SECOND + 1, 0), (20 * SECOND + 1, false));
    assert_eq!(hint(MAX_ASKED, 0), (MAX_ASKED, false));
}

#[test]
fn clients_that_should_stop_delay_no_others() {
    let mut crowd = Crowd::default();
    for _ in 0..1_000 {
        usual().hint(&mut crowd, 2, None, Timestamp::default(), 7);
    }
    assert!(usual().hint(&mut crowd, 0, None, Timestamp::default(), u64::MAX).wait < SECOND);
}

#[test]
fn a_flood_that_ignores_hints_delays_no_client_by_more_than_a_round() {
    let mut crowd = Crowd::default();
    for n in 0..100_000 {
        assert!(usual().hint(&mut crowd, 0, None, Timestamp::default(), random(n)).wait < ROUND);
    }
}

#[test]
fn a_queue_longer_than_a_round_is_spread_as_evenly() {
    let (peak, mean) = peak_and_mean(&arrivals(usual(), &refused_in_one_second(20_000), 0, None));
    assert!((peak as f64) < 1.5 * mean, "{peak} in 100 ms, {mean} on average");
}

#[test]
fn a_thousand_clients_refused_in_one_second_do_not_come_back_in_one() {
    let arrivals = arrivals(usual(), &refused_in_one_second(1_000), 0, None);
    let in_second =
        |begin: u64| arrivals.iter().filter(|time| (begin..begin + SECOND).contains(*time)).count();
    let most = arrivals.iter().map(|begin| in_second(*begin)).max().unwrap();
    assert!(most < 300, "{most}");
}

proptest! {
    #[test]
    fn a_thousand_clients_refused_in_one_second_come_back_at_most_at_three_times_the_mean_rate(
        refused in prop::collection::vec((0..SECOND, 0..WORKERS, any::<u64>()), 1_000),
        within in prop_oneof![Just(1), Just(SECOND / 10), Just(SECOND)], workers in 1..=WORKERS,
        attempt in 0_u32..3, asked in prop::option::of(1..50 * SECOND),
        base in prop_oneof![Just(SECOND), MILLISECOND..2 * SECOND],
    ) {
        let known = |(time, worker, random)| (time % within, worker % workers, random);
        let mut refused: Vec<_> = refused.into_iter().map(known).collect();
        refused.sort_unstable();
        let (peak, mean) = peak_and_mean(&arrivals(hints(base, 60 * SECOND, 4), &refused, attempt, asked));
        prop_assert!(peak as f64 <= 3.0 * mean, "{peak} in 100 ms, {mean} on average");
    }

    #[test]
    fn a_hint_is_never_zero_never_shorter_than_asked_and_never_an_invitation_past_the_longest(
        base in MILLISECOND..60 * SECOND, more in 0..60 * SECOND, attempts in 1_u32..=100,
        calls in prop::collection::vec((any::<u32>(), prop::option::of(any::<u64>()), any::<u64>(), any::<u64>()), 1..50),
    ) {
        let max = (base + more).min(60 * SECOND);
        let (hints, mut crowd) = (hints(base, max, attempts), Crowd::default());
        for (attempt, asked, now, random) in calls {
            let attempt = attempt >> (now % 32);
            let hint = hints.hint(&mut crowd, attempt, asked, Timestamp::from_nanos(now), random);
            prop_assert!(hint.wait >= MILLISECOND.max(asked.unwrap_or(0)));
            prop_assert!(!hint.should_retry || (hint.wait <= max && attempt + 1 < attempts));
        }
    }
}
