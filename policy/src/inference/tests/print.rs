//! Fingerprints are equal if and only if the requests are.

use super::*;

fn print(body: &str, sizes: &[usize]) -> (Fingerprint, bool) {
    let scanner = Scanner::new(127).with_fingerprint(Fingerprinter::new([7; 16]));
    let (scanner, _) = scan_with(scanner, body.as_bytes(), sizes).unwrap();
    (scanner.fingerprint().unwrap(), scanner.facts().repeated_key)
}

fn alike(one: &str, other: &str) -> bool {
    print(one, &[usize::MAX]).0 == print(other, &[1]).0
}

proptest! {
    #[test]
    fn order_white_space_and_spelling_make_no_difference(
        json in prop_oneof![request(), wild()], styles: [u64; 2], sizes in sizes(),
    ) {
        let [one, other] = styles.map(|style| written::as_text(&json, style));
        prop_assert_eq!(print(&one, &[usize::MAX]), print(&other, &sizes));
    }

    #[test]
    fn different_values_have_different_prints(jsons in [wild(), wild()], style: u64) {
        let [one, other] = jsons.each_ref().map(|json| written::as_text(json, style));
        prop_assert_eq!(alike(&one, &other), jsons[0] == jsons[1]);
    }

    #[test]
    fn one_change_changes_the_print(json in request(), style: u64, change: prop::sample::Index, digit in "[0-9a]") {
        let body = written::as_text(&json, style);
        let mut changed: Vec<_> = body.chars().collect();
        let at = change.index(changed.len());
        changed[at] = digit.chars().next().unwrap();
        let changed: String = changed.into_iter().collect();
        let Ok(other) = serde_json::from_str::<Json>(&changed) else { return Ok(()) };
        prop_assume!(!print(&changed, &[usize::MAX]).1);
        prop_assert_eq!(alike(&body, &changed), json == other, "{} {}", body, changed);
    }
}

#[test]
fn different_nesting_makes_a_different_print() {
    let bodies = [
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "[1,2]",
        "[12]",
        "[[1],2]",
        "[[1,2]]",
        "\"\"",
        "[\"\"]",
        "{\"\":1}",
        "\"1\"",
        "1",
        "1.0",
        "[\"a\",\"b\"]",
        "[\"b\",\"a\"]",
        "[\"ab\"]",
        "{\"a\":{\"b\":1}}",
        "{\"b\":{\"a\":1}}",
        "{\"a\":1,\"b\":2}",
        "{\"a\":2,\"b\":1}",
        "{\"a\":\"b\"}",
        "{\"b\":\"a\"}",
        "{\"ab\":\"\"}",
        "{\"a\":[]}",
        "{\"a\":null}",
        "null",
        "true",
        "[true]",
        "\"t\"",
        "\"[\"",
        "[{\"a\":1},{\"b\":1}]",
        "[{\"a\":1,\"b\":1}]",
        "[{\"b\":1},{\"a\":1}]",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":2,\"a\":1}",
    ];
    for (index, one) in bodies.iter().enumerate() {
        for (other_index, other) in bodies.iter().enumerate() {
            assert_eq!(alike(one, other), index == other_index, "{one} {other}");
        }
    }
}

#[test]
fn the_order_of_members_with_the_same_key_counts() {
    let (first, repeated) = print(r#"{"x":{"a":1,"b":0,"a":2}}"#, &[3]);
    assert!(repeated);
    assert_ne!(first, print(r#"{"x":{"a":2,"b":0,"a":1}}"#, &[3]).0);
    assert!(!print(r#"{"a":{"a":1},"b":{"a":1}}"#, &[3]).1);
    let many = |last: &str| {
        let members: Vec<_> = (0..100).map(|n| format!("\"{n}\":0")).collect();
        print(&format!("{{{},{last}}}", members.join(",")), &[usize::MAX]).0
    };
    assert_ne!(many(r#""a":1,"a":2"#), many(r#""a":2,"a":1"#));
}

#[test]
fn there_is_no_fingerprint_before_the_request_is_complete() {
    let mut scanner = Scanner::new(9).with_fingerprint(Fingerprinter::new([7; 16]));
    scanner.feed(b"{}", &mut ()).unwrap();
    assert_eq!(scanner.fingerprint(), None);
    scanner.finish(&mut ()).unwrap();
    assert!(scanner.fingerprint().is_some());
}
