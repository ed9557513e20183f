//! Requests that are made smaller, and those that are refused meanwhile.

use super::*;
use tidegate_tests::http2;

fn drill(hold: bool) -> Value {
    json!({ "hold_headers": hold, "tiers": { "reduce": {
        "force": true, "clamp_completion_tokens": 256, "drop": ["logprobs", "n", "best_of", "tools"],
        "refuse_paths": ["/v1/embeddings"], "model": "tiny",
    }}})
}

fn send(envoy: &Envoy, body: &str) -> Answer {
    ask_as(envoy, "Bearer sk-1", CHAT, body.as_bytes())
}

#[test]
fn work_that_clients_can_do_without_is_dropped_and_the_framing_is_right() {
    for hold in [true, false] {
        let upstream = Upstream::scripted(|_| said("short"));
        let envoy = start(drill(hold), &upstream);
        let mut connection = envoy.connect();
        let mut send =
            |body: &str| connection.exchange(&post(CHAT, &[], body.as_bytes())).expect("an answer");
        let answer = send(
            r#" {"model": "large", "messages" : [], "max_tokens":4096, "n":4,"best_of" : 8,"logprobs":true,"top_logprobs":5,"tools":[{"a":"}"}],"x":"é"} "#,
        );
        assert_eq!(answer.status, 200);
        assert_eq!(
            degraded(&answer),
            Some("reduce;max_tokens=4096->256;logprobs;n=4->1;best_of=8->1;tools;model=tiny"),
            "hold {hold}"
        );
        let expected = r#" {"model": "tiny", "messages" : [], "max_tokens":256, "n":1,"best_of" : 1,"logprobs":null,"top_logprobs":null,"tools":null,"x":"é"} "#;
        let unlimited = send(r#"{"messages":[],"model":"tiny"}"#);
        assert_eq!(degraded(&unlimited), Some("reduce;max_tokens=none->256"));
        for seen in [
            r#"{"model":"tiny","max_tokens":256}"#,
            "[1]",
            "{",
            "",
            r#"{"model":"tiny","max_tokens":7,"n":1}"#,
        ] {
            let same = send(seen);
            assert_eq!((same.status, degraded(&same)), (200, None), "{seen}");
        }
        let bodies: Vec<_> =
            upstream.seen().into_iter().map(|seen| String::from_utf8(seen.body).expect("text")).collect();
        assert_eq!(bodies[0], expected, "hold {hold}");
        assert_eq!(bodies[1], r#"{"max_tokens":256,"messages":[],"model":"tiny"}"#);
        assert_eq!(bodies[2..6], [r#"{"model":"tiny","max_tokens":256}"#, "[1]", "{", ""]);
        for seen in upstream.seen() {
            let length = seen.header("content-length").map(str::to_owned);
            let kept = hold || seen.body.is_empty();
            assert_eq!(length, kept.then(|| seen.body.len().to_string()), "hold {hold}");
        }
        assert_eq!(envoy.counter("degradation.reduced"), 2);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_body_in_chunks_or_with_trailers_is_made_smaller_too() {
    for hold in [true, false] {
        let upstream = Upstream::scripted(|_| said("short"));
        let envoy = start(drill(hold), &upstream);
        let chunked = "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
                       17\r\n{\"messages\":[],\"model\":\r\n19\r\n\"tiny\",\"max_tokens\":9999}\r\n0\r\n\r\n";
        let answer = envoy.connect().exchange(chunked.as_bytes()).expect("an answer");
        assert_eq!(degraded(&answer), Some("reduce;max_tokens=9999->256"));
        let fields = http2::post(CHAT.as_bytes());
        let body = br#"{"messages":[],"model":"tiny","max_tokens":9999}"#;
        let answer = http2::exchange_with_trailers(envoy.front(), &fields, body, &[(b"x-sum", b"1")]);
        assert_eq!(answer.expect("an answer").status, 200);
        for seen in upstream.seen() {
            assert_eq!(seen.body, br#"{"messages":[],"model":"tiny","max_tokens":256}"#, "hold {hold}");
        }
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn paths_that_are_not_for_now_are_refused_however_they_are_written() {
    let upstream = Upstream::start();
    let envoy = start(drill(true), &upstream);
    for path in ["/v1/embeddings", "/v1//embeddings", "/v1/%65mbeddings?x=1"] {
        let refused = ask_as(&envoy, "Bearer sk-1", path, &body("x", false));
        assert_eq!((refused.status, degraded(&refused)), (503, Some("reduce;refused")), "{path}");
        assert!(refused.number("retry-after") >= 1);
    }
    assert_eq!((upstream.seen().len(), envoy.counter("degradation.refused_path")), (0, 3));
}

#[test]
fn the_tier_is_entered_by_what_is_measured_and_left_when_that_is_over() {
    let upstream = Upstream::scripted(|seen| if seen.target == "/fail" { failing() } else { said("x") });
    let configuration = json!({
        "breaker": { "window": "1s", "min_requests": 10, "error_ratio": 0.9 },
        "tiers": { "reduce": { "at": { "error_ratio": 0.2 }, "hold": "500ms", "clamp_completion_tokens": 8 } },
    });
    let envoy = start(configuration, &upstream);
    assert_eq!(degraded(&ask(&envoy, "x")), None);
    tidegate_tests::wait_for("the tier", PATIENCE, || {
        ask_as(&envoy, "Bearer sk-1", "/fail", b"{}");
        (degraded(&ask(&envoy, "x")) == Some("reduce;max_tokens=16->8")).then_some(())
    });
    tidegate_tests::wait_for("the tier to end", PATIENCE, || {
        degraded(&ask(&envoy, "x")).is_none().then_some(())
    });
    assert_eq!(envoy.counter("degradation.breaker_opened"), 0);
    assert_eq!(send(&envoy, "{\"max_tokens\":16}").status, 200);
}

#[test]
fn a_drill_of_the_last_tier_asks_the_cluster_nothing() {
    let upstream = Upstream::start();
    let tiers = json!({ "default": { "force": true, "status": 529, "message": "A drill." } });
    let envoy = start(json!({ "tiers": tiers }), &upstream);
    let answer = ask(&envoy, "x");
    assert_eq!((answer.status, answer.json()["error"]["message"].clone()), (529, json!("A drill.")));
    assert_eq!((upstream.seen().len(), envoy.counter("degradation.refused")), (0, 1));
}
