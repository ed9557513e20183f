//! Pages of another origin, with the blocks of the reference that are for them: a browser may ask, and read what it is
//! told, be it an answer or a refusal by any filter.

use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, post};
use tidegate_tests::reference::{self, FILES};
use tidegate_tests::upstream::{Step, Upstream};

const ORIGIN: &str = "https://chat.example.com";
const CHAT: &str = "/v1/chat/completions";
const QUESTION: &str = r#"{"model":"m","messages":[{"role":"user","content":"?"}]}"#;

fn start(file: &str, upstream: &Upstream, changes: &[(&str, &str)]) -> Envoy {
    let blocks = ["local_reply_config:", "typed_per_filter_config:", "- name: envoy.filters.http.cors"];
    let blocks = blocks.map(|first| reference::block(file, first));
    let switched = blocks.iter().map(|[commented, meant]| (commented.as_str(), meant.as_str()));
    let changes: Vec<_> = switched.chain(changes.iter().copied()).collect();
    reference::start_file(file, [upstream; 3], &changes)
}

fn preflight(envoy: &Envoy, path: &str, origin: &str) -> Answer {
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: test\r\norigin: {origin}\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: authorization,content-type,x-stainless-lang\r\n\r\n"
    );
    envoy.connect().exchange(request.as_bytes()).expect("an answer")
}

fn ask(envoy: &Envoy, path: &str, key: &str, body: &str) -> Answer {
    let headers = [("origin", ORIGIN), ("authorization", key), ("content-type", "application/json")];
    envoy.connect().exchange(&post(path, &headers, body.as_bytes())).expect("an answer")
}

fn assert_readable(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{what}: {answer:?}");
    assert_eq!(answer.header("access-control-expose-headers"), Some("*"), "{what}: {answer:?}");
}

#[test]
fn a_page_of_a_known_origin_asks_and_one_of_another_does_not() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = start(file, &upstream, &[]);
        for path in [CHAT, "/v1/models"].repeat(200) {
            let answer = preflight(&envoy, path, ORIGIN);
            assert_eq!(answer.status, 200, "{file}: no limit counts what asks for leave");
            assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
            assert_eq!(answer.header("access-control-allow-headers"), Some("authorization, *"));
            assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
        }
        let other = preflight(&envoy, CHAT, "https://evil.example.com");
        assert_eq!(other.header("access-control-allow-origin"), None, "{file}: {other:?}");
        assert!(upstream.seen().is_empty(), "{file}");
        assert_readable(&ask(&envoy, CHAT, "Bearer sk-1", QUESTION), 200, file);
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn a_page_reads_a_refusal_whichever_filter_it_comes_from() {
    for file in FILES {
        let upstream = Upstream::start();
        let spent = [(r#""rate": "20/s", "burst": 100"#, r#""rate": "1/h", "burst": 4"#)];
        let envoy = start(file, &upstream, &spent);
        let key = "Bearer sk-1";
        let closed = ask(&envoy, "/flush_cache", key, "{}");
        assert_readable(&closed, 404, &format!("{file}: no route"));
        let other = [("origin", "https://evil.example.com")];
        let other = envoy.connect().exchange(&post("/flush_cache", &other, b"{}")).expect("an answer");
        assert_eq!((other.status, other.header("access-control-allow-origin")), (404, None), "{file}");
        let choices = ask(&envoy, CHAT, key, r#"{"messages":[],"n":1000}"#);
        assert_readable(&choices, 400, &format!("{file}: input-limit"));
        let traced = format!("TRACE {CHAT} HTTP/1.1\r\nhost: test\r\norigin: {ORIGIN}\r\n\r\n");
        let traced = envoy.connect().exchange(traced.as_bytes()).expect("an answer");
        assert_readable(&traced, 405, &format!("{file}: header-limit"));
        upstream.follow(|_| {
            let answer = "HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
            vec![Step::Send(answer.into())]
        });
        let failed = ask(&envoy, CHAT, key, QUESTION);
        assert_readable(&failed, 503, &format!("{file}: degradation"));
        assert!(failed.header("retry-after-ms").is_some(), "{file}: {failed:?}");
        upstream.follow(|_| vec![Step::Close]);
        let cut = ask(&envoy, CHAT, "Bearer sk-2", QUESTION);
        assert_readable(&cut, 503, &format!("{file}: a server that hangs up"));
        let answers: Vec<Answer> = (0..4).map(|_| ask(&envoy, CHAT, key, QUESTION)).collect();
        let throttled = answers.iter().find(|answer| answer.status == 429).expect("one too many");
        assert_readable(throttled, 429, &format!("{file}: rate-limit"));
        assert!(throttled.header("retry-after-ms").is_some(), "{file}: {throttled:?}");
        envoy.assert_no_vm_restarted();
    }
}
