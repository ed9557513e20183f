//! Answers that are late, and the shape of what clients get instead.

use super::*;
use std::time::Instant;
use tidegate_tests::http2;

const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";
const COMPLETIONS: &str = "/v1/completions";

fn after(seconds: u64, steps: Vec<Step>) -> Vec<Step> {
    [vec![Step::Wait(Duration::from_secs(seconds))], steps].concat()
}

fn impatient(default: Value) -> Value {
    json!({ "timeout": "500ms", "breaker": { "min_requests": 1000 }, "tiers": { "default": default } })
}

#[test]
fn an_answer_that_is_late_is_a_504_when_its_time_is_over_whatever_the_client_asks_for() {
    for hold in [true, false] {
        let upstream = Upstream::scripted(|_| after(30, said("late")));
        let mut configuration = impatient(json!({}));
        configuration["hold_headers"] = json!(hold);
        let envoy = start(configuration, &upstream);
        for stream in [false, true] {
            let begun = Instant::now();
            let request = post(CHAT, &[("x-envoy-upstream-rq-timeout-ms", "60000")], &body("x", stream));
            let answer = envoy.connect().exchange(&request).expect("an answer");
            let took = begun.elapsed();
            assert_eq!(
                (answer.status, degraded(&answer)),
                (504, Some("default")),
                "hold {hold}, stream {stream}"
            );
            assert_eq!(answer.json()["error"]["code"], "inference_timeout");
            assert!(took >= Duration::from_millis(490) && took < Duration::from_secs(20), "{took:?}");
        }
        assert_eq!((envoy.counter("degradation.timeouts"), envoy.counter("degradation.failures")), (2, 2));
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_stream_without_content_is_late_though_it_has_begun_and_one_with_content_is_left_alone() {
    let upstream = Upstream::scripted(|seen| {
        let pause = Step::Wait(Duration::from_millis(1_500));
        let silent =
            vec![streaming(), event(": ping"), role(), pause.clone(), content("late"), stop(), done(), end()];
        let slow = vec![streaming(), role(), content("a"), pause, content("b"), stop(), done(), end()];
        if seen.target == CHAT { silent } else { slow }
    });
    let envoy = start(impatient(json!({})), &upstream);
    let late = ask_as(&envoy, "Bearer sk-1", CHAT, &body("x", true));
    assert_eq!((late.status, late.json()["error"]["code"].clone()), (504, json!("inference_timeout")));
    let slow = ask_as(&envoy, "Bearer sk-1", "/slow/chat/completions", &body("x", true));
    assert_eq!((slow.status, degraded(&slow)), (200, None));
    let text = String::from_utf8(slow.body).expect("text");
    assert!(text.contains("\"a\"") && text.contains("\"b\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(envoy.counter("degradation.timeouts"), 1);
    envoy.assert_no_vm_restarted();
}

#[test]
fn streams_are_told_from_documents_where_requests_are_not_read() {
    let pause = || Step::Wait(Duration::from_millis(1_500));
    let upstream = Upstream::scripted(move |seen| match seen.target.as_str() {
        "/slow" => vec![streaming(), role(), content("a"), pause(), stop(), done(), end()],
        "/silent" => vec![streaming(), role(), pause(), content("late"), stop(), done(), end()],
        _ => said("whole"),
    });
    let mut configuration = impatient(json!({}));
    configuration["hold_headers"] = json!(false);
    let envoy = start(configuration, &upstream);
    let ask = |path: &str| envoy.connect().exchange(&post(path, &[], &body("x", true)));
    assert_eq!(ask(CHAT).expect("an answer").json()["choices"][0]["message"]["content"], "whole");
    let slow = ask("/slow").expect("an answer");
    assert!(slow.status == 200 && slow.body.ends_with(b"data: [DONE]\n\n"), "{slow:?}");
    assert_eq!(envoy.counter("degradation.timeouts"), 0);
    assert!(ask("/silent").is_err(), "it had begun");
    assert_eq!((envoy.counter("degradation.timeouts"), envoy.counter("degradation.failures")), (1, 1));
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_stream_that_fails_before_its_content_is_still_an_answer_of_its_own() {
    let upstream = Upstream::scripted(|seen| match seen.target.as_str() {
        "/error" => vec![streaming(), role(), event(r#"{"error":{"message":"queue full"}}"#), end()],
        "/empty" => vec![streaming(), event(": ping"), end()],
        _ => vec![streaming(), role(), stop(), done(), end()],
    });
    let envoy = start(impatient(json!({})), &upstream);
    for path in ["/error", "/empty"] {
        let failed = ask_as(&envoy, "Bearer sk-1", path, &body("x", true));
        assert_eq!((failed.status, degraded(&failed)), (503, Some("default")), "{path}: {failed:?}");
        assert_eq!(failed.json()["error"]["code"], "cluster_unavailable");
    }
    let nothing_to_say = ask_as(&envoy, "Bearer sk-1", CHAT, &body("x", true));
    assert_eq!((nothing_to_say.status, degraded(&nothing_to_say)), (200, None));
    assert!(nothing_to_say.body.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(envoy.counter("degradation.failures"), 2);
    envoy.assert_no_vm_restarted();
}

#[test]
fn the_first_rule_that_names_the_path_and_the_model_sets_the_time() {
    let upstream = Upstream::start();
    let configuration = json!({ "timeout": "7s", "timeouts": [
        { "path_prefix": "/v1/chat/", "model": "small", "timeout": "2s" },
        { "path_prefix": "/v1/chat/", "timeout": "3s" },
    ]});
    let envoy = start(configuration, &upstream);
    ask(&envoy, "x");
    ask_as(&envoy, "k", CHAT, br#"{"model":"large"}"#);
    ask_as(&envoy, "k", COMPLETIONS, br#"{"model":"small"}"#);
    ask_as(&envoy, "k", COMPLETIONS, br#"{"stream":true}"#);
    let told: Vec<_> = upstream
        .seen()
        .iter()
        .map(|seen| seen.header("x-envoy-expected-rq-timeout-ms").unwrap_or("none").to_owned())
        .collect();
    assert_eq!(told, ["2000", "3000", "7000", "none"]);
}

#[test]
fn every_default_answer_has_the_shape_of_what_was_asked() {
    let upstream = Upstream::start();
    upstream.cut();
    let ordinary = start(impatient(json!({ "status": 200, "message": "Busy." })), &upstream);
    for (path, pointer) in [
        (CHAT, "/choices/0/message/content"),
        (COMPLETIONS, "/choices/0/text"),
        (MESSAGES, "/content/0/text"),
        (RESPONSES, "/output/0/content/0/text"),
    ] {
        let whole = ask_as(&ordinary, "Bearer sk-1", path, &body("x", false));
        assert_eq!((whole.status, degraded(&whole)), (200, Some("default")), "{path}");
        assert_eq!(whole.header("content-type"), Some("application/json"));
        assert_eq!(whole.json().pointer(pointer), Some(&json!("Busy.")), "{path}");
        assert_eq!(whole.json()["model"], "small");
        let streamed = ask_as(&ordinary, "Bearer sk-1", path, &body("x", true));
        assert_eq!((streamed.status, streamed.header("content-type")), (200, Some("text/event-stream")));
        let text = String::from_utf8(streamed.body).expect("text");
        let end = match path {
            MESSAGES => "event: message_stop\n",
            RESPONSES => "event: response.completed\n",
            _ => "data: [DONE]\n\n",
        };
        assert!(text.contains("\"Busy.\"") && text.contains(end), "{path}: {text}");
    }
    for path in ["/v1/embeddings", "/metrics"] {
        let error = ask_as(&ordinary, "Bearer sk-1", path, &body("x", false));
        assert_eq!((error.status, degraded(&error)), (503, Some("default")), "{path}");
        assert!(error.number("retry-after") >= 1 && error.json()["error"]["message"] == "Busy.");
    }
    let get = ordinary.connect().exchange(&tidegate_tests::http::get("/v1/models", &[])).expect("an answer");
    assert_eq!((get.status, get.json()["error"]["code"].clone()), (503, json!("cluster_unavailable")));
    let trailers = http2::exchange_with_trailers(
        ordinary.front(),
        &http2::post(CHAT.as_bytes()),
        &body("x", false),
        &[(b"x-sum", b"1")],
    );
    assert_eq!(trailers.expect("an answer").json()["choices"][0]["message"]["content"], "Busy.");
    ordinary.assert_no_vm_restarted();
}

#[test]
fn those_who_opted_out_get_the_clusters_own_answers_and_an_honest_error_while_it_is_not_asked() {
    let upstream = Upstream::scripted(|_| failing());
    let configuration = json!({
        "breaker": { "min_requests": 5, "open_for": "60s" },
        "tiers": { "default": { "status": 200, "message": "Busy." } },
        "opt_out": [{ "header": "x-class", "value": "exact" }],
    });
    let envoy = start(configuration, &upstream);
    let exact = || {
        let headers = [("authorization", "Bearer sk-1"), ("x-class", "exact")];
        envoy.connect().exchange(&post(CHAT, &headers, &body("x", false))).expect("an answer")
    };
    let own = exact();
    assert_eq!((own.status, own.body.as_slice(), degraded(&own)), (500, b"out of memory".as_slice(), None));
    wait_for("the breaker to open", PATIENCE, || {
        ask(&envoy, "x");
        (envoy.counter("degradation.breaker_state") == 1).then_some(())
    });
    wait_until_noticed(&envoy, &upstream);
    let refused = exact();
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].clone()),
        (503, json!("cluster_unavailable"))
    );
    assert_eq!(ask(&envoy, "x").status, 200);
}

#[test]
fn in_shadow_everything_passes_and_is_counted() {
    let upstream = Upstream::scripted(|_| failing());
    let envoy = start(json!({ "breaker": { "min_requests": 5 }, "shadow": true }), &upstream);
    for _ in 0..20 {
        assert_eq!((ask(&envoy, "x").status, ask(&envoy, "x").body), (500, b"out of memory".to_vec()));
    }
    assert_eq!((upstream.seen().len(), envoy.counter("degradation.breaker_opened")), (40, 1));
    assert!(envoy.counter("degradation.shadowed") >= 40 && envoy.counter("degradation.refused") == 0);
    assert!(
        upstream.seen().iter().all(|seen| seen.header("x-envoy-expected-rq-timeout-ms") == Some("30000"))
    );
}
