#![allow(clippy::arithmetic_side_effects)]

use super::*;
use proptest::prelude::*;

/// 2015-10-21T07:28:00Z.
const NOW: u64 = 1_445_412_480 * SECOND;

fn asks(headers: &[(&str, &str)]) -> Asked {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    asked(headers, Some(NOW)).expect("it has a clock")
}

fn seconds(headers: &[(&str, &str)]) -> Option<u64> {
    asks(headers).wait().map(|wait| wait.div_ceil(SECOND))
}

#[test]
fn milliseconds_and_seconds_are_read_whole_and_decimal() {
    for (name, value, wait) in [
        ("retry-after-ms", "300", 300 * MILLISECOND),
        ("retry-after-ms", "0.5", 500_000),
        ("retry-after", "5", 5 * SECOND),
        ("retry-after", " 1.25\t", 1_250 * MILLISECOND),
        ("retry-after", ".5", SECOND / 2),
        ("retry-after", "5.", 5 * SECOND),
        ("retry-after", "0.0000000019999", 1),
        ("retry-after", "99999999999999999999999999999999", MAX_ASKED),
        ("retry-after", "120s", 120 * SECOND),
    ] {
        assert_eq!(asks(&[(name, value)]), Asked::Wait(wait), "{value:?}");
    }
    assert_eq!(asks(&[("retry-after", "5"), ("retry-after-ms", "300")]), Asked::Wait(300 * MILLISECOND));
}

#[test]
fn a_date_is_relative_to_the_responses_own_or_else_to_the_clock() {
    let date = ("retry-after", "Wed, 21 Oct 2015 07:33:00 GMT");
    assert_eq!(seconds(&[date]), Some(300));
    assert_eq!(seconds(&[date, ("date", "Wed, 21 Oct 2015 07:32:40 GMT")]), Some(20));
    assert_eq!(seconds(&[("date", "yesterday"), date]), Some(300));
    assert_eq!(seconds(&[("retry-after", "2015-10-21T07:28:20Z")]), Some(20));
    assert_eq!(asks(&[("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT")]), Asked::Nothing);
    let without_clock = |headers: &[(&str, &str)]| {
        asked(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), None)
    };
    assert_eq!(without_clock(&[date]), None);
    assert_eq!(without_clock(&[("retry-after", "7")]), Some(Asked::Wait(7 * SECOND)));
    assert_eq!(
        without_clock(&[date, ("date", "Wed, 21 Oct 2015 07:32:40 GMT")]),
        Some(Asked::Wait(20 * SECOND))
    );
}

#[test]
fn an_absent_wait_is_distinguished_from_an_unreadable_one() {
    for value in ["", ".", "0", "0.0", "-1", "-0.5", "soon", "NaN", "inf"] {
        assert_eq!(asks(&[("retry-after", value)]), Asked::Nothing, "{value:?}");
        assert_eq!(seconds(&[("retry-after-ms", value), ("retry-after", "2")]), Some(2), "{value:?}");
    }
    for value in ["+1", "1e3", "0x1", "1 2", "1,2", "1.2.3", "2 minutes", "Wed, 21 Okt 2015 07:33:00 GMT"] {
        assert_eq!(asks(&[("retry-after", value)]), Asked::Unreadable, "{value:?}");
        assert_eq!(
            asks(&[("retry-after", value), ("x-ratelimit-reset", "5")]),
            Asked::Unreadable,
            "{value:?}"
        );
    }
    assert_eq!(seconds(&[("retry-after", "1e3"), ("retry-after", "7"), ("retry-after", "5")]), Some(7));
}

#[test]
fn an_exhausted_limit_asks_for_its_reset() {
    for (name, value, wait) in [
        ("x-ratelimit-reset-requests", "6m0s", 360),
        ("x-ratelimit-reset-requests", "120ms", 1),
        ("x-ratelimit-reset-tokens", "2m30s", 150),
        ("x-ratelimit-reset-tokens-minute", "45", 45),
        ("x-ratelimit-reset", "1445412525", 45),
        ("x-ratelimit-reset", "1445412525000", 45),
        ("ratelimit-reset", "30", 30),
        ("anthropic-ratelimit-requests-reset", "2015-10-21T07:28:45Z", 45),
        ("anthropic-ratelimit-input-tokens-reset", "2015-10-21T07:28:00.5Z", 1),
        ("ratelimit", "\"a\";r=5;t=90, \"b\";r=0;t=30", 30),
        ("ratelimit", "\"a\"; t=20", 20),
    ] {
        assert_eq!(seconds(&[(name, value)]), Some(wait), "{name}: {value}");
        assert_eq!(seconds(&[(name, value), ("retry-after", "7")]), Some(7), "{name}");
        assert_eq!(seconds(&[(name, value), ("retry-after", "0")]), Some(wait), "{name}");
    }
}

#[test]
fn a_limit_that_is_not_exhausted_asks_for_nothing() {
    for (reset, left) in [
        ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
        ("x-ratelimit-reset", "x-ratelimit-remaining"),
        ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ] {
        let value = "2015-10-21T07:28:45Z";
        assert_eq!(seconds(&[(reset, value), (left, "3")]), None, "{left}");
        assert_eq!(seconds(&[(left, "0"), (reset, value)]), Some(45), "{left}");
    }
    let other = [("x-ratelimit-reset-requests", "5s"), ("x-ratelimit-remaining-tokens", "3")];
    assert_eq!(seconds(&other), Some(5));
    assert_eq!(asks(&[("x-ratelimit-reset", "soon 5"), ("x-ratelimit-limit", "9")]), Asked::Nothing);
}

#[test]
fn of_several_limits_the_last_to_reset_counts() {
    let headers =
        [("x-ratelimit-reset-requests", "5s"), ("x-ratelimit-reset-tokens", "9s"), ("ratelimit-reset", "7")];
    assert_eq!(seconds(&headers), Some(9));
}

proptest! {
    #[test]
    fn every_number_of_milliseconds_comes_back(millis in 1..MAX_ASKED / MILLISECOND) {
        let wait = Asked::Wait(millis * MILLISECOND);
        let seconds = format!("{}.{:03}", millis / 1_000, millis % 1_000);
        prop_assert_eq!(asks(&[("retry-after", &seconds)]), wait);
        prop_assert_eq!(asks(&[("retry-after-ms", &millis.to_string())]), wait);
        let (minutes, rest) = (millis / 60_000, millis % 60_000);
        let text = format!("{minutes}m{}.{:03}s", rest / 1_000, rest % 1_000);
        prop_assert_eq!(asks(&[("x-ratelimit-reset-requests", &text)]), wait);
    }

    #[test]
    fn no_bytes_panic(value: Vec<u8>, written in "[0-9a-zµ.:;=\", -]{0,40}", now: u64) {
        let names = ["retry-after", "retry-after-ms", "date", "ratelimit", "x-ratelimit-reset", "anthropic-ratelimit--reset"];
        for value in [value.as_slice(), written.as_bytes()] {
            let headers = || names.iter().map(|name| (name.as_bytes(), value));
            let _ = asked(headers(), None);
            let wait = asked(headers(), Some(now)).expect("it has a clock").wait();
            prop_assert!(wait.is_none_or(|wait| (1..=MAX_ASKED).contains(&wait)));
            let _ = reset(value, now);
        }
    }
}
