#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::timestamp::SECOND;
use proptest::prelude::*;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn rule() -> HeadRule {
    HeadRule::within(Duration::from_secs(10)).unwrap().paced(50, Duration::from_secs(2)).unwrap()
}

fn head(since: u64, first: Option<u64>, bytes: u64) -> Progress {
    Progress { since: at(since), paced_since: first.map(at), bytes }
}

#[test]
fn an_unenforceable_rule_cannot_be_built() {
    assert_eq!(HeadRule::within(Duration::ZERO), Err(InvalidHeadRule::ZeroTimeout));
    let rule = HeadRule::within(Duration::from_secs(10)).unwrap();
    assert_eq!(rule.paced(0, Duration::ZERO), Err(InvalidHeadRule::ZeroRate));
    assert_eq!(rule.paced(50, Duration::from_secs(10)), Err(InvalidHeadRule::GraceNotShorter));
    assert!(rule.paced(50, Duration::from_nanos(10 * SECOND - 1)).is_ok());
}

#[test]
fn a_head_is_too_late_at_its_deadline_and_not_a_nanosecond_earlier() {
    let much = head(7, Some(7), 1 << 20);
    assert_eq!(rule().judge(much, at(7)), Ok(at(10 * SECOND + 7)));
    assert_eq!(rule().judge(much, at(10 * SECOND + 6)), Ok(at(10 * SECOND + 7)));
    assert_eq!(rule().judge(much, at(10 * SECOND + 7)), Err(TooSlow::Timeout));
}

#[test]
fn a_head_below_the_rate_is_cut_when_its_grace_ends_and_not_a_nanosecond_earlier() {
    let little = head(0, Some(0), 99);
    assert_eq!(rule().judge(little, at(2 * SECOND - 1)), Ok(at(2 * SECOND)));
    assert_eq!(rule().judge(little, at(2 * SECOND)), Err(TooSlow::Rate));
}

#[test]
fn a_head_at_exactly_the_rate_is_accepted_and_too_slow_a_nanosecond_later() {
    let enough = head(0, Some(0), 250);
    assert_eq!(rule().judge(enough, at(5 * SECOND)), Ok(at(5 * SECOND + 1)));
    assert_eq!(rule().judge(enough, at(5 * SECOND + 1)), Err(TooSlow::Rate));
}

#[test]
fn a_head_that_catches_up_with_the_rate_is_accepted_again() {
    assert_eq!(rule().judge(head(0, Some(0), 100), at(4 * SECOND)), Err(TooSlow::Rate));
    assert_eq!(rule().judge(head(0, Some(0), 200), at(4 * SECOND)), Ok(at(4 * SECOND + 1)));
}

#[test]
fn a_silent_connection_has_its_whole_timeout_and_its_rate_starts_with_its_first_byte() {
    assert_eq!(rule().judge(head(0, None, 0), at(9 * SECOND)), Ok(at(10 * SECOND)));
    assert_eq!(rule().judge(head(0, None, 0), at(10 * SECOND)), Err(TooSlow::Timeout));
    assert_eq!(rule().judge(head(0, Some(5 * SECOND), 1), at(6 * SECOND)), Ok(at(7 * SECOND)));
    assert_eq!(rule().judge(head(0, Some(9 * SECOND), 1), at(9 * SECOND)), Ok(at(10 * SECOND)));
}

#[test]
fn the_limit_that_was_exceeded_first_is_named_however_late_the_check() {
    assert_eq!(rule().judge(head(0, Some(0), 99), at(60 * SECOND)), Err(TooSlow::Rate));
    assert_eq!(rule().judge(head(0, Some(0), 500), at(60 * SECOND)), Err(TooSlow::Timeout));
}

#[test]
fn a_rule_without_a_rate_has_a_deadline_only() {
    let rule = HeadRule::within(Duration::from_secs(10)).unwrap();
    assert_eq!(rule.judge(head(0, Some(0), 1), at(9 * SECOND)), Ok(at(10 * SECOND)));
}

proptest! {
    #[test]
    fn the_next_check_is_the_first_instant_at_which_the_head_is_too_slow(
        timeout in 1_u64..100 * SECOND, rate in 1_u64..1_000_000, grace in 0.0_f64..1.0,
        since in 0_u64..u64::MAX / 4, first in prop::option::of(0_u64..20 * SECOND), bytes in 0_u64..100_000,
        wait in 0_u64..100 * SECOND,
    ) {
        let grace = (timeout as f64 * grace) as u64;
        let rule = HeadRule::within(Duration::from_nanos(timeout)).unwrap();
        let rule = rule.paced(rate, Duration::from_nanos(grace)).unwrap();
        let head = head(since, first.map(|first| since + first), bytes);
        let slow = |now: u64| {
            let paced = head.paced_since.map(|first| now.saturating_sub(first.as_nanos()));
            let lacking = |age: u64| {
                u128::from(bytes) * u128::from(SECOND) < u128::from(rate) * u128::from(age) && age >= grace
            };
            now >= since + timeout || paced.is_some_and(lacking)
        };
        match rule.judge(head, at(since + wait)) {
            Ok(next) => {
                prop_assert!(!slow(since + wait));
                prop_assert!(next > at(since + wait));
                prop_assert!(slow(next.as_nanos()) && !slow(next.as_nanos() - 1));
            }
            Err(_) => prop_assert!(slow(since + wait)),
        }
    }

    #[test]
    fn no_values_overflow(timeout: u64, rate: u64, grace: u64, since: u64, first: u64, bytes: u64, now: u64) {
        let rule = HeadRule::within(Duration::from_nanos(timeout));
        if let Ok(rule) = rule.and_then(|rule| rule.paced(rate, Duration::from_nanos(grace))) {
            let _ = rule.judge(head(since, Some(first), bytes), at(now));
        }
    }
}
