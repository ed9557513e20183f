//! What must hold in every release of Envoy that is supported: each module loads, admits, refuses, counts, and
//! refuses a configuration that it cannot enforce. `make compat` runs these tests in all of them.

use serde_json::{Value, json};
use std::time::Duration;
use tidegate_tests::bootstrap::{Listener, connection_guard, module, refusal};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wait_for;

fn filter(root_id: &str, configuration: &Value) -> Value {
    module(&format!("{root_id}.wasm"), root_id, &configuration.to_string())
}

fn exchange(envoy: &Envoy, request: &[u8]) -> u16 {
    envoy.connect().exchange(request).expect("an answer").status
}

fn must_refuse(listener: Listener, root_id: &str) {
    let log = Envoy::with(listener).workers(1).refused();
    assert!(log.contains(&refusal(root_id, "")), "{log}");
}

#[test]
fn rate_limit_admits_refuses_and_counts() {
    let one = json!({ "name": "one", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } });
    let limits = filter("rate-limit", &json!({ "limits": [one] }));
    let envoy = Envoy::with(Listener::new([limits])).workers(2).start();
    assert_eq!([exchange(&envoy, &get("/", &[])), exchange(&envoy, &get("/", &[]))], [200, 429]);
    assert_eq!([envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.throttled")], [1, 1]);
    envoy.assert_no_vm_restarted();
}

#[test]
fn header_limit_admits_refuses_and_counts() {
    let envoy = Envoy::with(Listener::new([filter("header-limit", &json!({}))])).workers(2).start();
    let large = "v".repeat(8_193);
    assert_eq!(exchange(&envoy, &get("/", &[("x-large", "v")])), 200);
    assert_eq!(exchange(&envoy, &get("/", &[("x-large", &large)])), 431);
    let rejected = envoy.counter("header_limit.rejected.max_value");
    assert_eq!([envoy.counter("header_limit.admitted"), rejected], [1, 1]);
    envoy.assert_no_vm_restarted();
}

#[test]
fn slow_client_admits_refuses_and_counts_while_it_holds_the_request() {
    let upstream = Upstream::start();
    let mut slow_client =
        filter("slow-client", &json!({ "body": { "grace": "500ms" }, "hold_headers": true }));
    slow_client["typed_config"]["config"]["allow_on_headers_stop_iteration"] = json!(true);
    let envoy = Envoy::with(Listener::new([slow_client]).to(upstream.port())).workers(2).start();
    assert_eq!(exchange(&envoy, &post("/", &[], b"whole")), 200);
    assert_eq!(exchange(&envoy, b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n"), 408);
    let rejected = envoy.counter("slow_client.rejected.rate");
    assert_eq!([envoy.counter("slow_client.admitted"), rejected], [1, 1]);
    assert_eq!(upstream.seen().len(), 1);
    envoy.assert_no_vm_restarted();
}

#[test]
fn connection_guard_admits_closes_and_counts() {
    let strict = json!({ "headers": { "timeout": "500ms", "grace": "100ms" } });
    let envoy = Envoy::with(Listener::new([]).behind(connection_guard(&strict))).workers(2).start();
    assert_eq!(exchange(&envoy, &get("/", &[])), 200);
    let mut silent = envoy.connect();
    assert!(silent.receive().is_err(), "a connection that says nothing was answered");
    wait_for("the count of what was closed", Duration::from_secs(10), || {
        (envoy.counter("connection_guard.rejected.header_timeout") == 1).then_some(())
    });
    assert_eq!(envoy.counter("connection_guard.admitted"), 2);
    envoy.assert_no_vm_restarted();
}

#[test]
fn every_module_refuses_a_configuration_that_it_cannot_enforce() {
    let wrong = json!({ "no such key": 1 });
    for root_id in ["rate-limit", "header-limit", "slow-client"] {
        must_refuse(Listener::new([filter(root_id, &wrong)]), root_id);
    }
    must_refuse(Listener::new([]).behind(connection_guard(&wrong)), "connection-guard");
}
