//! The reference configurations in `envoy/` are what they say: Envoy takes them as they are, all filters work in them
//! together, and a server, a region or all of them may fail.

mod failing;

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use tidegate_tests::http::{get, post, raw};
use tidegate_tests::reference::{self, FILES};
use tidegate_tests::upstream::Upstream;

#[test]
fn the_reference_configuration_protects_a_server_and_serves_its_clients() {
    FILES.into_iter().for_each(protects_and_serves);
}

fn protects_and_serves(file: &str) {
    let upstream = Upstream::start();
    let envoy = reference::start_file(file, [&upstream; 3], &[]);

    let key = ("authorization", "Bearer sk-1");
    let chat = envoy
        .connect()
        .exchange(&post("/v1/chat/completions", &[key], b"{\"messages\":[]}"))
        .expect("an answer");
    assert_eq!((chat.status, chat.number("x-ratelimit-limit-requests")), (200, 100));
    assert_eq!(upstream.seen()[0].body, b"{\"messages\":[]}");

    let question = |length| format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "x".repeat(length));
    let ask = |length| {
        let request = post("/v1/chat/completions", &[key], question(length).as_bytes());
        envoy.connect().exchange(&request).expect("an answer")
    };
    let long = ask(8_000_001);
    assert_eq!((long.status, long.json()["error"]["code"].as_str()), (400, Some("context_length_exceeded")));
    assert_eq!((ask(8_000_000).status, upstream.seen().len()), (200, 2));

    let agent = vec![b'a'; 2_048];
    let long = envoy.connect().exchange(&raw("/v1/models", &[(b"user-agent", &agent)])).expect("an answer");
    assert_eq!((long.status, long.json()["error"]["code"].as_str()), (403, Some("header_value_too_large")));
    let many: Vec<(&[u8], &[u8])> = vec![(b"x-many", b"1"); 120];
    assert_eq!(envoy.connect().exchange(&raw("/v1/models", &many)).expect("an answer").status, 431);

    let mut slow = envoy.connect();
    slow.send(b"POST /v1/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n").expect("sent");
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || envoy.connect().exchange(&get("/v1/models", &[key])).expect("an answer").status;
        let threads: Vec<_> = (0..180).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(slow.receive().expect("an answer").status, 408);
    assert!(
        upstream.seen().iter().all(|seen| seen.target != "/v1/completions"),
        "the slow request reached the upstream"
    );

    let metrics = envoy.admin("GET", "/stats/prometheus");
    for counted in [
        r#"tidegate_rate_limit_throttled{module="rate_limit",rule="per-client"} "#,
        r#"tidegate_header_limit_rejected{module="header_limit",rule="fields.user-agent"} 1"#,
        r#"tidegate_slow_client_rejected{module="slow_client",rule="rate"} 1"#,
        r#"tidegate_input_limit_rejected{module="input_limit",rule="max_chars"} 1"#,
        r#"tidegate_connection_guard_admitted{module="connection_guard"} "#,
    ] {
        assert!(metrics.contains(counted), "{file} has no {counted} among {metrics}");
    }
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_request_is_traced_with_the_block_for_it() {
    let collector = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let place = collector.local_addr().expect("its address").to_string();
    let [commented, block] = reference::block("envoy.yaml", "tracing:");
    let upstream = Upstream::start();
    let changes = [(commented.as_str(), block.as_str()), ("otel-collector:4317", &place)];
    let envoy = reference::start(&upstream, &changes);
    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    for n in 0..6 {
        let key = format!("Bearer sk-{n}");
        let request = get("/v1/models", &[parent, ("authorization", &key)]);
        assert_eq!(envoy.connect().exchange(&request).expect("an answer").status, 200);
    }
    let seen = upstream.seen();
    let passed = seen[0].header("traceparent").expect("a traceparent");
    assert!(passed.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && passed != parent.1, "{passed}");
    let (mut told, _) = collector.accept().expect("spans to send");
    let mut preface = [0; 14];
    told.read_exact(&mut preface).expect("a preface");
    assert_eq!(&preface, b"PRI * HTTP/2.0");
}
