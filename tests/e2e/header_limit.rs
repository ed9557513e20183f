//! Each limit on headers at its edge, over HTTP/1.1 and HTTP/2; what Envoy leaves of repeated and hostile
//! headers; and that nothing in a header traps a VM.

use serde_json::{Value, json};
use std::thread;
use tidegate_tests::bootstrap::{Listener, module, refusal};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{self, Answer};
use tidegate_tests::{PATIENCE, http2, wait_for};

type Headers<'a> = [(&'a [u8], &'a [u8])];

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn filter(configuration: &Value) -> Value {
    module("header-limit.wasm", "header-limit", &configuration.to_string())
}

fn start(configuration: &Value) -> Envoy {
    Envoy::with(Listener::new([filter(configuration)])).workers(2).start()
}

fn send(envoy: &Envoy, protocol: Protocol, path: &str, headers: &Headers) -> std::io::Result<Answer> {
    match protocol {
        Protocol::Http1 => envoy.connect().exchange(&http::raw(path, headers)),
        Protocol::Http2 => http2::exchange(envoy.front(), &http2::get(path.as_bytes(), headers)),
    }
}

fn ask(envoy: &Envoy, protocol: Protocol, headers: &Headers) -> (u16, String) {
    let answer = send(envoy, protocol, "/", headers).expect("an answer");
    let code = if answer.status == 200 { String::new() } else { code(&answer) };
    (answer.status, code)
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().expect("a code").to_owned()
}

fn admitted() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Sends many at a time: Envoy takes a second to close a connection whose headers it cannot read.
fn at_once<R: Sync>(requests: &[R], status: impl Fn(&R) -> u16 + Sync) -> Vec<u16> {
    let some = requests.len().div_ceil(64);
    let status = &status;
    thread::scope(|scope| {
        let ask = |part: &'_ [R]| part.iter().map(status).collect::<Vec<_>>();
        let threads: Vec<_> = requests.chunks(some).map(|part| scope.spawn(move || ask(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("x-{n}").into_bytes()).collect()
}

#[test]
fn every_default_limit_admits_up_to_its_edge_and_refuses_beyond() {
    let envoy = start(&json!({}));
    for protocol in BOTH {
        let size = |name: &'static [u8], size: usize| ask(&envoy, protocol, &[(name, &vec![b'v'; size])]);
        assert_eq!(size(b"user-agent", 2_047), admitted(), "{protocol:?}");
        assert_eq!(size(b"user-agent", 2_048), refused(403, "header_value_too_large"), "{protocol:?}");
        assert_eq!(size(b"user-agent", 40_000), refused(403, "header_value_too_large"), "{protocol:?}");
        assert_eq!(size(b"x-a", 8_192), admitted(), "{protocol:?}");
        assert_eq!(size(b"x-a", 8_193), refused(431, "header_value_too_large"), "{protocol:?}");

        let names = numbered(101);
        let fields: Vec<(&[u8], &[u8])> =
            names.iter().map(|name| (name.as_slice(), b"".as_slice())).collect();
        assert_eq!(ask(&envoy, protocol, &fields[..100]), admitted(), "{protocol:?}");
        assert_eq!(ask(&envoy, protocol, &fields), refused(431, "too_many_headers"), "{protocol:?}");

        let total = |bytes: usize| {
            let (half, rest) = (vec![b'v'; 8_180], vec![b'v'; bytes - 8_180 - 6]);
            ask(&envoy, protocol, &[(b"x-a", &half), (b"x-b", &rest)])
        };
        assert_eq!(total(16_366), admitted(), "{protocol:?}");
        assert_eq!(total(16_378), admitted(), "{protocol:?}");
        let three = |third: usize| {
            let (half, rest) = (vec![b'v'; 8_180], vec![b'v'; third]);
            ask(&envoy, protocol, &[(b"x-a", &half), (b"x-b", &half), (b"x-c", &rest)])
        };
        assert_eq!(three(16_384 - 2 * 8_183 - 3), admitted(), "{protocol:?}");
        assert_eq!(three(16_384 - 2 * 8_183 - 2), refused(431, "headers_too_large"), "{protocol:?}");

        let path = |size: usize| send(&envoy, protocol, &format!("/{}", "p".repeat(size - 1)), &[]);
        assert_eq!(path(8_192).expect("an answer").status, 200, "{protocol:?}");
        assert_eq!(code(&path(8_193).expect("an answer")), "header_value_too_large", "{protocol:?}");
    }
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_refused_client_is_told_which_rule_what_it_admits_and_not_to_come_back() {
    let envoy = start(&json!({}));
    let secret = [b"secret".as_slice(), &[b'u'; 2_050]].concat();
    let answer = send(&envoy, Protocol::Http1, "/", &[(b"user-agent", &secret)]).expect("an answer");
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!((answer.header("retry-after"), answer.header("retry-after-ms")), (None, None));
    let error = &answer.json()["error"];
    assert_eq!(error["type"], "invalid_request_error");
    assert_eq!(error["code"], "header_value_too_large");
    assert!(error["param"].is_null());
    assert_eq!(
        error["message"],
        "Header rule 'fields.user-agent' refuses this request: the value of 'user-agent' is 2056 bytes long, \
         at most 2047 are accepted."
    );
    assert_eq!(ask(&envoy, Protocol::Http2, &[]), admitted());
    wait_for("the rule's name in the access log", PATIENCE, || {
        envoy.access_log().contains("403 tidegate.header_limit.fields.user-agent").then_some(())
    });
    assert_eq!(envoy.counter("header_limit.admitted"), 1);
    assert_eq!(envoy.counter("header_limit.rejected.fields.user-agent"), 1);
    assert!(!envoy.log().contains("secret"));
}

#[test]
fn patterns_match_raw_bytes_of_the_header_that_they_name() {
    let envoy = start(&json!({ "deny": [
        { "name": "scanners", "header": "user-agent", "pattern": "(?i)sqlmap|nikto", "status": 403 },
        { "name": "bytes", "header": "x-raw", "pattern": r"^\xa1[\x80-\xff]$", "status": 400 },
        { "name": "dots", "header": ":path", "pattern": r"\.\./" },
        { "name": "address", "header": "host", "pattern": r"^[0-9.:]+$" },
    ]}));
    for protocol in BOTH {
        let ask = |name: &'static [u8], value: &[u8]| ask(&envoy, protocol, &[(name, value)]);
        assert_eq!(
            ask(b"user-agent", b"\xff SQLMap/1.8 \xc3"),
            refused(403, "header_denied"),
            "{protocol:?}"
        );
        assert_eq!(ask(b"user-agent", b"sql map"), admitted(), "{protocol:?}");
        assert_eq!(ask(b"x-other", b"sqlmap"), admitted(), "{protocol:?}");
        assert_eq!(ask(b"x-raw", b"\xa1\xff"), refused(400, "header_denied"), "{protocol:?}");
        assert_eq!(ask(b"x-raw", b"\xa1\x7e"), admitted(), "{protocol:?}");
        let path = |path| send(&envoy, protocol, path, &[]).expect("an answer").status;
        assert_eq!((path("/a?x=../b"), path("/a?x=b")), (431, 200), "{protocol:?}");
    }
    let address =
        envoy.connect().exchange(b"GET / HTTP/1.1\r\nhost: 10.0.0.1:80\r\n\r\n").expect("an answer");
    assert_eq!(address.status, 431);
    assert_eq!(envoy.counter("header_limit.rejected.deny.scanners"), 2);
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_singleton_that_is_sent_twice_is_refused_whether_envoy_joins_it_or_not() {
    let envoy = start(
        &json!({ "singletons": ["content-length", "host", "authorization", "content-type", "x-api-key"] }),
    );
    for protocol in BOTH {
        let twice = |name: &'static [u8], first: &[u8], second: &[u8]| {
            ask(&envoy, protocol, &[(name, first), (name, second)])
        };
        let duplicate = refused(431, "duplicate_header");
        for name in [b"authorization".as_slice(), b"content-type", b"x-api-key"] {
            assert_eq!(twice(name, b"a/b", b"c/d"), duplicate, "{protocol:?}");
            assert_eq!(twice(name, b"a/b", b"a/b"), duplicate, "{protocol:?}");
        }
        assert_eq!(twice(b"authorization", b"Bearer a", b"Bearer b"), duplicate, "{protocol:?}");
        assert_eq!(twice(b"x-other", b"a", b"b"), admitted(), "{protocol:?}");
        let one = |name: &'static [u8], value: &[u8]| ask(&envoy, protocol, &[(name, value)]);
        assert_eq!(one(b"authorization", b"Digest username=\"a, b\", qop=auth"), admitted(), "{protocol:?}");
        assert_eq!(
            one(b"content-type", b"multipart/form-data; boundary=\"a,b\""),
            admitted(),
            "{protocol:?}"
        );
        assert_eq!(one(b"x-api-key", b"a,b"), admitted(), "{protocol:?}");
        let lengths = send(&envoy, protocol, "/", &[(b"content-length", b"0"), (b"content-length", b"0")]);
        assert!(
            lengths.is_err() || lengths.is_ok_and(|answer| answer.status == 400),
            "Envoy refuses it itself"
        );
    }
    assert_eq!(ask(&envoy, Protocol::Http1, &[(b"host", b"other")]), refused(431, "duplicate_header"));
    assert_eq!(
        ask(&envoy, Protocol::Http2, &[(b"host", b"other")]),
        admitted(),
        "Envoy drops what is not :authority"
    );
    let refusals = envoy.counter("header_limit.rejected.singletons");
    assert_eq!(refusals, 15);
}

#[test]
fn no_control_byte_passes_wherever_it_comes_from() {
    let envoy = start(&json!({}));
    let bytes: Vec<u8> = (0..0x20).chain([0x7f]).collect();
    for protocol in BOTH {
        let statuses = at_once(&bytes, |byte| {
            send(&envoy, protocol, "/", &[(b"x-a", &[b'a', *byte, b'b'])]).map_or(0, |answer| answer.status)
        });
        for (byte, status) in bytes.iter().zip(statuses) {
            match (byte, protocol) {
                (b'\t', _) => assert_eq!(status, 200, "{protocol:?}"),
                (b'\r', Protocol::Http1) => assert_eq!(status, 200, "Envoy drops it"),
                _ => assert!(
                    [0, 400].contains(&status),
                    "Envoy refuses it itself: {protocol:?} {byte} {status}"
                ),
            }
        }
    }
    let inject = "function envoy_on_request(request) request:headers():add('x-a', 'a\\27b') end";
    let earlier = json!({ "name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": { "inline_string": inject } } });
    let behind = |configuration| {
        Envoy::with(Listener::new([earlier.clone(), filter(&configuration)])).workers(2).start()
    };
    let envoy = behind(json!({}));
    assert_eq!(ask(&envoy, Protocol::Http1, &[]), refused(431, "control_bytes_in_header"));
    assert_eq!(envoy.counter("header_limit.rejected.control_bytes"), 1);
    assert_eq!(ask(&behind(json!({ "control_bytes": "allow" })), Protocol::Http1, &[]), admitted());
}

#[test]
fn a_rule_in_shadow_counts_and_refuses_nobody() {
    let envoy = start(&json!({ "max_count": 1, "max_value": "10B", "shadow": ["max_count"], "deny": [
        { "name": "trial", "header": "x-a", "pattern": "v", "shadow": true }] }));
    let two = |value: &'static [u8]| ask(&envoy, Protocol::Http2, &[(b"x-a", b"v"), (b"x-b", value)]);
    assert_eq!(two(b""), admitted());
    assert_eq!(two(b"12345678901"), refused(431, "header_value_too_large"));
    for (what, times) in [
        ("admitted", 1),
        ("shadowed.max_count", 2),
        ("shadowed.deny.trial", 1),
        ("rejected.max_value", 1),
        ("rejected.max_count", 0),
    ] {
        assert_eq!(envoy.counter(&format!("header_limit.{what}")), times, "{what}");
    }
    let envoy = start(&json!({ "max_count": 1, "shadow": true }));
    let long = vec![b'u'; 3_000];
    assert_eq!(ask(&envoy, Protocol::Http1, &[(b"user-agent", &long), (b"x-b", b"")]), admitted());
    assert_eq!(
        [
            envoy.counter("header_limit.shadowed.fields.user-agent"),
            envoy.counter("header_limit.shadowed.max_count")
        ],
        [1, 1]
    );
}

#[test]
fn a_wrong_configuration_is_refused_with_its_path_and_the_old_one_stays() {
    let deny = |pattern: &str, status: u16| json!({ "deny": [{ "name": "a", "header": "a", "pattern": pattern, "status": status }] });
    let log = Envoy::with(Listener::new([filter(&deny("(a", 403))])).workers(2).refused();
    let reason = "deny[0].pattern: found \"(a\", accepted is a regular expression on bytes: unclosed group";
    assert!(log.contains(&refusal("header-limit", reason)), "{log}");

    let envoy = start(&json!({ "max_count": 1 }));
    let wrong = [
        (json!({ "max_count": 0 }), "max_count: found 0"),
        (json!({ "max_total": "16KB" }), "max_total: invalid value"),
        (json!({ "fields": [{ "name": "a b", "max": "1B" }] }), "fields[0].name: found"),
        (json!({ "fields": [{ "name": "a", "max": "1B", "status": 503 }] }), "fields[0].status: found 503"),
        (deny("(?:a{999}){999}", 403), "deny[0].pattern: found"),
        (deny("a", 429), "deny[0].status: found 429"),
        (json!({ "singletons": ["a", "a"] }), "singletons[1]: found"),
        (json!({ "control_bytes": "strip" }), "control_bytes: unknown variant"),
        (json!({ "shadow": ["deny"] }), "shadow[0]: found"),
        (json!({ "max_headers": 1 }), "max_headers: unknown field"),
    ];
    for (rejected, (configuration, problem)) in (1..).zip(wrong) {
        envoy.reload(&Listener::new([filter(&configuration)]));
        wait_for(&format!("the refusal of {configuration}"), PATIENCE, || {
            (envoy.stat("listener_manager.lds.update_rejected") == rejected).then_some(())
        });
        assert!(envoy.log().contains(&refusal("header-limit", problem)), "{}", envoy.log());
    }
    assert_eq!(ask(&envoy, Protocol::Http1, &[(b"a", b""), (b"b", b"")]), refused(431, "too_many_headers"));
}

#[test]
fn hostile_headers_are_answered_and_every_worker_serves_on() {
    let envoy = start(&json!({
        "fields": [{ "name": ":path", "max": "1KiB", "status": 414 }, { "name": "cookie", "max": "1KiB" }],
        "singletons": ["authorization", "content-type", "host", "x-forwarded-for", "cookie", "x-a"],
        "deny": [
            { "name": "a", "header": "x-a", "pattern": "^(a|a)*(a|aa)+$" },
            { "name": "b", "header": "authorization", "pattern": r"(?i)(\w+,)*\xff.{5}k" },
            { "name": "c", "header": ":path", "pattern": r"(?s-u).*\.\..*/.*[^/]{30}$" },
        ],
    }));
    let every_byte: Vec<u8> = (0..=255).collect();
    let text_bytes: Vec<u8> = (0x20..0x7f).chain(0x80..=0xff).collect();
    let values: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" \t ".to_vec(),
        b"\xa1\xff".to_vec(),
        b"\xc3\x28\xf0\x9f".to_vec(),
        every_byte,
        text_bytes,
        b",".repeat(8_000),
        b"\"".repeat(8_001),
        b"\\\"".repeat(4_000),
        b"a=\"\\".to_vec(),
        b"Bearer ,,,\",\\".to_vec(),
        b"=,=,==, = ,".to_vec(),
        b"a".repeat(8_192),
        b"a".repeat(60_000),
        [b"\xff".as_slice(), &b"k".repeat(8_000)].concat(),
    ];
    let names: [&[u8]; 9] = [
        b"authorization",
        b"content-type",
        b"host",
        b"cookie",
        b"x-a",
        b"user-agent",
        b"x-forwarded-for",
        b"x-request-id",
        b"x-envoy-internal",
    ];
    let long = vec![b'n'; 20_000];
    let far = format!("/../{}", "p/".repeat(20_000));
    let names: Vec<&[u8]> = names.into_iter().chain([long.as_slice()]).collect();
    let headers = names.iter().flat_map(|name| values.iter().map(|value| (*name, value.as_slice())));
    let repeated = headers.flat_map(|header| [1, 2, 90].map(|times| ("/", vec![header; times])));
    let paths = ["/?", "/#", "//", "/%00", "/../..", "/\u{fc}", &far].map(|path| (path, Vec::new()));
    let requests: Vec<_> = repeated.chain(paths).collect();
    for protocol in BOTH {
        let statuses = at_once(&requests, |(path, headers)| {
            send(&envoy, protocol, path, headers).map_or(0, |answer| answer.status)
        });
        let with = |wanted: fn(u16) -> bool| statuses.iter().filter(|status| wanted(**status)).count();
        assert_eq!(with(|status| status >= 500), 0, "{protocol:?}");
        assert!(with(|status| status > 0) > requests.len() / 2, "{protocol:?}: too few answers");
    }
    envoy.assert_no_vm_restarted();
    let serve = || (0..8).all(|_| ask(&envoy, Protocol::Http1, &[]) == admitted());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(serve)).collect();
        assert!(
            threads.into_iter().all(|thread| thread.join().expect("no panic")),
            "a worker does not serve"
        );
    });
    envoy.assert_no_vm_restarted();
}
