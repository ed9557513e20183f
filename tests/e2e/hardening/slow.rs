//! Clients that take their time where nobody counts bytes of a head or a body.

use super::{CLOSED_WINDOW, SOON, open, serves_on, wait_for_stat};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tidegate_tests::http::get;
use tidegate_tests::http2::{self, END_STREAM, frame, head};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{reference, wait_for};

const PACE: Duration = Duration::from_millis(100);
/// As they stand in the configuration, and short.
const HEADS: [&str; 2] = [
    r#""timeout": "10s", "min_rate": "50B/s", "grace": "2s""#,
    r#""timeout": "1s", "min_rate": "1B/s", "grace": "900ms""#,
];

#[test]
fn what_drips_between_the_parts_of_a_message_is_a_head_in_progress_and_cut() {
    let upstream = Upstream::start();
    let envoy = reference::start(&upstream, &[(HEADS[0], HEADS[1])]);
    let chunked = b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    let part = http2::continuation(&http2::block(&[(b"a", b"b")]));
    let drips: [(Vec<u8>, &[u8]); 3] = [
        (http2::open_head(), &part),
        ([chunked.as_slice(), b"5;"].concat(), b"x"),
        ([chunked.as_slice(), b"2\r\n{}\r\n0\r\nx: "].concat(), b"x"),
    ];
    for (cut, (begun, drop)) in (1..).zip(drips) {
        let mut connection = envoy.connect();
        connection.send(&begun).expect("sent");
        let counter = "connection_guard.rejected.header_timeout";
        wait_for(&format!("the cut of drip {cut}"), SOON, || {
            let _ = connection.send(drop);
            thread::sleep(PACE);
            (envoy.counter(counter) == cut).then_some(())
        });
    }
    assert!(upstream.seen().is_empty());
    serves_on(&envoy);
}

#[test]
fn a_reader_that_takes_nothing_next_to_nothing_or_for_ever_is_cut() {
    let upstream = Upstream::start();
    let envoy = reference::start(
        &upstream,
        &[
            ("int_value: 60000", "int_value: 300"),
            ("stream_flush_timeout: 60s", "stream_flush_timeout: 1s"),
            ("stream_idle_timeout: 300s", "stream_idle_timeout: 5s"),
            ("max_stream_duration: 3600s", "max_stream_duration: 10s"),
        ],
    );
    let begin = |target: &[u8]| {
        let mut reader = open(&envoy, &CLOSED_WINDOW);
        reader.send(&head(1, &http2::get(target, &[]), END_STREAM)).expect("sent");
        reader
    };
    let mut deaf = TcpStream::connect(envoy.front()).expect("a connection");
    deaf.write_all(&get("/v1/files/large", &[])).expect("sent");
    let (mut closed, mut sipping, mut steady) =
        (begin(b"/v1/models"), begin(b"/v1/files/large"), begin(b"/v1/files/large"));
    let take =
        |bytes: u32| [0, 1].map(|of| frame(http2::WINDOW_UPDATE, 0, of, &bytes.to_be_bytes())).concat();
    steady.receive_one(http2::HEADERS).expect("a head");
    wait_for("the end of the steady reader", SOON, || {
        let _ = sipping.send(&take(1));
        steady.send(&take(8_000)).expect("sent");
        thread::sleep(PACE);
        (steady.receive().expect("a frame").kind == http2::RST_STREAM).then_some(())
    });
    wait_for_stat(&envoy, "http.front.downstream_rq_max_duration_reached", 1);
    assert_eq!(closed.receive_one(http2::RST_STREAM).expect("a reset").stream, 1);
    wait_for_stat(&envoy, "http2.tx_flush_timeout", 1);
    assert_eq!(sipping.receive_one(http2::RST_STREAM).expect("a reset").stream, 1);
    wait_for_stat(&envoy, "http.front.downstream_rq_idle_timeout", 1);
    wait_for_stat(&envoy, "http.front.downstream_cx_destroy_remote_active_rq", 1);
    serves_on(&envoy);
}

#[test]
fn a_tls_handshake_that_stalls_is_cut_by_envoy_or_by_the_guard() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-subj", "/CN=test", "-days", "1", "-out"])
        .args([certificate.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    let [commented, block] = reference::block("envoy.yaml", "- transport_socket_connect_timeout: 10s");
    let commented = format!("{commented}    - filters:\n");
    let place = format!("{}/tls.", folder.path().display());
    let upstream = Upstream::start();
    let start = |changes: [(&str, &str); 1]| {
        let tls = [(commented.as_str(), block.as_str()), ("/etc/envoy/tls.", place.as_str())];
        reference::start(&upstream, &[tls.as_slice(), &changes].concat())
    };

    let envoy = start([("connect_timeout: 10s", "connect_timeout: 1s")]);
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &envoy.front().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    let request = get("/v1/models", &[("connection", "close")]);
    client.stdin.take().expect("its input").write_all(&request).expect("sent");
    let answer = client.wait_with_output().expect("it ends").stdout;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));

    let SocketAddr::V4(front) = envoy.front() else { panic!("IPv4") };
    let silent = TcpStream::connect(front).expect("a connection");
    let name =
        format!("listener.{}_{}.downstream_cx_transport_socket_connect_timeout", front.ip(), front.port());
    wait_for_stat(&envoy, &name, 1);
    drop((silent, envoy));

    let envoy = start([(HEADS[0], HEADS[1])]);
    let _silent = TcpStream::connect(envoy.front()).expect("a connection");
    wait_for_stat(&envoy, "wasmcustom.tidegate.connection_guard.rejected.header_timeout", 1);
}
