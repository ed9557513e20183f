#![allow(clippy::arithmetic_side_effects)]
use super::*;
use proptest::prelude::*;

fn request(cache_control: &[&str], pragma: &[&str]) -> RequestControl {
    let bytes = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
    let (control, pragma) = (bytes(cache_control), bytes(pragma));
    RequestControl::read(control.iter().map(Vec::as_slice), pragma.iter().map(Vec::as_slice))
}

fn response(cache_control: &str) -> ResponseControl {
    ResponseControl::read(core::iter::once(cache_control.as_bytes()))
}

const BEGIN: Timestamp = Timestamp::from_nanos(0);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds.saturating_mul(SECOND))
}

fn fresh(cache_control: &str, shared: bool, dated: Dated<'_>) -> Option<u32> {
    response(cache_control).lifetime(shared, dated, BEGIN).fresh
}

/// Returns true if a response stored at 0 for at most 100 s is reused after this many seconds.
fn gives(asked: &str, said: &str, after: u64, failing: bool) -> bool {
    let lifetime = response(said).lifetime(false, Dated::default(), BEGIN);
    request(&[asked], &[]).allows(&lifetime, 100 * SECOND, at(after), failing)
}

#[test]
fn directives_are_read_in_every_spelling() {
    for values in [
        &["no-store"][..],
        &["No-Store"],
        &["no-cache , no-store"],
        &["private,no-store ,max-age=0"],
        &["no-store=1"],
        &["x=\"a,b\",no-store"],
        &["x=\"a\\\",b\", no-store"],
        &["x=\"a, no-store"],
        &["max-age=1", "no-store"],
    ] {
        assert!(request(values, &[]).no_store, "{values:?}");
    }
    for values in
        [&[][..], &[""], &["no-storey"], &["x=no-store"], &["x=\"a, no-store\""], &["x=\"\\\", no-store\""]]
    {
        assert_eq!(request(values, &[]), RequestControl::default(), "{values:?}");
    }
}

#[test]
fn times_are_whole_seconds_and_unreadable_ones_have_expired() {
    let max_age = |text: &str| response(&format!("max-age{text}")).max_age;
    for (text, expected) in [
        ("=5", 5),
        ("=\"5\"", 5),
        (" = 5 ", 5),
        ("=005", 5),
        ("=99999999999999999999", u32::MAX),
        ("=-1", 0),
        ("=5.5", 0),
        ("", 0),
        ("=", 0),
        ("=9, max-age=5", 5),
    ] {
        assert_eq!(max_age(text), Some(expected), "{text}");
    }
}

#[test]
fn pragma_counts_only_where_there_is_no_cache_control() {
    assert!(request(&[], &["No-Cache"]).no_cache);
    assert!(!request(&["max-age=5"], &["no-cache"]).no_cache);
    assert!(!request(&[], &["x-no-cache"]).no_cache);
}

#[test]
fn permission_to_store_depends_on_who_may_reuse() {
    for (control, client, shared, shared_if_authorized) in [
        ("", true, true, false),
        ("no-store", false, false, false),
        ("no-cache", false, false, false),
        ("no-cache=\"set-cookie\"", false, false, false),
        ("private", true, false, false),
        ("private, public", true, false, false),
        ("private=\"x-user\"", true, false, false),
        ("public", true, true, true),
        ("must-revalidate", true, true, true),
        ("s-maxage=5", true, true, true),
        ("max-age=5", true, true, false),
        ("no-transform, immutable, x-y=z", true, true, false),
    ] {
        let control_of = response(control);
        let allowed = [
            control_of.allows_keeping(false, true),
            control_of.allows_keeping(true, false),
            control_of.allows_keeping(true, true),
        ];
        assert_eq!(allowed, [client, shared, shared_if_authorized], "{control}");
    }
}

#[test]
fn freshness_comes_from_the_first_of_three_sources_and_counts_from_creation() {
    let none = Dated::default();
    let came_old = |age: &'static [u8]| Dated { age: Some(age), ..none };
    for (control, shared, dated, expected) in [
        ("", false, none, None),
        ("max-age=60, s-maxage=5", false, none, Some(60)),
        ("max-age=60, s-maxage=5", true, none, Some(5)),
        ("max-age=60", false, came_old(b"58, 3"), Some(2)),
        ("max-age=60", false, came_old(b"60"), Some(0)),
        ("max-age=60", false, came_old(b"61"), Some(0)),
        ("max-age=60", false, came_old(b"-1"), Some(60)),
        ("max-age=0", false, none, Some(0)),
    ] {
        assert_eq!(fresh(control, shared, dated), expected, "{control} {dated:?}");
    }
    let dated = |expires: &'static str| Dated {
        date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        expires: Some(expires.as_bytes()),
        age: None,
    };
    let later = dated("Sun, 06 Nov 1994 08:50:07 GMT");
    assert_eq!((fresh("", false, later), fresh("max-age=9", false, later)), (Some(30), Some(9)));
    for past in ["0", "-1", "", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1993 08:49:37 GMT"] {
        assert_eq!(fresh("", false, dated(past)), Some(0), "{past}");
    }
    assert_eq!(fresh("", false, Dated { date: None, ..later }), Some(0));
}

#[test]
fn staleness_and_age_are_exact_to_the_nanosecond() {
    let lifetime =
        response("max-age=5").lifetime(false, Dated { age: Some(b"2"), ..Dated::default() }, at(7));
    let just_before = Timestamp::from_nanos(10 * SECOND - 1);
    assert!(!lifetime.is_over(just_before) && lifetime.is_over(at(10)));
    assert_eq!((lifetime.age(just_before), lifetime.age(at(10))), (5 * SECOND - 1, 5 * SECOND));
    assert!(!response("").lifetime(false, Dated::default(), BEGIN).is_over(at(u64::MAX)));
}

#[test]
fn a_stale_response_is_reused_only_with_permission() {
    for (said, after, well, failing) in [
        ("", 100, true, true),
        ("max-age=10", 10, true, true),
        ("max-age=10", 11, false, false),
        ("max-age=10, stale-if-error=5", 15, false, true),
        ("max-age=10, stale-if-error=5", 16, false, false),
        ("max-age=10, stale-if-error=5, must-revalidate", 11, false, false),
    ] {
        assert_eq!((gives("", said, after, false), gives("", said, after, true)), (well, failing), "{said}");
    }
}

#[test]
fn a_request_gets_no_response_older_than_it_accepts() {
    for (asked, said, after, given) in [
        ("no-store", "", 0, false),
        ("no-cache", "", 0, false),
        ("max-age=0", "", 0, false),
        ("max-age=5", "", 5, true),
        ("max-age=5", "", 6, false),
        ("max-age=5, max-stale=2", "", 7, true),
        ("max-age=5, max-stale=2", "", 8, false),
        ("max-age=50", "max-age=10, stale-if-error=50", 11, false),
        ("max-stale", "max-age=10", 99, true),
        ("max-stale=3", "max-age=10", 13, true),
        ("max-stale=3", "max-age=10, stale-if-error=50", 14, false),
        ("max-stale", "max-age=10, must-revalidate", 11, false),
        ("min-fresh=5", "max-age=10", 5, true),
        ("min-fresh=5", "max-age=10", 6, false),
        ("min-fresh=5", "", 95, true),
        ("min-fresh=5", "", 96, false),
        ("min-fresh=x", "", 96, true),
        ("only-if-cached", "", 96, true),
    ] {
        assert_eq!(gives(asked, said, after, true), given, "{asked} | {said} | {after}");
    }
}

#[test]
fn the_duty_to_revalidate_depends_on_who_may_reuse() {
    let strict = |control: &str, shared| response(control).lifetime(shared, Dated::default(), BEGIN).strict;
    for (control, client, shared) in [
        ("max-age=5", false, false),
        ("max-age=5, must-revalidate", true, true),
        ("max-age=5, proxy-revalidate", false, true),
        ("s-maxage=5", false, true),
    ] {
        assert_eq!((strict(control, false), strict(control, true)), (client, shared), "{control}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(values: Vec<Vec<u8>>, age: Vec<u8>, expires: Vec<u8>, elapsed: u64) {
        let all = || values.iter().map(Vec::as_slice);
        RequestControl::read(all(), all());
        let dated = Dated { date: Some(&expires), expires: Some(&expires), age: Some(&age) };
        ResponseControl::read(all()).lifetime(true, dated, BEGIN).is_over(Timestamp::from_nanos(elapsed));
    }

    #[test]
    fn a_directive_within_quotes_is_ignored(text in "[a-z,= -]{0,20}") {
        let value = format!("x=\"{text}, no-store, {text}\", max-age=7");
        let control = response(&value);
        prop_assert!(!control.no_store && control.max_age == Some(7));
    }
}
