use super::*;
use serde_json::{Value, json};

fn limit() -> Value {
    json!({ "name": "a", "per": ["client"], "requests": { "rate": "10/s", "burst": 20 } })
}

fn document(change: impl FnOnce(&mut Value)) -> Result<Config, ConfigError> {
    let mut document = json!({ "limits": [limit()] });
    change(&mut document);
    Config::read(document.to_string().as_bytes())
}

fn error(change: impl FnOnce(&mut Value)) -> String {
    document(change).expect_err("it is wrong").to_string()
}

#[test]
fn a_full_configuration_is_accepted() {
    let config = Config::read(
        br#"{"limits": [
            {"name": "per-client", "per": ["client"], "requests": {"rate": "10/s", "burst": 20},
             "when": {"path_prefix": "/v1/", "methods": ["POST"]}, "exceed": "reject"},
            {"name": "smooth", "per": ["address", "header:x-team"], "requests": {"rate": "600/min", "burst": 1},
             "exceed": {"delay": "2s"}},
            {"name": "cluster", "per": [], "requests": {"rate": "500/s", "burst": 500}}
        ]}"#,
    )
    .expect("it is right");
    assert_eq!(config.rules.iter().len(), 3);
    assert_eq!(config.failure_mode, FailureMode::Deny);
    assert!(config.headers_on_admitted);
}

#[test]
fn limits_on_one_identity_share_it_and_have_marks_of_their_own() {
    let config = document(|d| {
        let mut other = limit();
        other["name"] = json!("b");
        d["limits"].as_array_mut().unwrap().push(other);
    })
    .unwrap();
    let [a, b] = [0, 1].map(|place| config.rules.iter().nth(place).unwrap());
    assert_eq!((a.identity, b.identity), (0, 0));
    assert_ne!(a.mark, b.mark);
}

#[test]
fn an_unenforceable_value_is_refused_with_path_found_and_accepted() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 32] = [
        (|d| d["limts"] = json!([]), &["limts", "unknown field", "limits"]),
        (|d| d["limits"] = json!([]), &["limits: ", "found 0", "1 to 256"]),
        (|d| d["limits"] = json!([limit(), limit()]), &["limits[1].name", "\"a\"", "once"]),
        (|d| d["limits"][0]["burst"] = json!(1), &["limits[0].burst", "unknown field"]),
        (|d| d["limits"][0]["name"] = json!("a b"), &["limits[0].name", "\"a b\"", "letters"]),
        (|d| d["limits"][0]["name"] = json!(""), &["limits[0].name", "1 to 64"]),
        (|d| d["limits"][0]["per"] = json!("client"), &["limits[0].per", "sequence"]),
        (|d| d["limits"][0]["per"] = json!(["model", "model"]), &["limits[0].per[1]", "\"model\"", "once"]),
        (
            |d| d["limits"][0]["when"] = json!({ "model": [] }),
            &["limits[0].when.model", "found 0 names", "1 to"],
        ),
        (|d| d["limits"][0]["when"] = json!({ "model": "a*b" }), &["when.model", "\"a*b\"", "at their end"]),
        (|d| d["limits"][0]["when"] = json!({ "model": 7 }), &["limits[0].when", "a model's name", "a list"]),
        (
            |d| d["limits"][0]["when"] = json!({ "models": "a" }),
            &["limits[0].when", "unknown field", "model"],
        ),
        (|d| d["limits"][0]["per"] = json!(["ip"]), &["limits[0].per[0]", "\"ip\"", "address", "model"]),
        (|d| d["limits"][0]["per"] = json!(["header:"]), &["limits[0].per[0]", "header name"]),
        (|d| d["limits"][0]["per"] = json!(["path", "path"]), &["limits[0].per[1]", "once"]),
        (
            |d| d["limits"][0]["requests"]["rate"] = json!("10/fortnight"),
            &["requests.rate", "10/fortnight", "10/s"],
        ),
        (
            |d| d["limits"][0]["requests"]["rate"] = json!("0/s"),
            &["limits[0].requests", "found 0", "at least 1"],
        ),
        (
            |d| d["limits"][0]["requests"]["rate"] = json!("4294967295/s"),
            &["limits[0].requests", "1000000/s"],
        ),
        (
            |d| d["limits"][0]["requests"]["burst"] = json!(0),
            &["limits[0].requests.burst", "found 0", "at least 1"],
        ),
        (|d| d["limits"][0]["requests"]["burst"] = json!(-1), &["requests.burst", "-1", "whole number"]),
        (|d| d["limits"][0]["requests"]["burst"] = json!(1.5), &["requests.burst", "1.5", "whole number"]),
        (
            |d| d["limits"][0]["requests"] = json!({ "rate": "1/d", "burst": 99 }),
            &["limits[0].requests", "1 per day", "31 days"],
        ),
        (|d| d["limits"][0]["exceed"] = json!("queue"), &["exceed", "queue", "reject"]),
        (
            |d| d["limits"][0]["exceed"] = json!({ "delay": "2h" }),
            &["limits[0].exceed.delay", "7200s", "60s"],
        ),
        (|d| d["limits"][0]["when"] = json!({ "path_prefix": "v1" }), &["when.path_prefix", "\"v1\"", "/"]),
        (
            |d| d["limits"][0]["when"] = json!({ "methods": ["post"] }),
            &["when.methods[0]", "\"post\"", "POST"],
        ),
        (
            |d| d["limits"][0]["when"] = json!({ "path_prefix": "/v1/../x" }),
            &["when.path_prefix", "dot segment"],
        ),
        (|d| d["limits"][0]["when"] = json!({ "path_prefix": "/v1?x" }), &["when.path_prefix", "\"/v1?x\""]),
        (|d| d["limits"][0]["exceed"] = json!("delay"), &["exceed", "\"delay\"", "reject"]),
        (|d| d["memory"] = json!("1KiB"), &["memory", "1024B", "1GiB"]),
        (|d| d["max_held"] = json!(0), &["max_held", "found 0", "1 to"]),
        (|d| d["failure_mode"] = json!("open"), &["failure_mode", "open", "deny"]),
    ];
    for (change, expected) in cases {
        let error = error(change);
        assert!(expected.iter().all(|part| error.contains(part)), "{error:?} lacks one of {expected:?}");
    }
}

#[test]
fn overrides_are_given_by_hash_and_a_key_in_clear_is_not_repeated() {
    let own = |sha256: &str| json!([{ "sha256": sha256, "requests": { "rate": "1/s", "burst": 1 } }]);
    let hash = "ab".repeat(32);
    assert!(document(|d| d["limits"][0]["overrides"] = own(&hash)).is_ok());
    assert!(document(|d| d["limits"][0]["overrides"] = own(&hash.to_uppercase())).is_ok());

    let clear = error(|d| d["limits"][0]["overrides"] = own("sk-secret"));
    assert!(clear.contains("limits[0].overrides[0].sha256: found 9 characters"), "{clear}");
    assert!(!clear.contains("sk-secret"), "{clear}");
    let wide = error(|d| d["limits"][0]["overrides"] = own(&"é".repeat(32)));
    assert!(wide.contains("64 hexadecimal digits"), "{wide}");
    let twice = error(|d| {
        d["limits"][0]["overrides"] = json!([own(&hash)[0], own(&hash)[0]]);
    });
    assert!(twice.contains("overrides[1].sha256") && twice.contains("twice"), "{twice}");
    let nobody = error(|d| {
        d["limits"][0]["per"] = json!([]);
        d["limits"][0]["overrides"] = own(&hash);
    });
    assert!(nobody.contains("limits[0].overrides") && nobody.contains("client"), "{nobody}");
    let addresses = error(|d| {
        d["client"] = json!(["address"]);
        d["limits"][0]["overrides"] = own(&hash);
    });
    assert!(addresses.contains("limits[0].overrides") && addresses.contains("key"), "{addresses}");
}

#[test]
fn no_document_panics() {
    for text in
        ["", "null", "[]", "{", "{}", "\u{0}", "{\"limits\":null}", "{\"limits\":[{}]}", "{\"limits\":[]}x"]
    {
        assert!(Config::read(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(Config::read(b"\xff\xfe").is_err());
    let deep = "[".repeat(100_000);
    assert!(Config::read(deep.as_bytes()).is_err());
}
