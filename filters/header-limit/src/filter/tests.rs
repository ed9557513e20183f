use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_host::fake::FakeProxy;
use tidegate_host::reply::Reply;

fn filter(document: &Value) -> HeaderLimit {
    HeaderLimit::configure(document.to_string().as_bytes()).unwrap()
}

fn ask(filter: &HeaderLimit, proxy: &FakeProxy, headers: &[(&str, &str)]) -> Option<Reply> {
    match filter.stream().on_request_headers(&proxy.exchange(headers)) {
        Flow::Continue => None,
        Flow::Reply(reply) => Some(reply),
        other => panic!("{other:?}: headers are never held"),
    }
}

fn refused(document: &Value, headers: &[(&str, &str)]) -> Reply {
    let filter = filter(document);
    ask(&filter, &FakeProxy::running(&filter), headers).expect("a refusal")
}

fn error(reply: &Reply) -> Value {
    serde_json::from_slice::<Value>(&reply.body).unwrap()["error"].clone()
}

#[test]
fn each_rule_has_its_response() {
    let small = json!({ "max_count": 2, "max_total": "40B", "max_value": "20B",
        "fields": [{ "name": "cookie", "max": "4B", "status": 400 }],
        "deny": [{ "name": "scanners", "header": "user-agent", "pattern": "(?i)sqlmap", "status": 403 }] });
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, &'a str, &'a str);
    let cases: [Case; 8] = [
        (
            &[("a", ""), ("b", ""), ("c", "")],
            431,
            "max_count",
            "too_many_headers",
            "it has 3 headers, at most 2 are accepted.",
        ),
        (
            &[("a", "12345678901234567890"), ("b", "12345678901234567890")],
            431,
            "max_total",
            "headers_too_large",
            "its headers are 42 bytes long, at most 40 are accepted.",
        ),
        (
            &[("abc", "123456789012345678901")],
            431,
            "max_value",
            "header_value_too_large",
            "the value of 'abc' is 21 bytes long, at most 20 are accepted.",
        ),
        (
            &[(":path", "/23456789012345678901")],
            431,
            "max_value",
            "header_value_too_large",
            "the value of ':path' is 21 bytes long, at most 20 are accepted.",
        ),
        (
            &[("cookie", "12345")],
            400,
            "fields.cookie",
            "header_value_too_large",
            "the value of 'cookie' is 5 bytes long, at most 4 are accepted.",
        ),
        (
            &[("authorization", "a"), ("authorization", "b")],
            431,
            "singletons",
            "duplicate_header",
            "'authorization' occurs more than once.",
        ),
        (
            &[("x", "a\rb")],
            431,
            "control_bytes",
            "control_bytes_in_header",
            "the value of 'x' holds the control byte 0x0d.",
        ),
        (
            &[("user-agent", "SqlMap")],
            403,
            "deny.scanners",
            "header_denied",
            "the value of 'user-agent' is denied.",
        ),
    ];
    for (headers, status, rule, code, reason) in cases {
        let reply = refused(&small, headers);
        assert_eq!(reply.status, status, "{rule}");
        assert_eq!(reply.details, format!("tidegate.header_limit.{rule}"));
        assert!(reply.headers.contains(&("x-should-retry", "false".to_owned())));
        assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("retry-after")));
        let error = error(&reply);
        assert_eq!(error["message"], format!("Header rule '{rule}' refuses this request: {reason}"));
        assert_eq!((&error["code"], &error["type"]), (&json!(code), &json!("invalid_request_error")));
    }
}

#[test]
fn a_user_agent_of_2048_bytes_or_more_is_refused_by_default_whatever_else_is_wrong() {
    let filter = filter(&json!({}));
    let proxy = FakeProxy::running(&filter);
    let status =
        |size: usize| ask(&filter, &proxy, &[("user-agent", &"u".repeat(size))]).map(|reply| reply.status);
    assert_eq!([2_047, 2_048, 8_193, 20_000].map(status), [None, Some(403), Some(403), Some(403)]);
    assert_eq!(proxy.counter("tidegate.header_limit.admitted"), 1);
    assert_eq!(proxy.counter("tidegate.header_limit.rejected.fields.user-agent"), 3);
}

#[test]
fn the_first_of_several_broken_rules_refuses() {
    let document =
        |shadow: Value| json!({ "max_count": 1, "max_value": "3B", "shadow": shadow, "fields": [] });
    let headers = [("a", "1234"), ("authorization", "\x01"), ("authorization", "")];
    let rule = |shadow| refused(&document(shadow), &headers).details;
    assert_eq!(rule(json!([])), "tidegate.header_limit.max_count");
    assert_eq!(rule(json!(["max_count"])), "tidegate.header_limit.max_value");
    assert_eq!(rule(json!(["max_count", "max_value"])), "tidegate.header_limit.singletons");
    assert_eq!(rule(json!(["max_count", "max_value", "singletons"])), "tidegate.header_limit.control_bytes");
}

#[test]
fn rules_in_shadow_count_and_refuse_nobody() {
    let filter = filter(&json!({ "max_count": 1, "shadow": true,
        "deny": [{ "name": "no-a", "header": "a", "pattern": "x" }] }));
    let proxy = FakeProxy::running(&filter);
    assert_eq!(ask(&filter, &proxy, &[("a", "x"), ("b", "")]), None);
    assert_eq!(ask(&filter, &proxy, &[("a", "")]), None);
    for (what, times) in
        [("admitted", 2), ("shadowed.max_count", 1), ("shadowed.deny.no-a", 1), ("rejected.max_count", 0)]
    {
        assert_eq!(proxy.counter(&format!("tidegate.header_limit.{what}")), times, "{what}");
    }
}

#[test]
fn a_rule_in_shadow_counts_and_a_later_one_refuses() {
    let filter = filter(&json!({ "max_count": 1, "max_total": "5B", "shadow": ["max_count"] }));
    let proxy = FakeProxy::running(&filter);
    let reply = ask(&filter, &proxy, &[("a", "12"), ("b", "12")]).expect("a refusal");
    assert_eq!(reply.details, "tidegate.header_limit.max_total");
    for (what, times) in
        [("admitted", 0), ("shadowed.max_count", 1), ("rejected.max_total", 1), ("rejected.max_count", 0)]
    {
        assert_eq!(proxy.counter(&format!("tidegate.header_limit.{what}")), times, "{what}");
    }
}

#[test]
fn a_fields_own_limit_replaces_the_general_one_unless_in_shadow() {
    let document = |shadow: bool| json!({ "max_value": "3B", "fields": [{ "name": "cookie", "max": "5B", "shadow": shadow }] });
    let enforced = filter(&document(false));
    assert_eq!(ask(&enforced, &FakeProxy::running(&enforced), &[("cookie", "12345")]), None);
    assert_eq!(
        refused(&document(false), &[("cookie", "123456")]).details,
        "tidegate.header_limit.fields.cookie"
    );
    assert_eq!(refused(&document(true), &[("cookie", "1234")]).details, "tidegate.header_limit.max_value");
}

#[test]
fn an_overlong_name_is_left_out_of_the_message() {
    let name = "n".repeat(65);
    let reply = refused(&json!({ "max_value": "1B" }), &[(&name, "12")]);
    assert!(error(&reply)["message"].as_str().unwrap().contains("the value of a header is 2 bytes long"));
}

proptest! {
    #[test]
    fn a_refusal_never_tells_a_value_and_nothing_panics(
        head in "[A-Z]{6}",
        tail in "[\\x01-\\x1f,=\" ]{0,3}[A-Z]{6}",
        name in "authorization|user-agent|content-type|x-other",
        times in 1_usize..4,
    ) {
        let filter = filter(&json!({ "max_value": "15B", "deny": [
            { "name": "all", "header": "user-agent", "pattern": "[A-Z]{6}" }] }));
        let proxy = FakeProxy::running(&filter);
        let secret = format!("{head}{tail}");
        if let Some(reply) = ask(&filter, &proxy, &vec![(name.as_str(), secret.as_str()); times]) {
            let body = String::from_utf8(reply.body).unwrap();
            prop_assert!(!body.contains(&head) && !reply.details.contains(&head));
        }
    }
}
