//! Which limits apply to a request and whose bucket they charge.

use serde_json::{Value, json};
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};

fn start(configuration: &Value) -> Envoy {
    Envoy::with(Listener::new([rate_limit(configuration)])).start()
}

fn one(per: Value) -> Value {
    json!({ "limits": [{ "name": "one", "per": per, "requests": { "rate": "1/h", "burst": 1 } }] })
}

fn status(envoy: &Envoy, path: &str, headers: &[(&str, &str)]) -> u16 {
    envoy.connect().exchange(&get(path, headers)).expect("an answer").status
}

#[test]
fn buckets_are_told_apart_by_what_the_limit_counts_by() {
    type Request<'a> = (&'a str, &'a [(&'a str, &'a str)]);
    let cases: [(Value, Request, Request, Request); 5] = [
        (json!(["path"]), ("/a", &[]), ("/a?x=1", &[]), ("/b", &[])),
        (json!(["header:x-team"]), ("/", &[("x-team", "1")]), ("/b", &[("X-Team", "1")]), ("/", &[])),
        (
            json!(["client"]),
            ("/", &[("authorization", "Bearer k")]),
            ("/", &[("x-api-key", "k")]),
            ("/", &[("x-api-key", "l")]),
        ),
        (
            json!(["client", "path"]),
            ("/a", &[("x-api-key", "k")]),
            ("/a?y", &[("authorization", "bearer   k")]),
            ("/b", &[("x-api-key", "k")]),
        ),
        (
            json!(["header:a", "header:b"]),
            ("/", &[("a", "1"), ("b", "2")]),
            ("/", &[("b", "2"), ("a", "1")]),
            ("/", &[("a", "12"), ("b", "")]),
        ),
    ];
    for (per, first, same, other) in cases {
        let envoy = start(&one(per.clone()));
        assert_eq!(status(&envoy, first.0, first.1), 200, "{per}: the first of a bucket");
        assert_eq!(status(&envoy, same.0, same.1), 429, "{per}: the same bucket");
        assert_eq!(status(&envoy, other.0, other.1), 200, "{per}: another bucket");
    }
    let envoy = start(&one(json!(["method"])));
    assert_eq!(status(&envoy, "/", &[]), 200);
    assert_eq!(status(&envoy, "/", &[]), 429);
    assert_eq!(envoy.connect().exchange(&post("/", &[], b"{}")).expect("an answer").status, 200);
}

#[test]
fn a_forwarded_address_counts_only_as_far_as_hops_are_trusted() {
    let forged = |n: u32| format!("10.0.0.{n}");
    let untrusting = start(&one(json!(["address"])));
    assert_eq!(status(&untrusting, "/", &[("x-forwarded-for", &forged(1))]), 200);
    assert_eq!(status(&untrusting, "/", &[("x-forwarded-for", &forged(2))]), 429, "the list lies");

    let mut configuration = one(json!(["address"]));
    configuration["address"] = json!({ "trusted_hops": 2 });
    let trusting = start(&configuration);
    assert_eq!(status(&trusting, "/", &[("x-forwarded-for", &forged(1))]), 200);
    assert_eq!(status(&trusting, "/", &[("x-forwarded-for", &forged(2))]), 200);
    assert_eq!(status(&trusting, "/", &[("x-forwarded-for", &format!("6.6.6.6, {}", forged(2)))]), 429);
}

#[test]
fn a_limit_applies_only_where_its_conditions_hold() {
    let envoy = start(&json!({ "limits": [{
        "name": "narrow", "per": [], "requests": { "rate": "1/h", "burst": 1 },
        "when": { "path_prefix": "/v1/", "methods": ["POST"], "headers": [{ "name": "x-tier", "value": "free" }, { "name": "x-seen" }] },
    }]}));
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let answer = envoy.connect().exchange(&post(path, headers, b"{}")).expect("an answer");
        (answer.status, answer.header("x-ratelimit-limit-requests").is_some())
    };
    let both = [("x-tier", "free"), ("x-seen", "")];
    assert_eq!(ask("/v1/chat", &both), (200, true));
    assert_eq!(ask("/v1/chat?x", &both), (429, true));
    assert_eq!(ask("/v2/chat", &both), (200, false));
    assert_eq!(ask("/?/v1/", &both), (200, false));
    assert_eq!(ask("/v1/chat", &[("x-tier", "paid"), ("x-seen", "")]), (200, false));
    assert_eq!(ask("/v1/chat", &[("x-tier", "free")]), (200, false));
    assert_eq!(status(&envoy, "/v1/chat", &both), 200, "a GET");
}

#[test]
fn another_spelling_of_a_path_dodges_no_limit() {
    let spellings = [
        "/v1/chat",
        "//v1/chat",
        "/./v1/chat",
        "/x/../v1/chat",
        "/%761/chat",
        "/v%31/chat",
        "/v1%2fchat",
        "/v1//chat",
        "/v1/ch%61t",
        "http://test//v1/chat",
        "/v1/chat?x=1",
    ];
    let mut under_v1 = one(json!([]));
    under_v1["limits"][0]["when"] = json!({ "path_prefix": "/v1/" });
    for configuration in [under_v1, one(json!(["path"]))] {
        let envoy = start(&configuration);
        assert_eq!(status(&envoy, "/v1/chat", &[]), 200);
        for spelling in spellings {
            assert_eq!(status(&envoy, spelling, &[]), 429, "{spelling}");
        }
        assert_eq!(status(&envoy, "/v2/chat", &[]), 200);
    }
}

#[test]
fn a_client_with_one_key_has_one_bucket_however_it_is_written() {
    let envoy = start(&one(json!(["client"])));
    assert_eq!(status(&envoy, "/", &[("authorization", "Bearer sk-1")]), 200);
    assert_eq!(status(&envoy, "/", &[("authorization", "bearer   sk-1")]), 429);
    assert_eq!(status(&envoy, "/", &[("authorization", "Basic sk-1")]), 429);
    assert_eq!(status(&envoy, "/", &[("x-api-key", "sk-1")]), 429);

    let twice = |n: u32| {
        let random = n.to_string();
        let headers =
            [("authorization", "Bearer sk-1"), ("authorization", "Bearer sk-1"), ("x-api-key", &random)];
        status(&envoy, "/", &headers)
    };
    assert_eq!(
        [1, 2, 3].map(twice),
        [200, 429, 429],
        "a key that is sent twice is not believed: the address counts"
    );
}

#[test]
fn a_shadow_limit_counts_and_refuses_nobody() {
    let envoy = start(&json!({ "limits": [
        { "name": "trial", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 }, "shadow": true },
        { "name": "real", "per": ["client"], "requests": { "rate": "1/h", "burst": 3 } },
    ]}));
    let statuses: Vec<u16> = (0..4).map(|_| status(&envoy, "/", &[("x-api-key", "k")])).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(envoy.counter("rate_limit.shadowed.trial"), 3);
    assert_eq!(envoy.counter("rate_limit.throttled.trial"), 0);
    assert_eq!(envoy.counter("rate_limit.throttled.real"), 1);
}

#[test]
fn a_named_client_has_a_bucket_of_its_own_size() {
    let key = "sk-partner";
    let own = |key: &str, burst: u32| json!({ "sha256": sha256_of(key), "requests": { "rate": "1/h", "burst": burst } });
    let envoy = start(&json!({ "limits": [{
        "name": "per-client", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 },
        "overrides": [own("sk-other", 9), own(key, 3)],
    }]}));
    let statuses = |key: &str| -> Vec<u16> {
        let value = format!("Bearer {key}");
        (0..4).map(|_| status(&envoy, "/", &[("authorization", &value)])).collect()
    };
    assert_eq!(statuses(key), [200, 200, 200, 429]);
    assert_eq!(statuses("sk-anybody"), [200, 429, 429, 429]);
}

fn sha256_of(key: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$0\" | sha256sum", key])
        .output()
        .expect("sha256sum runs");
    String::from_utf8(output.stdout).expect("text").split(' ').next().expect("a hash").to_owned()
}
