//! Clients that Envoy takes for internal: it would obey their `x-envoy-*` headers as if they were its own filters'.

use std::time::Duration;
use tidegate_tests::http::get;
use tidegate_tests::http2;
use tidegate_tests::reference::{self, FILES};
use tidegate_tests::upstream::{Step, Upstream};

const NUMBER: &str = "7";
const TEXT: &str = "client-made";

/// What Envoy's connection manager, its router and its filters read, and what they do not.
const SENT: [(&str, &str); 27] = [
    ("x-envoy-upstream-rq-timeout-ms", NUMBER),
    ("x-envoy-upstream-rq-per-try-timeout-ms", NUMBER),
    ("x-envoy-upstream-stream-duration-ms", NUMBER),
    ("x-envoy-expected-rq-timeout-ms", NUMBER),
    ("x-envoy-max-retries", NUMBER),
    ("x-envoy-attempt-count", NUMBER),
    ("x-envoy-retriable-status-codes", "200"),
    ("x-envoy-retriable-header-names", "content-length"),
    ("x-envoy-retry-on", "5xx,retriable-status-codes,retriable-headers"),
    ("x-envoy-retry-grpc-on", "internal"),
    ("x-envoy-hedge-on-per-try-timeout", "true"),
    ("x-envoy-is-timeout-retry", "true"),
    ("x-envoy-upstream-alt-stat-name", TEXT),
    ("x-envoy-upstream-canary", "true"),
    ("x-envoy-decorator-operation", TEXT),
    ("x-envoy-downstream-service-cluster", TEXT),
    ("x-envoy-downstream-service-node", TEXT),
    ("x-envoy-external-address", "192.0.2.77"),
    ("x-envoy-force-trace", TEXT),
    ("x-envoy-ip-tags", TEXT),
    ("x-envoy-original-path", TEXT),
    ("x-envoy-original-host", TEXT),
    ("x-envoy-original-dst-host", "127.0.0.1:1"),
    ("x-envoy-peer-metadata", TEXT),
    ("x-envoy-fault-delay-request", "5000"),
    ("x-envoy-internal", TEXT),
    ("x-envoy-of-tomorrow", TEXT),
];

const INTERNAL: &str = "use_remote_address: true\n          internal_address_config: { cidr_ranges: [\
     { address_prefix: 127.0.0.0, prefix_len: 8 }, { address_prefix: 10.0.0.0, prefix_len: 8 }] }";

#[test]
fn no_client_tells_envoy_what_to_do_by_its_own_headers() {
    let trusting = format!("{INTERNAL}\n          xff_num_trusted_hops: 1");
    let believing = INTERNAL.replace("use_remote_address: true", "use_remote_address: false");
    let setups = [
        ("as shipped", "use_remote_address: true", None, false),
        ("the other end of the connection", INTERNAL, None, true),
        ("told by a proxy that is trusted", &trusting, Some("10.1.2.3"), false),
        ("told by anybody", &believing, Some("10.1.2.3"), true),
    ];
    for (file, (setup, addresses, forwarded, is_internal)) in
        FILES.into_iter().flat_map(|file| setups.map(|setup| (file, setup)))
    {
        let upstream = Upstream::scripted(|_| {
            let late = Step::Wait(Duration::from_millis(100));
            vec![late, Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec())]
        });
        let changes = [("use_remote_address: true", addresses)];
        let envoy = reference::start_file(file, [&upstream; 3], &changes);
        let mut sent = SENT.to_vec();
        sent.extend(forwarded.map(|address| ("x-forwarded-for", address)));
        let answer = envoy.connect().exchange(&get("/v1/models", &sent)).expect("an answer");
        assert_eq!(answer.status, 200, "{file}, {setup}: {answer:?}");
        let fields: Vec<(&[u8], &[u8])> =
            sent.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let answer = http2::exchange(envoy.front(), &http2::get(b"/v1/models", &fields)).expect("an answer");
        assert_eq!(answer.status, 200, "{file}, {setup}, HTTP/2: {answer:?}");

        let seen = upstream.seen();
        assert_eq!(seen.len(), 2, "{file}, {setup}: one attempt each");
        for seen in seen {
            let survived: Vec<_> =
                seen.headers.iter().filter(|(name, value)| SENT.contains(&(name, value))).collect();
            assert!(survived.is_empty(), "{file}, {setup}: {survived:?}");
            let internal = seen.header("x-envoy-internal");
            assert_eq!(internal, is_internal.then_some("true"), "{file}, {setup}");
        }
        let named = envoy.admin("GET", &format!("/stats?filter={TEXT}"));
        assert_eq!(named.trim(), "", "{file}, {setup}");
    }
}
