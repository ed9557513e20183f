use super::*;
use proptest::prelude::*;

type Text<'a> = (&'a str, &'a [u8]);

fn judge<'a>(rules: &[Rule], texts: &[Text<'a>]) -> Verdict<'a> {
    Rules::new(rules.to_vec()).judge(|| texts.iter().map(|(name, value)| (name.as_bytes(), *value)))
}

fn found<'a>(check: Check, texts: &[Text<'a>]) -> Option<Found<'a>> {
    judge(&[Rule { check, shadow: false }], texts).refusal.map(|breach| breach.found)
}

fn names(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn is_repeated(name: &str, value: &str) -> bool {
    found(Check::Repeated(names(&[name])), &[(name, value.as_bytes())]).is_some()
}

#[test]
fn each_limit_admits_up_to_itself() {
    let texts: [Text; 3] = [("a", b"123"), ("bb", b""), ("c", b"12345")];
    assert_eq!(found(Check::Count(3), &texts), None);
    assert_eq!(found(Check::Count(2), &texts), Some(Found::Count(3)));
    assert_eq!(found(Check::Total(12), &texts), None);
    assert_eq!(found(Check::Total(11), &texts), Some(Found::Total(12)));
    let value = |max| Check::Value { max, except: vec![] };
    assert_eq!(found(value(5), &texts), None);
    assert_eq!(found(value(4), &texts), Some(Found::Value { name: b"c", size: 5 }));
    let field = |max| Check::Field { name: b"a".to_vec(), max };
    assert_eq!(found(field(3), &texts), None);
    assert_eq!(found(field(2), &texts), Some(Found::Value { name: b"a", size: 3 }));
}

#[test]
fn a_field_with_its_own_limit_is_exempt_from_the_general_one() {
    let check = Check::Value { max: 2, except: names(&["cookie"]) };
    assert_eq!(found(check.clone(), &[("cookie", b"long")]), None);
    assert_eq!(found(check, &[("a", b"long")]), Some(Found::Value { name: b"a", size: 4 }));
}

#[test]
fn pseudo_headers_the_host_and_envoys_additions_do_not_count() {
    let free: [Text; 10] = [
        (":path", &[b'/'; 900]),
        (":method", b"GET"),
        (":authority", b"a"),
        (":scheme", b"https"),
        ("host", b"a"),
        ("x-forwarded-for", b"192.0.2.1"),
        ("x-forwarded-proto", b"http"),
        ("x-request-id", b"4ff22983-641a-4d66-be12-a13321386804"),
        ("x-envoy-internal", b"true"),
        ("x-envoy-external-address", b"192.0.2.1"),
    ];
    assert_eq!(found(Check::Count(0), &free), None);
    assert_eq!(found(Check::Total(0), &free), None);
    assert_eq!(
        found(Check::Value { max: 899, except: vec![] }, &free),
        Some(Found::Value { name: b":path", size: 900 })
    );
    let value = |max| Check::Value { max, except: vec![] };
    assert_eq!(found(value(1), &[("x-request-id", b"4ff22983")]), None);
    assert_eq!(found(value(1), &[("host", b"ab")]), Some(Found::Value { name: b"host", size: 2 }));
    let (short, long) = ([b'1'; 64], [b'1'; 65]);
    assert_eq!(found(Check::Count(0), &[("x-forwarded-for", &short)]), None);
    assert_eq!(found(Check::Count(0), &[("x-forwarded-for", &long)]), Some(Found::Count(1)));
}

#[test]
fn a_repeated_singleton_is_found() {
    let check = || Check::Repeated(names(&["host", "x-api-key"]));
    assert_eq!(found(check(), &[("x-api-key", b"a"), ("accept", b"a"), ("accept", b"b")]), None);
    assert_eq!(
        found(check(), &[("x-api-key", b"a"), ("x-api-key", b"a")]),
        Some(Found::Repeated(b"x-api-key"))
    );
    assert_eq!(found(check(), &[(":authority", b"a"), ("host", b"a")]), Some(Found::Repeated(b"host")));
    assert_eq!(found(check(), &[(":authority", b"a,b")]), Some(Found::Repeated(b"host")));
}

#[test]
fn joined_headers_are_distinguished_from_one_value_with_commas() {
    for (name, value) in [
        ("host", "a,a"),
        ("content-length", "1,1"),
        ("content-type", "application/json,text/plain"),
        ("content-type", "a/b; x=\",c/d"),
        ("content-type", "a/b; x=\"\\\"\",c/d"),
        ("authorization", "Bearer a,Bearer b"),
        ("authorization", "Bearer YQ==,Bearer YQ=="),
        ("authorization", "Bearer a,b"),
        ("authorization", "sk-a,sk-b"),
        ("authorization", "Bearer a=b,Bearer c=d"),
        ("authorization", "Digest a=\"b\",Bearer c"),
        ("authorization", "Bearer a,"),
        ("authorization", ","),
    ] {
        assert!(is_repeated(name, value), "{name}: {value}");
    }
    for (name, value) in [
        ("host", "a"),
        ("content-type", "multipart/form-data; boundary=\"a,b\""),
        ("content-type", "multipart/form-data; boundary=\"a\\\",b\""),
        ("authorization", "Bearer YQ=="),
        ("authorization", "Digest username=\"a, b\", realm=\"c\", qop=auth, nc=00000001"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/x/s3/aws4_request, SignedHeaders=host;range, Signature=fe5f",
        ),
        ("x-team", "a,b"),
        ("user-agent", "Mozilla/5.0 (KHTML, like Gecko)"),
    ] {
        assert!(!is_repeated(name, value), "{name}: {value}");
    }
}

#[test]
fn every_control_byte_but_the_tab_is_found() {
    for byte in 0..=u8::MAX {
        let value = [b'a', byte, b'b'];
        let expected =
            (byte == 0x7f || byte < 0x20 && byte != b'\t').then_some(Found::ControlByte { name: b"x", byte });
        assert_eq!(found(Check::ControlByte, &[("w", b"\xff "), ("x", &value)]), expected, "{byte}");
    }
}

#[test]
fn a_control_byte_is_found_at_every_position() {
    for size in 1..40 {
        for place in 0..size {
            for filler in [b'a', b' ', b'~', b'\t', 0x80, 0xff] {
                let mut value = vec![filler; size];
                assert_eq!(found(Check::ControlByte, &[("x", &value)]), None, "{value:?}");
                value[place] = 0x1f;
                assert!(found(Check::ControlByte, &[("x", &value)]).is_some(), "{value:?}");
                value[place] = 0x7f;
                assert!(found(Check::ControlByte, &[("x", &value)]).is_some(), "{value:?}");
            }
        }
    }
}

#[test]
fn names_of_every_length_are_checked() {
    for length in 1..200 {
        let name = "n".repeat(length);
        let twice: [Text; 3] = [(&name, b"a"), ("other", b"a"), (&name, b"b")];
        assert_eq!(found(Check::Repeated(names(&[&name])), &twice), Some(Found::Repeated(name.as_bytes())));
    }
}

#[test]
fn a_pattern_is_matched_against_all_values_of_its_header_only() {
    let check =
        || Check::Match { name: b"user-agent".to_vec(), pattern: Pattern::new("(?i)sqlmap").unwrap() };
    assert_eq!(found(check(), &[("x", b"sqlmap"), ("user-agent", b"curl")]), None);
    let twice: [Text; 2] = [("user-agent", b"curl"), ("user-agent", b"\xff SQLmap")];
    assert_eq!(found(check(), &twice), Some(Found::Match(b"user-agent")));
    let host = Check::Match { name: HOST.to_vec(), pattern: Pattern::new("^a$").unwrap() };
    assert_eq!(found(host, &[(":authority", b"a")]), Some(Found::Match(HOST)));
}

#[test]
fn the_first_enforced_rule_that_is_broken_refuses() {
    let rule = |check, shadow| Rule { check, shadow };
    let rules = [
        rule(Check::Total(9), false),
        rule(Check::Count(1), true),
        rule(Check::ControlByte, false),
        rule(Check::Count(0), false),
        rule(Check::Count(0), true),
    ];
    let verdict = judge(&rules, &[("a", b"\x01"), ("b", b"")]).refusal.map(|breach| breach.rule);
    assert_eq!(verdict, Some(2));
    assert_eq!(judge(&rules, &[("a", b"\x01"), ("b", b"")]).shadowed, [1]);
    let admitted = judge(&rules, &[(":path", b"/")]);
    assert_eq!(admitted, Verdict::default());
}

proptest! {
    #[test]
    fn no_headers_panic_and_limits_apply_to_all(
        texts in prop::collection::vec(("[a-c:,]{0,3}|authorization|content-type|host", prop::collection::vec(any::<u8>(), 0..20)), 0..20),
        max in 0_usize..60,
    ) {
        let fields: Vec<Text> = texts.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let counted: Vec<_> = texts.iter().filter(|(name, _)| !name.starts_with(':') && name != "host").collect();
        let broken = |check| judge(&[Rule { check, shadow: false }], &fields).refusal.is_some();
        prop_assert_eq!(broken(Check::Count(max)), counted.len() > max);
        let total: usize = counted.iter().flat_map(|(name, value)| [name.len(), value.len()]).sum();
        prop_assert_eq!(broken(Check::Total(max)), total > max);
        prop_assert_eq!(broken(Check::Value { max, except: vec![] }), texts.iter().any(|(_, value)| value.len() > max));
        broken(Check::Repeated(names(&["authorization", "content-type", "host"])));
    }
}
