//! The reference configuration in `envoy/` is what it says: Envoy takes it as it is, and all filters work in it
//! together.

use std::thread;
use tidegate_tests::http::{get, post, raw};
use tidegate_tests::reference;
use tidegate_tests::upstream::Upstream;

#[test]
fn the_reference_configuration_protects_a_server_and_serves_its_clients() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[]);

    let key = ("authorization", "Bearer sk-1");
    let chat = envoy
        .connect()
        .exchange(&post("/v1/chat/completions", &[key], b"{\"messages\":[]}"))
        .expect("an answer");
    assert_eq!((chat.status, chat.number("x-ratelimit-limit-requests")), (200, 20));
    assert_eq!(upstream.seen()[0].body, b"{\"messages\":[]}");

    let question = |length| format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "x".repeat(length));
    let ask = |length| {
        let request = post("/v1/chat/completions", &[key], question(length).as_bytes());
        envoy.connect().exchange(&request).expect("an answer")
    };
    let long = ask(32_769);
    assert_eq!((long.status, long.json()["error"]["code"].as_str()), (400, Some("prompt_too_long")));
    assert_eq!((ask(32_768).status, upstream.seen().len()), (200, 2));

    let agent = vec![b'a'; 2_048];
    let long = envoy.connect().exchange(&raw("/v1/models", &[(b"user-agent", &agent)])).expect("an answer");
    assert_eq!((long.status, long.json()["error"]["code"].as_str()), (403, Some("header_value_too_large")));
    let many: Vec<(&[u8], &[u8])> = vec![(b"x-many", b"1"); 120];
    assert_eq!(envoy.connect().exchange(&raw("/v1/models", &many)).expect("an answer").status, 431);

    let mut slow = envoy.connect();
    slow.send(b"POST /slow HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n").expect("sent");
    let statuses: Vec<u16> = thread::scope(|scope| {
        let ask = || envoy.connect().exchange(&get("/v1/models", &[key])).expect("an answer").status;
        let threads: Vec<_> = (0..60).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(slow.receive().expect("an answer").status, 408);
    assert!(
        upstream.seen().iter().all(|seen| seen.target != "/slow"),
        "the slow request reached the upstream"
    );
    envoy.assert_no_vm_restarted();
}
