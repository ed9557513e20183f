//! Answers that are given again: which are kept, to whom they are given, and in how much memory.

mod apis;
mod control;
mod good;
mod memory;
mod scope;
mod share;

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The usual client's key.
const KEY: [(&str, &str); 1] = [("authorization", "Bearer sk-1")];

/// A good chat answer with these headers besides.
fn good_with(headers: &str) -> Vec<Step> {
    let body = json!({ "choices": [{ "message": { "content": "Paris" }, "finish_reason": "stop" }] });
    json_answer(headers, &body)
}

fn json_answer(headers: &str, body: &Value) -> Vec<Step> {
    let headers = format!("content-type: application/json\r\n{headers}");
    vec![Step::Send(answer(200, &headers, body.to_string().as_bytes()))]
}

/// Answers numbered in the order in which they were asked for.
fn numbered() -> impl Fn(&tidegate_tests::upstream::Seen) -> Vec<Step> + Send + Sync {
    let asked = AtomicUsize::new(0);
    move |_| said(&format!("answer {}", asked.fetch_add(1, Ordering::Relaxed)))
}

fn keeping(cached: Value) -> Value {
    json!({ "timeout": "2s", "breaker": { "min_requests": 100_000 }, "tiers": { "cached": cached } })
}

fn text(answer: &Answer) -> Value {
    answer.json()["choices"][0]["message"]["content"].clone()
}

/// A cluster that answers as it is told to, behind a cache.
struct Kept {
    upstream: Upstream,
    envoy: Envoy,
}

impl Kept {
    fn new(cached: Value) -> Self {
        let upstream = Upstream::start();
        let envoy = start(keeping(cached), &upstream);
        Self { upstream, envoy }
    }

    /// Whether this answer to a question is kept: it is given again when the cluster fails.
    fn holds(&self, question: &str, steps: Vec<Step>, stream: bool) -> bool {
        self.gives_again(&post(CHAT, &KEY, &body(question, stream)), steps)
    }

    /// The same for any request.
    fn gives_again(&self, request: &[u8], steps: Vec<Step>) -> bool {
        self.upstream.follow(move |_| steps.clone());
        let _ = self.envoy.connect().exchange(request);
        self.gives(request)
    }

    /// Whether a kept answer is given when the cluster fails.
    fn gives(&self, request: &[u8]) -> bool {
        self.upstream.follow(|_| failing());
        let again = self.envoy.connect().exchange(request).expect("an answer");
        let is_kept = degraded(&again).is_some_and(|degraded| degraded.starts_with("cached"));
        assert_eq!(again.status, if is_kept { 200 } else { 503 });
        is_kept
    }
}

#[test]
fn the_last_good_answer_to_the_same_question_is_given_when_the_cluster_fails() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({})), &upstream);
    let fresh = ask(&envoy, "x");
    assert_eq!((text(&fresh), degraded(&fresh)), (json!("answer 0"), None));
    assert_eq!(text(&ask(&envoy, "x")), "answer 1");
    upstream.follow(|_| failing());
    thread::sleep(Duration::from_millis(1_100));
    let kept = ask(&envoy, "x");
    assert_eq!((kept.status, text(&kept)), (200, json!("answer 1")));
    assert_eq!(kept.header("content-type"), Some("application/json"));
    let age = kept.number("age");
    assert!(age >= 1);
    assert_eq!(degraded(&kept), Some(format!("cached;age={age}").as_str()));
    let reordered = br#"{"max_tokens":16,"stream":false,"messages":[{"content":"\u0078","role":"user"}],"model":"small"}"#;
    assert_eq!(text(&ask_as(&envoy, "Bearer sk-1", CHAT, reordered)), "answer 1");
    upstream.follow(|_| vec![Step::Send(answer(429, "", b"{}"))]);
    assert_eq!(text(&ask(&envoy, "x")), "answer 1");
    assert_eq!(ask(&envoy, "y").status, 429);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_stream_is_given_again_as_the_same_stream() {
    let upstream =
        Upstream::scripted(|_| vec![streaming(), role(), content("a"), content("b"), stop(), done(), end()]);
    let envoy = start(keeping(json!({})), &upstream);
    let ask = || ask_as(&envoy, "Bearer sk-1", CHAT, &body("x", true));
    let first = ask();
    upstream.cut();
    let again = ask();
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert!(degraded(&again).is_some_and(|degraded| degraded.starts_with("cached;age=")));
    assert_eq!(ask_as(&envoy, "Bearer sk-1", CHAT, &body("x", false)).status, 503, "asked for no stream");
}

#[test]
fn what_is_not_to_be_stored_is_neither_kept_nor_answered_from_what_is() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({})), &upstream);
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        envoy.connect().exchange(&post(CHAT, headers, body)).expect("an answer")
    };
    let question = body("x", false);
    let private = [("authorization", "Bearer sk-1"), ("cache-control", "no-cache, No-Store")];
    assert_eq!(send(&private, &question).status, 200);
    for body in [&br#"{"a":1,"a":2}"#[..], b"[]", b"{", br#"{"model":"a","model":"b"}"#] {
        assert_eq!(send(&private[..1], body).status, 200);
    }
    assert_eq!(envoy.counter("degradation.kept"), 0);
    assert_eq!(send(&private[..1], &question).status, 200);
    assert_eq!(envoy.counter("degradation.kept"), 1);
    upstream.cut();
    assert_eq!((send(&private, &question).status, send(&private[..1], &question).status), (503, 200));
}

#[test]
fn only_whole_answers_that_are_what_they_claim_to_be_are_kept() {
    let document = br#"{"choices":[{"message":{"content":"Paris"},"finish_reason":"stop"}]}"#;
    let good = answer(200, "content-type: application/json\r\n", document);
    let cache = Kept::new(json!({}));
    let sent = |bytes: Vec<u8>| vec![Step::Send(bytes)];
    let json = "content-type: application/json\r\n";
    assert!(cache.holds("whole", sent(good.clone()), false));
    assert!(cache.holds("a whole stream", vec![streaming(), content("a"), stop(), done(), end()], true));
    let cases: [(&str, Vec<Step>); 10] = [
        ("no 200", sent(answer(201, json, document))),
        ("no JSON", sent(answer(200, json, b"{\"choices\":["))),
        ("another type", sent(answer(200, "content-type: text/html\r\n", document))),
        ("no type", sent(answer(200, "", document))),
        ("compressed", sent(answer(200, &format!("{json}content-encoding: gzip\r\n"), document))),
        (
            "an error in the stream",
            vec![streaming(), content("a"), event(r#"{"error":{"code":500}}"#), done(), end()],
        ),
        ("a stream without its end", vec![streaming(), content("a"), stop(), end()]),
        ("a stream that is no JSON", vec![streaming(), content("a"), event("{"), done(), end()]),
        ("a stream that is reset", vec![streaming(), content("a"), stop(), done(), Step::Close]),
        (
            "a length too long",
            vec![Step::Send(good.iter().copied().take(good.len() - 1).collect()), Step::Close],
        ),
    ];
    for (what, steps) in cases {
        assert!(!cache.holds(what, steps, what.contains("stream")), "{what}");
    }
    let length = |length: usize| format!("content-length: {length}\r\n");
    let text = String::from_utf8(good).expect("text");
    let short = text.replace(&length(document.len()), &length(document.len() - 1));
    assert_ne!(short, text);
    assert!(!cache.holds("short", sent(short.into_bytes()), false), "a length too short");
    cache.envoy.assert_no_vm_restarted();
}

#[test]
fn an_answer_of_the_longest_length_is_kept_and_one_of_a_byte_more_is_not() {
    let cache = Kept::new(json!({ "max_entry": "1000B", "max_entries": 8 }));
    let of = |length: usize, chunked: bool| {
        let frame = json!({ "choices": [{ "message": { "content": "" } }] }).to_string();
        let body = frame.replace("\"\"", &format!("\"{}\"", "y".repeat(length - frame.len())));
        assert_eq!(body.len(), length);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let (first, rest) = body.split_at(500);
        let chunked_body = format!("{head}{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", 500, rest.len());
        let whole = answer(200, "content-type: application/json\r\n", body.as_bytes());
        vec![Step::Send(if chunked { chunked_body.into_bytes() } else { whole })]
    };
    for chunked in [false, true] {
        assert!(cache.holds(&format!("{chunked}"), of(1_000, chunked), false));
        assert!(!cache.holds(&format!("one over, {chunked}"), of(1_001, chunked), false));
    }
}

#[test]
fn an_answer_that_is_fresh_saves_the_work_and_one_that_is_not_is_asked_for_again() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({ "ttl": "10m", "fresh": "6s" })), &upstream);
    ask(&envoy, "x");
    for _ in 0..10 {
        assert_eq!(text(&ask(&envoy, "x")), "answer 0");
    }
    assert_eq!(
        (upstream.seen().len(), envoy.counter("degradation.cached"), envoy.counter("degradation.admitted")),
        (1, 10, 1)
    );
    wait_for("it to be too old", PATIENCE, || (text(&ask(&envoy, "x")) == "answer 1").then_some(()));
}

#[test]
fn a_drill_gives_what_is_kept_and_the_clusters_answer_to_what_is_not() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({ "force": true, "ttl": "6s" })), &upstream);
    assert_eq!(text(&ask(&envoy, "x")), "answer 0");
    assert_eq!(text(&ask(&envoy, "x")), "answer 0");
    assert_eq!(text(&ask(&envoy, "y")), "answer 1");
    wait_for("it to be too old", PATIENCE, || (text(&ask(&envoy, "x")) == "answer 2").then_some(()));
}
