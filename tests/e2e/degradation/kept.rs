//! Answers that are given again: which are kept, to whom they are given, and in how much memory.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tidegate_tests::wait_for;

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
        self.upstream.follow(move |_| steps.clone());
        let request = post(CHAT, &[("authorization", "Bearer sk-1")], &body(question, stream));
        let _ = self.envoy.connect().exchange(&request);
        self.upstream.follow(|_| failing());
        let again = self.envoy.connect().exchange(&request).expect("an answer");
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
fn no_client_gets_the_answer_of_another_unless_they_share() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({})), &upstream);
    let send = |path: &str, headers: &[(&str, &str)]| {
        envoy.connect().exchange(&post(path, headers, &body("x", false))).expect("an answer")
    };
    let victim = [("authorization", "Bearer sk-1")];
    assert_eq!(text(&send(CHAT, &victim)), "answer 0");
    let others: [&[(&str, &str)]; 7] = [
        &[("authorization", "Bearer sk-2")],
        &[("authorization", "Bearer sk-1"), ("authorization", "Bearer sk-2")],
        &[("authorization", "Bearer sk-2"), ("x-api-key", "sk-1")],
        &[("authorization", "Bearer sk-1, Bearer sk-2")],
        &[("authorization", "Bearer sk-1"), ("anthropic-version", "1")],
        &[("x-forwarded-for", "127.0.0.1")],
        &[],
    ];
    for headers in others {
        assert_eq!(send(CHAT, headers).status, 200);
    }
    upstream.cut();
    for headers in [others[1], others[3], others[5], others[6]] {
        assert_eq!(send(CHAT, headers).status, 503, "{headers:?}: nobody can tell whose that is");
    }
    for (number, headers) in [(0, &victim[..]), (3, others[0]), (5, others[4])] {
        assert_eq!(text(&send(CHAT, headers)), format!("answer {number}"), "{headers:?}");
    }
    assert_eq!(send("/v1/completions", &victim).status, 503, "another path is another question");
    assert_eq!(send(CHAT, &[("authorization", "Bearer sk-1"), ("host", "other")]).status, 503);
    envoy.assert_no_vm_restarted();

    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({ "scope": "shared" })), &upstream);
    ask_as(&envoy, "Bearer sk-1", CHAT, &body("x", false));
    upstream.cut();
    assert_eq!(text(&ask_as(&envoy, "Bearer sk-2", CHAT, &body("x", false))), "answer 0");
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
    assert_eq!(counter(&envoy, "kept"), 0);
    assert_eq!(send(&private[..1], &question).status, 200);
    assert_eq!(counter(&envoy, "kept"), 1);
    upstream.cut();
    assert_eq!((send(&private, &question).status, send(&private[..1], &question).status), (503, 200));
}

#[test]
fn only_whole_answers_that_are_what_they_claim_to_be_are_kept() {
    let good = answer(200, "content-type: application/json\r\n", b"{\"choices\":[]}");
    let cache = Kept::new(json!({}));
    let sent = |bytes: Vec<u8>| vec![Step::Send(bytes)];
    let json = "content-type: application/json\r\n";
    assert!(cache.holds("whole", sent(good.clone()), false));
    assert!(cache.holds("a whole stream", vec![streaming(), content("a"), stop(), done(), end()], true));
    let cases: [(&str, Vec<Step>); 12] = [
        ("no 200", sent(answer(201, json, b"{}"))),
        ("no JSON", sent(answer(200, json, b"{\"choices\":["))),
        ("another type", sent(answer(200, "content-type: text/html\r\n", b"{}"))),
        ("no type", sent(answer(200, "", b"{}"))),
        ("compressed", sent(answer(200, &format!("{json}content-encoding: gzip\r\n"), b"{}"))),
        ("not to be stored", sent(answer(200, &format!("{json}cache-control: no-store\r\n"), b"{}"))),
        ("an error", sent(answer(200, json, br#"{"error":{"message":"busy"}}"#))),
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
    let short = String::from_utf8(good).expect("text").replace("content-length: 14", "content-length: 13");
    assert!(!cache.holds("short", sent(short.into_bytes()), false), "a length too short");
    cache.envoy.assert_no_vm_restarted();
}

#[test]
fn an_answer_of_the_longest_length_is_kept_and_one_of_a_byte_more_is_not() {
    let cache = Kept::new(json!({ "max_entry": "1000B", "max_entries": 8 }));
    let of = |length: usize, chunked: bool| {
        let body = format!("{{\"x\":\"{}\"}}", "y".repeat(length - 8));
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
    let envoy = start(keeping(json!({ "ttl": "10m", "fresh": "2s" })), &upstream);
    ask(&envoy, "x");
    for _ in 0..10 {
        assert_eq!(text(&ask(&envoy, "x")), "answer 0");
    }
    assert_eq!((upstream.seen().len(), counter(&envoy, "cached"), counter(&envoy, "admitted")), (1, 10, 1));
    wait_for("it to be too old", PATIENCE, || (text(&ask(&envoy, "x")) == "answer 1").then_some(()));
}

#[test]
fn a_drill_gives_what_is_kept_and_the_clusters_answer_to_what_is_not() {
    let upstream = Upstream::scripted(numbered());
    let envoy = start(keeping(json!({ "force": true, "ttl": "3s" })), &upstream);
    assert_eq!(text(&ask(&envoy, "x")), "answer 0");
    assert_eq!(text(&ask(&envoy, "x")), "answer 0");
    assert_eq!(text(&ask(&envoy, "y")), "answer 1");
    wait_for("it to be too old", PATIENCE, || (text(&ask(&envoy, "x")) == "answer 2").then_some(()));
}

/// What the memory of an Envoy that has run for a while grows by when its cache, which may take 2 MiB, is given so many
/// distinct answers.
fn grown_by(distinct: usize) -> u64 {
    const CLIENTS: usize = 4;
    let upstream = Upstream::scripted(|seen| {
        let text = format!("{{\"x\":\"{}{}\"}}", seen.body.len(), "y".repeat(3_900));
        vec![Step::Send(answer(200, "content-type: application/json\r\n", text.as_bytes()))]
    });
    let envoy = start(keeping(json!({ "max_entries": 512, "max_entry": "4KiB" })), &upstream);
    let ask_all = |control: &str, distinct: usize| {
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (envoy, upstream) = (&envoy, &upstream);
                scope.spawn(move || {
                    let mut connection = envoy.connect();
                    for n in (client..distinct).step_by(CLIENTS) {
                        let headers = [("authorization", "k"), ("cache-control", control)];
                        let request = post(CHAT, &headers, format!("{{\"n\":{n}}}").as_bytes());
                        assert_eq!(connection.exchange(&request).expect("an answer").status, 200);
                        if n % 10_000 == 0 {
                            upstream.forget();
                        }
                    }
                });
            }
        });
    };
    ask_all("no-store", 5_000);
    assert_eq!(counter(&envoy, "kept"), 0);
    let before = envoy.resident();
    ask_all("max-age=0", distinct);
    let grown = envoy.resident().saturating_sub(before);
    let (bytes, kept, evicted) =
        (counter(&envoy, "cache_bytes"), counter(&envoy, "kept"), counter(&envoy, "evicted"));
    println!("{kept} kept, {evicted} evicted, {bytes} bytes in the cache, grown by {grown} bytes");
    assert!((1_000_000..512 * 4_096).contains(&bytes), "{bytes} bytes");
    let distinct = distinct as u64;
    assert!(evicted > distinct * 3 / 4 && kept > distinct * 9 / 10, "{kept} kept, {evicted} evicted");
    envoy.assert_no_vm_restarted();
    grown
}

#[test]
fn answers_without_number_take_no_more_memory_than_is_configured() {
    let grown = grown_by(22_000);
    assert!(grown < (2 << 20) + (8 << 20), "grown by {grown} bytes");
}

#[test]
#[ignore = "a million requests take minutes"]
fn a_million_answers_take_no_more_memory_than_is_configured() {
    let grown = grown_by(1_000_000);
    assert!(grown < (2 << 20) + (8 << 20), "grown by {grown} bytes");
}
