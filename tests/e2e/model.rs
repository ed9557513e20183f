//! Limits on models: decided by what the body names, exactly, and before anything of the request reaches the upstream.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, Connection, get, post};
use tidegate_tests::http2;
use tidegate_tests::load::race;
use tidegate_tests::upstream::Upstream;

const PATH: &str = "/v1/chat/completions";

fn listener(configuration: &Value) -> Listener {
    let mut filter = rate_limit(configuration);
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] =
        configuration["hold_headers"].as_bool().unwrap_or(false).into();
    Listener::new([filter])
}

fn start(configuration: &Value, upstream: &Upstream) -> Envoy {
    Envoy::with(listener(configuration).to(upstream.port())).workers(2).start()
}

fn limit(name: &str, per: &Value, burst: u32) -> Value {
    json!({ "name": name, "per": per, "requests": { "rate": "10/d", "burst": burst } })
}

fn chat(model: &str) -> Vec<u8> {
    format!(r#"{{"messages":[{{"role":"user","content":"?"}}],"model":"{model}"}}"#).into_bytes()
}

fn ask(connection: &mut Connection, key: &str, body: &[u8]) -> Answer {
    connection.exchange(&post(PATH, &[("x-api-key", key)], body)).expect("an answer")
}

#[test]
fn each_model_has_a_bucket_and_a_refused_request_reaches_no_upstream_and_costs_no_other_limit() {
    for hold in [true, false] {
        let upstream = Upstream::start();
        let limits = [limit("client", &json!(["client"]), 5), limit("model", &json!(["client", "model"]), 2)];
        let envoy = start(&json!({ "limits": limits, "hold_headers": hold }), &upstream);
        let mut connection = envoy.connect();
        for model in ["r1", "v3"] {
            assert_eq!([(); 2].map(|()| ask(&mut connection, "k", &chat(model)).status), [200, 200]);
        }
        for escaped in ["r1", "\\u00721", "v3"] {
            let refused = ask(&mut envoy.connect(), "k", &chat(escaped));
            assert_eq!((refused.status, refused.header("x-should-retry")), (429, Some("false")));
            assert!(refused.json()["error"]["message"].as_str().expect("a text").contains("'model'"));
        }
        let fifth = ask(&mut envoy.connect(), "k", &chat("other"));
        assert_eq!((fifth.status, fifth.header("x-ratelimit-remaining-requests")), (200, Some("0")));
        let sixth = ask(&mut envoy.connect(), "k", &chat("another"));
        assert!(sixth.status == 429 && sixth.json()["error"]["message"].to_string().contains("'client'"));
        assert_eq!(ask(&mut envoy.connect(), "l", &chat("r1")).status, 200);

        let answered = upstream.seen();
        assert_eq!(answered.iter().filter(|seen| !seen.body.is_empty()).count(), 6);
        assert!(!hold || answered.len() == 6, "{} reached the upstream", answered.len());
        assert_eq!((envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.throttled")), (6, 4));
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_bucket_of_a_model_admits_what_it_holds_whoever_races_for_it() {
    let model = json!({ "hold_headers": true, "limits": [
        { "name": "big", "per": [], "requests": { "rate": "10/d", "burst": 100 }, "when": { "model": ["r1", "big-*"] } },
        { "name": "all", "per": [], "requests": { "rate": "50/d", "burst": 1_000 } },
    ]});
    let upstream = Upstream::start();
    let envoy = Envoy::with(listener(&model).to(upstream.port())).workers(4).start();
    let bodies = ["r1", "big-7", "small"].map(chat);
    let counts = race(envoy.front(), 64, 1_500, |n| post(PATH, &[], &bodies[n % 3]));
    assert_eq!(counts, BTreeMap::from([(200, 600), (429, 900)]));
    let rest = race(envoy.front(), 64, 400, |_| post(PATH, &[], &bodies[2]));
    assert_eq!(
        rest,
        BTreeMap::from([(200, 400)]),
        "what the model refused was given back to the limit on all"
    );
    assert_eq!(ask(&mut envoy.connect(), "k", &bodies[2]).status, 429);
    assert_eq!(upstream.seen().len(), 1_000);
    envoy.assert_no_vm_restarted();
}

#[test]
fn the_model_is_found_in_bodies_of_any_framing_and_size() {
    let upstream = Upstream::start();
    let r1 = json!({ "name": "r1", "per": ["header:x-case"], "requests": { "rate": "1/d", "burst": 1 },
        "when": { "model": "r1", "methods": ["POST"] } });
    for hold in [true, false] {
        let envoy = start(&json!({ "limits": [r1], "hold_headers": hold }), &upstream);
        let large = format!(r#"{{"messages":[{{"content":"{}"}}],"model":"r1"}}"#, "x".repeat(700_000));
        let small = format!(r#"{{"messages":[{{"content":"{}"}}],"model":"v3"}}"#, "x".repeat(700_000));
        let mut connection = envoy.connect();
        for (case, body, second) in [("large", &large, 429), ("small", &small, 200)] {
            let statuses = [(); 2].map(|()| {
                let request = post(PATH, &[("x-case", case)], body.as_bytes());
                connection.exchange(&request).expect("an answer").status
            });
            assert_eq!(statuses, [200, second], "{case}");
            connection = envoy.connect();
        }
        for cut in [1, 9, 30] {
            let body = chat("r1");
            let case = format!("chunked-{cut}");
            let statuses = [(); 2].map(|()| {
                let mut connection = envoy.connect();
                let head = format!(
                    "POST {PATH} HTTP/1.1\r\nhost: a\r\nx-case: {case}\r\ntransfer-encoding: chunked\r\n\r\n"
                );
                connection.send(head.as_bytes()).expect("sent");
                for piece in body.chunks(cut) {
                    connection.send(format!("{:x}\r\n", piece.len()).as_bytes()).expect("sent");
                    connection.send(&[piece, b"\r\n"].concat()).expect("sent");
                }
                connection.send(b"0\r\n\r\n").expect("sent");
                connection.receive().expect("an answer").status
            });
            assert_eq!(statuses, [200, 429], "{case}");
        }
        let mut fields = http2::post(PATH.as_bytes());
        fields.push((b"x-case", b"http2"));
        let statuses = [(); 2].map(|()| {
            http2::exchange_with_trailers(envoy.front(), &fields, &chat("r1"), &[(b"x-end", b"1")])
                .expect("an answer")
                .status
        });
        assert_eq!(statuses, [200, 429]);
        for (case, path) in [("get", "/v1/models"), ("get", "/v1/models")] {
            assert_eq!(
                envoy.connect().exchange(&get(path, &[("x-case", case)])).expect("an answer").status,
                200
            );
        }
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_body_that_hides_its_model_is_counted_by_every_limit_on_models() {
    let upstream = Upstream::start();
    let r1 = json!({ "name": "r1", "per": ["header:x-case"], "requests": { "rate": "1/d", "burst": 1 },
        "when": { "model": "r1" } });
    let envoy = start(&json!({ "limits": [r1], "hold_headers": true }), &upstream);
    let deep = format!(r#"{{"x":{}{},"model":"r1"}}"#, "[".repeat(100), "]".repeat(100));
    let utf16: Vec<u8> = r#"{"model":"r1"}"#.bytes().flat_map(|byte| [0, byte]).collect();
    let cases: [(&str, &[u8]); 6] = [
        ("deep", deep.as_bytes()),
        ("nan", br#"{"x":NaN,"model":"r1"}"#),
        ("utf-16", &utf16),
        ("form", b"model=r1"),
        ("cut", br#"{"model":"v3","#),
        ("bytes", b"\xff\xfe\x00\x80{}"),
    ];
    for (case, body) in cases {
        let ask = || {
            let request = post(PATH, &[("x-case", case)], body);
            envoy.connect().exchange(&request).expect("an answer").status
        };
        assert_eq!([ask(), ask()], [200, 429], "{case}");
    }
    let gzip = || {
        let headers = [("x-case", "gzip"), ("content-encoding", "gzip")];
        envoy.connect().exchange(&post(PATH, &headers, &chat("v3"))).expect("an answer").status
    };
    assert_eq!([gzip(), gzip()], [200, 429]);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_request_is_delayed_by_a_limit_on_its_model_and_its_body_arrives_whole() {
    let upstream = Upstream::start();
    let slow = json!({ "name": "slow", "per": ["model"], "requests": { "rate": "30/min", "burst": 1 },
        "exceed": { "delay": "5s" } });
    for hold in [true, false] {
        let before = upstream.seen().len();
        let envoy = start(&json!({ "limits": [slow], "hold_headers": hold }), &upstream);
        let start = Instant::now();
        let mut connection = envoy.connect();
        let waits = [(); 3].map(|()| {
            assert_eq!(ask(&mut connection, "k", &chat("r1")).status, 200);
            start.elapsed().as_millis()
        });
        assert!(waits[1] >= 2_000 && waits[2] >= 4_000, "{waits:?}");
        assert!(upstream.seen()[before..].iter().all(|seen| seen.body == chat("r1")));
        assert_eq!((envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.delayed")), (3, 2));
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_client_that_leaves_before_its_model_is_known_leaves_nothing_behind() {
    let upstream = Upstream::start();
    let limits = [limit("model", &json!(["model"]), 1)];
    let envoy = start(&json!({ "limits": limits, "hold_headers": true }), &upstream);
    for _ in 0..50 {
        let mut connection = envoy.connect();
        let head = format!("POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 400\r\n\r\n");
        connection.send(&[head.as_bytes(), br#"{"model":"r1","#].concat()).expect("sent");
    }
    assert_eq!(ask(&mut envoy.connect(), "k", &chat("r1")).status, 200);
    assert_eq!(ask(&mut envoy.connect(), "k", &chat("r1")).status, 429);
    assert_eq!(upstream.seen().len(), 1);
    envoy.assert_no_vm_restarted();
}
