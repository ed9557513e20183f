//! Three servers: two of one region, the second with half the weight, and one of another. The cluster is the same in both
//! files.

use std::time::Duration;
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, get, post};
use tidegate_tests::reference::{self, FILES};
use tidegate_tests::upstream::{Step, Upstream};
use tidegate_tests::wait_for;

/// A second region answers within this.
const FAILOVER: Duration = Duration::from_secs(30);
const CHAT: &[u8] = b"{\"messages\":[]}";

fn named(name: &'static str) -> Upstream {
    Upstream::answering(move |_| reply(200, name))
}

fn reply(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// From a client that nobody has seen; no more than a few of one address in a second.
fn chat(envoy: &Envoy, client: usize) -> Answer {
    std::thread::sleep(Duration::from_millis(25));
    let key = format!("Bearer sk-{client}");
    let request = post("/v1/chat/completions", &[("authorization", &key)], CHAT);
    envoy.connect().exchange(&request).expect("an answer")
}

fn wait_for_healthy(envoy: &Envoy, servers: u64) {
    wait_for(&format!("{servers} healthy servers"), FAILOVER, || {
        (envoy.stat("cluster.model.membership_healthy") == servers).then_some(())
    });
}

#[test]
fn a_region_that_dies_leaves_its_clients_to_the_other_and_takes_them_back() {
    let [near, beside, far] = ["near", "beside", "far"].map(named);
    let envoy = reference::start_file(FILES[1], [&near, &beside, &far], &[]);
    wait_for_healthy(&envoy, 3);
    let mut clients = 0..;
    let mut ask = || chat(&envoy, clients.next().expect("another"));
    let mut wait_for_twenty = |what: &str, of: fn(&Answer) -> bool| {
        wait_for(what, FAILOVER, || (0..20).all(|_| of(&ask())).then_some(()));
    };
    wait_for_twenty("answers of the near region", |answer| {
        answer.body == b"near" || answer.body == b"beside"
    });

    near.cut();
    beside.cut();
    wait_for_healthy(&envoy, 1);
    wait_for_twenty("answers of the far region alone", |answer| answer.body == b"far");
    near.restart();
    beside.restart();
    wait_for_twenty("the near region's again", |answer| answer.body == b"near" || answer.body == b"beside");

    for server in [&near, &beside, &far] {
        server.cut();
    }
    let answer =
        wait_for("an answer of nobody's", FAILOVER, || Some(ask()).filter(|answer| answer.status == 503));
    assert!(answer.number("retry-after-ms") > 0 && answer.json()["error"]["code"].is_string(), "{answer:?}");
    envoy.assert_no_vm_restarted();
}

#[test]
fn servers_get_what_they_weigh_and_one_that_fails_its_requests_gets_none() {
    let [near, beside, far] = ["near", "beside", "far"].map(named);
    let warm = [("slow_start_window: 60s", "slow_start_window: 0.1s")];
    let envoy = reference::start_file(FILES[0], [&near, &beside, &far], &warm);
    wait_for_healthy(&envoy, 3);
    let ask = |client: usize| {
        std::thread::sleep(Duration::from_millis(25));
        let key = format!("Bearer sk-{client}");
        let request = get("/v1/models", &[("authorization", &key)]);
        envoy.connect().exchange(&request).expect("an answer")
    };
    let mut clients = 0..;
    let mut ask = || ask(clients.next().expect("another"));
    // Envoy begins at a place of its own in the row of turns.
    wait_for("two thirds for the server of twice the weight", FAILOVER, || {
        let near = (0..60).filter(|_| ask().body == b"near").count();
        (36..=44).contains(&near).then_some(())
    });

    beside.follow(|seen| {
        let status = if seen.target == "/health" { 200 } else { 500 };
        vec![Step::Send(reply(status, "beside"))]
    });
    wait_for("an ejection", FAILOVER, || {
        ask();
        (envoy.stat("cluster.model.outlier_detection.ejections_enforced_consecutive_5xx") == 1).then_some(())
    });
    assert!((0..40).all(|_| ask().body != b"beside"));
    assert_eq!(envoy.stat("cluster.model.membership_healthy"), 2);
}
