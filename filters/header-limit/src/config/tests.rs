use super::*;
use serde_json::{Value, json};

fn read(document: &Value) -> Result<Config, ConfigError> {
    Config::read(document.to_string().as_bytes())
}

fn rules(document: &Value) -> Vec<(String, u16, bool)> {
    let Config { rules, answers } = read(document).unwrap();
    let shadows = rules.list().iter().map(|rule| rule.shadow);
    answers.into_iter().zip(shadows).map(|(answer, shadow)| (answer.label, answer.status, shadow)).collect()
}

fn labels(document: &Value) -> Vec<String> {
    rules(document).into_iter().map(|(label, ..)| label).collect()
}

#[test]
fn an_empty_document_protects() {
    let expected =
        ["fields.user-agent", "max_count", "max_total", "max_value", "singletons", "control_bytes"];
    assert_eq!(labels(&json!({})), expected);
    assert_eq!(rules(&json!({}))[0], ("fields.user-agent".to_owned(), 403, false));
    assert!(rules(&json!({}))[1..].iter().all(|(_, status, shadow)| *status == 431 && !shadow));
    assert_eq!(Config::read(b"").unwrap().answers, read(&json!({})).unwrap().answers);
    let written = json!({ "max_count": 100.0, "max_total": "16KiB", "max_value": "8KiB",
        "fields": [{ "name": "User-Agent", "max": "2047B", "status": 403 }],
        "singletons": ["content-length", ":authority", "Authorization", "content-type"],
        "control_bytes": "reject", "deny": [], "shadow": false });
    let text = |document| format!("{:?}", read(document).unwrap());
    assert_eq!(text(&json!({})), text(&written));
}

#[test]
fn rules_are_in_order_and_absent_ones_are_left_out() {
    let document = json!({
        "deny": [
            { "name": "b", "header": "host", "pattern": "x", "status": 400 },
            { "name": "a", "header": ":path", "pattern": "y" },
        ],
        "fields": [{ "name": "cookie", "max": "0B" }, { "name": ":path", "max": "2KiB", "status": 414 }],
        "singletons": [], "control_bytes": "allow",
    });
    let expected =
        ["fields.cookie", "fields.:path", "max_count", "max_total", "max_value", "deny.b", "deny.a"];
    assert_eq!(labels(&document), expected);
    let statuses: Vec<u16> = rules(&document).iter().map(|(_, status, _)| *status).collect();
    assert_eq!(statuses, [431, 414, 431, 431, 431, 400, 431]);
}

#[test]
fn a_rule_is_in_shadow_when_it_or_all_are() {
    let document = |shadow: Value| {
        json!({ "shadow": shadow,
            "fields": [{ "name": "a", "max": "1B", "shadow": true }, { "name": "b", "max": "1B" }],
            "deny": [{ "name": "c", "header": "c", "pattern": "c", "shadow": true }] })
    };
    let shadows = |shadow| rules(&document(shadow)).iter().map(|(.., shadow)| *shadow).collect::<Vec<_>>();
    assert_eq!(shadows(json!(true)), [true; 8]);
    assert_eq!(shadows(json!(false)), [true, false, false, false, false, false, false, true]);
    assert_eq!(
        shadows(json!(["max_total", "control_bytes"])),
        [true, false, false, true, false, false, true, true]
    );
}

#[test]
fn an_unenforceable_value_is_refused_with_its_path_and_what_is_accepted() {
    let deny = |name: &str, pattern: &str| json!({ "name": name, "header": "a", "pattern": pattern });
    let with = |key: &str, value: Value| json!({ "fields": [{ "name": "a", "max": "1B", key: value }] });
    let many = |entry: fn(usize) -> Value| (0..65).map(entry).collect::<Vec<_>>();
    for (document, path, problem) in [
        (json!({ "max_cuont": 1 }), "max_cuont", "unknown field"),
        (json!({ "max_count": 0 }), "max_count", "found 0, accepted is 1 to 65536"),
        (json!({ "max_count": 65_537 }), "max_count", "found 65537"),
        (json!({ "max_count": "100" }), "max_count", "a whole number"),
        (json!({ "max_total": "0B" }), "max_total", "found 0B, accepted is 1B to 8MiB"),
        (json!({ "max_total": 16_384 }), "max_total", "16KiB"),
        (json!({ "max_value": "9MiB" }), "max_value", "found 9437184B"),
        (json!({ "fields": [{ "name": "a b", "max": "1B" }] }), "fields[0].name", "a header name"),
        (json!({ "fields": [{ "name": ":status", "max": "1B" }] }), "fields[0].name", "a header name"),
        (
            json!({ "fields": [{ "name": "A", "max": "1B" }, { "name": "a", "max": "1B" }] }),
            "fields[1].name",
            "found \"a\" a second time",
        ),
        (json!({ "fields": [{ "name": "a" }] }), "fields[0]", "missing field `max`"),
        (
            json!({ "fields": many(|n| json!({ "name": format!("a{n}"), "max": "1B" })) }),
            "fields",
            "found 65",
        ),
        (
            with("status", json!(399)),
            "fields[0].status",
            "found 399, accepted is 400 to 499 without 408, 409 and 429",
        ),
        (with("status", json!(500)), "fields[0].status", "found 500"),
        (with("status", json!(429)), "fields[0].status", "found 429"),
        (with("status", json!(70_000)), "fields[0].status", "found 70000"),
        (with("max", json!("8193KiB")), "fields[0].max", "accepted is 0B to 8MiB"),
        (json!({ "deny": [deny("a b", "x")] }), "deny[0].name", "letters, digits"),
        (json!({ "deny": [deny("a", "x"), deny("a", "y")] }), "deny[1].name", "found \"a\" a second time"),
        (
            json!({ "deny": [deny("a", "x"), deny("b", "(")] }),
            "deny[1].pattern",
            "found \"(\", accepted is a regular expression on bytes: unclosed group",
        ),
        (
            json!({ "deny": [deny("a", &"x".repeat(1_025))] }),
            "deny[0].pattern",
            "1025 bytes long, accepted are 1024",
        ),
        (json!({ "deny": [deny("a", "(?:x{999}){999}")] }), "deny[0].pattern", "compiles to more than"),
        (
            json!({ "deny": [{ "name": "a", "header": "", "pattern": "x" }] }),
            "deny[0].header",
            "a header name",
        ),
        (
            json!({ "deny": [{ "name": "a", "header": "b", "pattern": "x", "status": 409 }] }),
            "deny[0].status",
            "found 409",
        ),
        (
            json!({ "deny": many(|n| json!({ "name": format!("a{n}"), "header": "a", "pattern": "x" })) }),
            "deny",
            "found 65",
        ),
        (json!({ "singletons": ["a", "A"] }), "singletons[1]", "found \"A\" a second time"),
        (json!({ "singletons": ["host", ":authority"] }), "singletons[1]", "a second time"),
        (json!({ "singletons": ["a\n"] }), "singletons[0]", "a header name"),
        (json!({ "control_bytes": "strip" }), "control_bytes", "expected `reject` or `allow`"),
        (json!({ "shadow": ["max_count", "deny"] }), "shadow[1]", "found \"deny\", accepted are max_count"),
        (json!({ "shadow": "yes" }), "shadow", "a list of rules"),
        (json!(1), "", "invalid type"),
    ] {
        let error = read(&document).unwrap_err();
        assert_eq!(error.path, path, "{document}: {error}");
        assert!(error.problem.contains(problem), "{error}");
    }
}
