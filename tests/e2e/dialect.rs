//! Errors in the words of the API that was asked.

use serde_json::{Value, json};
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, post};
use tidegate_tests::upstream::Upstream;

const MESSAGES: &str = "/v1/messages";

fn filter(root_id: &str, document: &Value) -> Value {
    let mut filter = module(&format!("{root_id}.wasm"), root_id, &document.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
    filter
}

fn start(filter: Value, upstream: &Upstream) -> Envoy {
    Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start()
}

fn ask(envoy: &Envoy, path: &str, body: &[u8]) -> Answer {
    envoy.connect().exchange(&post(path, &[("content-type", "application/json")], body)).expect("an answer")
}

fn limiting(more: &Value) -> Value {
    let requests = json!({ "rate": "1/min", "burst": 2 });
    let mut document = json!({ "limits": [{ "name": "l", "per": ["path"], "requests": requests }] });
    document.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    filter("rate-limit", &document)
}

#[test]
fn a_refused_client_is_told_in_the_words_of_its_api_and_sees_its_limit_there() {
    let upstream = Upstream::start();
    let envoy = start(limiting(&json!({})), &upstream);
    let refused = |path: &str| {
        let admitted = ask(&envoy, path, b"{}");
        assert_eq!((admitted.status, ask(&envoy, path, b"{}").status), (200, 200));
        (admitted, ask(&envoy, path, b"{}"))
    };
    for path in [MESSAGES, "/v1/messages/count_tokens"] {
        let (admitted, answer) = refused(path);
        assert_eq!((answer.status, &answer.json()["type"]), (429, &json!("error")), "{path}");
        let error = &answer.json()["error"];
        assert_eq!((error["type"].as_str(), &error["code"]), (Some("rate_limit_error"), &Value::Null));
        assert!(error["message"].as_str().is_some_and(|text| text.contains("Rate limit 'l' reached")));
        for (shown, remaining) in [(&admitted, "1"), (&answer, "0")] {
            assert_eq!(shown.header("anthropic-ratelimit-requests-limit"), Some("2"));
            assert_eq!(shown.header("anthropic-ratelimit-requests-remaining"), Some(remaining));
            let reset = shown.header("anthropic-ratelimit-requests-reset").expect("a reset");
            assert!(reset.len() == 20 && reset.starts_with("20") && reset.ends_with('Z'), "{reset}");
            assert_eq!(shown.header("x-ratelimit-limit-requests"), Some("2"));
        }
    }
    for path in ["/api/chat", "/api/generate", "/api/embed"] {
        let (admitted, answer) = refused(path);
        assert!(
            answer.json()["error"].as_str().is_some_and(|text| text.contains("Rate limit 'l'")),
            "{path}"
        );
        assert_eq!(admitted.header("anthropic-ratelimit-requests-limit"), None);
    }
    let (_, answer) = refused("/v1/chat/completions");
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(answer.header("ratelimit"), None);
    envoy.assert_no_vm_restarted();
}

#[test]
fn the_headers_of_the_ietf_are_there_on_request() {
    let upstream = Upstream::start();
    let envoy = start(limiting(&json!({ "ietf_headers": true })), &upstream);
    let answers = [(); 3].map(|()| ask(&envoy, "/v1/chat/completions", b"{}"));
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 200, 429]);
    for (answer, remaining) in answers.iter().zip(["1", "0", "0"]) {
        assert_eq!(answer.header("ratelimit-policy"), Some("\"requests\";q=2"));
        let shown = answer.header("ratelimit").expect("it is there");
        assert!(shown.starts_with(&format!("\"requests\";r={remaining};t=")), "{shown}");
    }
}

#[test]
fn an_upstream_that_names_a_tighter_limit_in_the_same_words_is_left_alone() {
    let upstream = Upstream::answering(|_| {
        let named = "anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-limit: 7";
        format!("HTTP/1.1 200 OK\r\n{named}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let envoy = start(limiting(&json!({})), &upstream);
    let answer = ask(&envoy, MESSAGES, b"{}");
    assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), Some("7"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
}

#[test]
fn a_prompt_that_is_refused_and_a_cluster_that_is_down_are_told_in_the_words_of_the_api() {
    let upstream = Upstream::start();
    let input = json!({ "max_body": "1KiB", "hold_headers": true });
    let envoy = start(filter("input-limit", &input), &upstream);
    for (body, status, kind) in
        [(b"{".to_vec(), 400, "invalid_request_error"), (vec![b' '; 2_000], 413, "request_too_large")]
    {
        let answer = ask(&envoy, MESSAGES, &body);
        let error = answer.json();
        assert_eq!(
            (answer.status, &error["type"], &error["error"]["type"]),
            (status, &json!("error"), &json!(kind))
        );
        let ollama = ask(&envoy, "/api/chat", &body);
        assert!(ollama.status == status && ollama.json()["error"].is_string());
    }

    let down = Upstream::answering(|_| b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec());
    let envoy = start(filter("degradation", &json!({ "hold_headers": true })), &down);
    let answer = ask(&envoy, MESSAGES, br#"{"messages":[]}"#);
    let error = answer.json();
    assert_eq!(
        (answer.status, &error["type"], &error["error"]["type"]),
        (503, &json!("error"), &json!("overloaded_error"))
    );
    assert!(ask(&envoy, "/api/chat", br#"{"messages":[]}"#).json()["error"].is_string());
}

#[test]
fn a_default_answer_to_a_response_is_one_and_to_embeddings_an_error() {
    let down = Upstream::answering(|_| b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec());
    let default =
        json!({ "hold_headers": true, "tiers": { "default": { "status": 200, "message": "busy" } } });
    let envoy = start(filter("degradation", &default), &down);
    let answer = ask(&envoy, "/v1/responses", br#"{"model":"m","input":"?"}"#);
    assert_eq!((answer.status, &answer.json()["output"][0]["content"][0]["text"]), (200, &json!("busy")));
    let stream = ask(&envoy, "/v1/responses", br#"{"model":"m","input":"?","stream":true}"#);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let text = String::from_utf8_lossy(&stream.body);
    assert!(text.contains("event: response.output_text.delta") && text.contains("event: response.completed"));
    let embedding = ask(&envoy, "/v1/embeddings", br#"{"model":"m","input":"?"}"#);
    assert_eq!((embedding.status, &embedding.json()["error"]["message"]), (503, &json!("busy")));
}
