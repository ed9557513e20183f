//! Nothing that a client sends traps the VM.

use serde_json::json;
use std::thread;
use tidegate_tests::bootstrap::{Listener, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, raw};

/// Requests that no library would send.
pub fn hostile() -> Vec<Vec<u8>> {
    let huge = vec![b'k'; 60 << 10];
    let commas = b",".repeat(20_000);
    let bearer = |rest: &[u8]| [b"Bearer ".as_slice(), rest].concat();
    let every_byte: Vec<u8> = (1..=255).filter(|byte| !b"\r\n".contains(byte)).collect();
    let values: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"\xa1\xff".to_vec(),
        b"\xc3\x28\xf0\x9f".to_vec(),
        every_byte.clone(),
        huge.clone(),
        commas.clone(),
        b"Bearer".to_vec(),
        b"Bearer ".to_vec(),
        bearer(b"\xff\xfe"),
        bearer(&huge),
        bearer(b"a,Bearer b"),
        bearer(b"a b c"),
        b"bEaReR\tx".to_vec(),
        b"[::1".to_vec(),
        b"[]:80, ::::, 999.1.1.1, 1.1.1.1:99999".to_vec(),
        b"unknown, _hidden, \"[::1]:80\"".to_vec(),
        b"0x7f.1, 1, -1, %00".to_vec(),
    ];
    let names: [&[u8]; 6] = [
        b"authorization",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-team",
        b"x-stainless-retry-count",
        b"cookie",
    ];
    let mut requests = Vec::new();
    for name in names {
        for value in &values {
            requests.push(raw("/v1/chat", &[(name, value)]));
            requests.push(raw("/v1/chat", &[(name, value), (name, b"second")]));
        }
        requests.push(raw("/v1/chat", &vec![(name, b"again".as_slice()); 90]));
    }
    for path in ["/?", "/#", "//", "/%00", "/%ff%fe", "/../..", "/v1/;x=%0d%0a", "/\u{fc}"] {
        requests.push(raw(path, &[]));
    }
    requests.push(raw(&format!("/{}", "p".repeat(50_000)), &[]));
    requests.push(b"OPTIONS * HTTP/1.1\r\nhost: test\r\n\r\n".to_vec());
    requests.push(b"GET http://other/v1/ HTTP/1.1\r\nhost: test\r\n\r\n".to_vec());
    requests.push(b"GET /v1/ HTTP/1.1\r\n\r\n".to_vec());
    requests.push(b"GET /v1/ HTTP/1.0\r\n\r\n".to_vec());
    requests.push(b"BREW /v1/ HTTP/1.1\r\nhost: test\r\n\r\n".to_vec());
    requests.push(b"CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n".to_vec());
    requests.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    requests
}

#[test]
fn hostile_headers_are_answered_and_every_worker_serves_on() {
    let generous = json!({ "rate": "1000/s", "burst": 1000 });
    let spent = json!({ "rate": "1/h", "burst": 1 });
    for requests in [generous, spent] {
        let limit = |name: &str, per: &[&str]| json!({ "name": name, "per": per, "requests": requests });
        let configuration = json!({ "address": { "trusted_hops": 2 }, "limits": [
            limit("client", &["client"]),
            limit("address", &["address"]),
            limit("path", &["path", "method"]),
            limit("team", &["header:x-team", "header:cookie"]),
            { "name": "own", "per": ["client"], "requests": requests,
              "when": { "path_prefix": "/v1/", "headers": [{ "name": "authorization" }] },
              "overrides": [{ "sha256": "0".repeat(64), "requests": requests }] },
        ]});
        let envoy = Envoy::with(Listener::new([rate_limit(&configuration)])).workers(2).start();
        let mut answered = 0;
        for request in hostile() {
            let mut connection = envoy.connect();
            if let Ok(answer) = connection.exchange(&request) {
                assert_ne!(
                    answer.status,
                    503,
                    "{:?}",
                    String::from_utf8_lossy(&request[..request.len().min(200)])
                );
                answered += 1;
            }
        }
        assert!(answered > 200, "only {answered} of the hostile requests were answered");
        envoy.assert_no_vm_restarted();
        let statuses: Vec<u16> = thread::scope(|scope| {
            let serve =
                || envoy.connect().exchange(&get("/fine", &[("x-api-key", "new")])).expect("served").status;
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(serve)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
        assert!(
            !envoy.log().contains("second") && !envoy.log().contains("kkkk"),
            "a credential is in the log"
        );
    }
}
