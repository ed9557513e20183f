//! What is not charged, and to whom a limit does not apply.

use serde_json::{Value, json};
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};
use tidegate_tests::upstream::Upstream;

const CHAT: &str = "/v1/chat/completions";

fn envoy(upstream: &Upstream, document: &Value) -> Envoy {
    let filter = module("rate-limit.wasm", "rate-limit", &document.to_string());
    Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start()
}

fn limit(per: &Value, burst: u32, when: &Value) -> Value {
    json!({ "name": "limit", "per": per, "requests": { "rate": "1/h", "burst": burst }, "when": when })
}

fn status(envoy: &Envoy, request: &[u8]) -> u16 {
    envoy.connect().exchange(request).expect("an answer").status
}

fn options(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let text = String::from_utf8(get(path, headers)).expect("text");
    text.replacen("GET", "OPTIONS", 1).into_bytes()
}

#[test]
fn health_metrics_and_preflights_are_not_charged_unless_a_list_says_otherwise() {
    let upstream = Upstream::start();
    let preflight = options(CHAT, &[("origin", "https://a"), ("access-control-request-method", "POST")]);
    let usual = envoy(&upstream, &json!({ "limits": [limit(&json!([]), 1, &json!({}))] }));
    assert_eq!(status(&usual, &post(CHAT, &[], b"{}")), 200);
    for request in [get("/health", &[]), get("/metrics", &[]), get("/x/../health?y", &[]), preflight.clone()]
    {
        assert_eq!(status(&usual, &request), 200);
    }
    for request in [
        post(CHAT, &[], b"{}"),
        options(CHAT, &[]),
        get("/health_generate", &[]),
        get("/health/../v1/models", &[]),
        get("/health/x", &[]),
    ] {
        assert_eq!(status(&usual, &request), 429, "{}", String::from_utf8_lossy(&request));
    }

    let strict = envoy(&upstream, &json!({ "limits": [limit(&json!([]), 1, &json!({}))], "exempt": [] }));
    assert_eq!([get("/health", &[]), preflight].map(|request| status(&strict, &request)), [200, 429]);
}

#[test]
fn networks_and_paths_that_are_exempt_are_not_charged_and_limits_leave_out_what_they_are_not_about() {
    let upstream = Upstream::start();
    let from = |address: &str, path: &str| get(path, &[("x-forwarded-for", address)]);
    let document = json!({
        "limits": [limit(&json!([]), 1, &json!({
            "not": { "path_prefix": "/v1/models", "methods": ["GET"] }
        }))],
        "exempt": ["10.0.0.0/8", "2001:db8::/32", "/internal/"],
        "address": { "trusted_hops": 2 }
    });
    let envoy = envoy(&upstream, &document);
    assert_eq!(status(&envoy, &from("11.0.0.1", CHAT)), 200);
    assert_eq!(status(&envoy, &from("11.0.0.1", CHAT)), 429);
    assert_eq!(status(&envoy, &from("11.0.0.1", "/health")), 429, "a written list replaces the usual one");
    for (address, path) in [
        ("10.1.2.3", CHAT),
        ("::ffff:10.1.2.3", CHAT),
        ("2001:db8::1", CHAT),
        ("11.0.0.1", "/internal/x"),
        ("11.0.0.1", "/v1/models/x"),
    ] {
        assert_eq!(status(&envoy, &from(address, path)), 200, "{address} {path}");
    }
    assert_eq!(status(&envoy, &from("11.0.0.1", "/v1/modelsx")), 429);
}

#[test]
fn a_limit_on_networks_and_a_prefix_apply_to_no_more_than_they_say() {
    let upstream = Upstream::start();
    let when = json!({ "path_prefix": "/v1", "addresses": ["127.0.0.0/8"] });
    let envoy = envoy(&upstream, &json!({ "limits": [limit(&json!(["client"]), 1, &when)] }));
    assert_eq!([(); 2].map(|()| status(&envoy, &get("/v1", &[]))), [200, 429]);
    assert_eq!([(); 2].map(|()| status(&envoy, &get("/v10/x", &[]))), [200, 200]);
}

#[test]
fn a_model_that_the_path_names_has_its_bucket_whatever_the_body_says() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream, &json!({ "limits": [limit(&json!(["model"]), 2, &json!({}))] }));
    let only = |model: &str| json!({ "limits": [limit(&json!([]), 2, &json!({ "model": model }))] });
    for path in [
        "/openai/deployments/m/chat/completions",
        "/v1beta/models/gemini-2:generateContent",
        "/v2/models/x/infer",
    ] {
        let body = |n: usize| format!(r#"{{"model":"junk-{n}"}}"#).into_bytes();
        let bodies = [b"{}".to_vec(), body(1), body(2)];
        let answers = bodies.map(|body| status(&envoy, &post(path, &[], &body)));
        assert_eq!(answers, [200, 200, 429], "{path}");
    }
    assert_eq!(status(&envoy, &post("/openai/deployments/other/chat/completions", &[], b"{}")), 200);
    let envoy = self::envoy(&upstream, &only("gemini-*"));
    let path = |model: &str| post(&format!("/v1beta/models/{model}:generateContent"), &[], b"{}");
    assert_eq!([(); 3].map(|()| status(&envoy, &path("gemini-2"))), [200, 200, 429]);
    assert_eq!(status(&envoy, &path("gemma-3")), 200);
}
