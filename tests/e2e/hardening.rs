//! What `docs/operate/hardening.md` says of the reference configuration, threat by threat, where no other test shows it.
//! Waits are shortened in the configuration's text; what is expected to happen is polled.

mod buffers;
mod floods;
mod messages;
mod slow;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_tests::bootstrap::checkout;
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{self, get};
use tidegate_tests::http2::Connection;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{reference, wait_for};

const SOON: Duration = tidegate_tests::PATIENCE;
const NO_SETTINGS: [u8; 0] = [];
/// `SETTINGS_INITIAL_WINDOW_SIZE` of 0: not a byte of any answer.
const CLOSED_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

fn open(envoy: &Envoy, settings: &[u8]) -> Connection {
    Connection::open(envoy.front(), settings).expect("a connection")
}

fn wait_for_stat(envoy: &Envoy, name: &str, least: u64) {
    wait_for(&format!("{name} of {least}"), SOON, || (envoy.stat(name) >= least).then_some(()));
}

fn serves_on(envoy: &Envoy) {
    let honest = get("/v1/models", &[("authorization", "Bearer sk-honest")]);
    assert_eq!(envoy.connect().exchange(&honest).expect("an answer").status, 200);
    envoy.assert_no_vm_restarted();
}

#[test]
fn connections_of_all_addresses_are_capped_idle_ones_go_first_and_the_administrator_gets_in() {
    let upstream = Upstream::start();
    let envoy = reference::start(
        &upstream,
        &[
            ("max_active_downstream_connections: 20000", "max_active_downstream_connections: 10"),
            ("CONNECTION_IDLE, min_timeout: 5s", "CONNECTION_IDLE, min_timeout: 1s"),
        ],
    );
    let idle = |n: usize| {
        let mut connection = envoy.connect();
        let key = format!("Bearer sk-{n}");
        let request = get("/v1/models", &[("authorization", &key)]);
        assert_eq!(connection.exchange(&request).expect("an answer").status, 200);
        connection
    };
    let hoarded: Vec<http::Connection> = (0..9).map(idle).collect();
    wait_for_stat(&envoy, "http.front.downstream_cx_idle_timeout", 1);
    drop(hoarded);

    let flood: Vec<http::Connection> = (0..20).map(|_| envoy.connect()).collect();
    let SocketAddr::V4(front) = envoy.front() else { panic!("IPv4") };
    let name = format!("listener.{}_{}.downstream_global_cx_overflow", front.ip(), front.port());
    wait_for_stat(&envoy, &name, 10);
    assert!(envoy.stat("http.front.downstream_cx_active") <= 10);
    for path in ["/quitquitquit", "/runtime_modify?a=b", "/logging?level=trace", "/config_dump"] {
        assert!(envoy.admin("POST", path).contains("not allowed"), "{path}");
    }
    drop(flood);
    wait_for("room", SOON, || (envoy.stat("http.front.downstream_cx_active") == 0).then_some(()));
    serves_on(&envoy);
}

#[test]
fn a_connection_that_is_idle_for_long_or_has_had_its_requests_is_closed() {
    let upstream = Upstream::start();
    let envoy = reference::start(
        &upstream,
        &[("  idle_timeout: 3600s", "  idle_timeout: 1s"), ("per_connection: 10000", "per_connection: 2")],
    );
    let mut used = envoy.connect();
    let mut ask = || used.exchange(&get("/v1/models", &[])).expect("an answer").closes();
    assert_eq!([ask(), ask()], [false, true]);
    let mut idle = envoy.connect();
    assert_eq!(idle.exchange(&get("/v1/models", &[])).expect("an answer").status, 200);
    assert!(idle.receive().is_err());
    wait_for_stat(&envoy, "http.front.downstream_cx_idle_timeout", 1);
    serves_on(&envoy);
}

#[test]
fn every_test_that_the_document_names_is_there() {
    let text =
        fs::read_to_string(checkout().join("docs/operate/hardening.md")).expect("docs/operate/hardening.md");
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).collect();
    assert!(names.len() > 20);
    for name in names {
        let (path, test) = name.rsplit_once("::").expect("a path");
        let file = checkout().join("tests/e2e").join(path.replace("::", "/")).with_extension("rs");
        let source = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{name}: no {}", file.display()));
        assert!(source.contains(&format!("fn {test}()")), "{name} is not there");
    }
}
