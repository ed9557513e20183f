//! What must hold in every release of Envoy that is supported: each module loads, admits, refuses, counts, and
//! refuses a configuration that it cannot enforce. `make compat` runs these tests in all of them.

use serde_json::{Value, json};
use tidegate_tests::bootstrap::{Listener, connection_guard, module, refusal, root_ids};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{get, post};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::{PATIENCE, wait_for};

const CHAT: &str = "/v1/chat/completions";

/// A filter that may hold headers.
fn filter(root_id: &str, configuration: &Value) -> Value {
    let mut filter = module(&format!("{root_id}.wasm"), root_id, &configuration.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = json!(true);
    filter
}

fn start(root_id: &str, configuration: &Value, upstream: &Upstream) -> Envoy {
    let listener = Listener::new([filter(root_id, configuration)]);
    Envoy::with(listener.to(upstream.port())).workers(2).start()
}

fn exchange(envoy: &Envoy, request: &[u8]) -> u16 {
    envoy.connect().exchange(request).expect("an answer").status
}

fn must_refuse(listener: Listener, root_id: &str) {
    let log = Envoy::with(listener).workers(1).refused();
    assert!(log.contains(&refusal(root_id, "")), "{log}");
}

#[test]
fn every_module_admits_refuses_and_counts() {
    for root_id in root_ids() {
        match root_id {
            "connection-guard" => connection_guard_closes(),
            "degradation" => degradation_stands_in(),
            "header-limit" => header_limit_refuses(),
            "input-limit" => input_limit_refuses_while_it_holds_the_request(),
            "rate-limit" => rate_limit_refuses(),
            "retry-budget" => retry_budget_refuses(),
            "slow-client" => slow_client_refuses_while_it_holds_the_request(),
            "tidegate" => tidegate_refuses_by_two_of_its_filters(),
            other => panic!("{other} is not tried here"),
        }
    }
}

fn rate_limit_refuses() {
    let upstream = Upstream::start();
    let one = json!({ "name": "one", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } });
    let envoy = start("rate-limit", &json!({ "limits": [one] }), &upstream);
    assert_eq!([exchange(&envoy, &get("/", &[])), exchange(&envoy, &get("/", &[]))], [200, 429]);
    assert_eq!([envoy.counter("rate_limit.admitted"), envoy.counter("rate_limit.throttled")], [1, 1]);
    envoy.assert_no_vm_restarted();
}

fn header_limit_refuses() {
    let upstream = Upstream::start();
    let envoy = start("header-limit", &json!({}), &upstream);
    let large = "v".repeat(8_193);
    assert_eq!(exchange(&envoy, &get("/", &[("x-large", "v")])), 200);
    assert_eq!(exchange(&envoy, &get("/", &[("x-large", &large)])), 431);
    let rejected = envoy.counter("header_limit.rejected.max_value");
    assert_eq!([envoy.counter("header_limit.admitted"), rejected], [1, 1]);
    envoy.assert_no_vm_restarted();
}

fn slow_client_refuses_while_it_holds_the_request() {
    let upstream = Upstream::start();
    let impatient = json!({ "body": { "grace": "500ms" }, "hold_headers": true });
    let envoy = start("slow-client", &impatient, &upstream);
    assert_eq!(exchange(&envoy, &post("/", &[], b"whole")), 200);
    assert_eq!(exchange(&envoy, b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n"), 408);
    let rejected = envoy.counter("slow_client.rejected.rate");
    assert_eq!([envoy.counter("slow_client.admitted"), rejected], [1, 1]);
    assert_eq!(upstream.seen().len(), 1);
    envoy.assert_no_vm_restarted();
}

fn input_limit_refuses_while_it_holds_the_request() {
    let upstream = Upstream::start();
    let envoy = start("input-limit", &json!({ "max_chars": 10, "hold_headers": true }), &upstream);
    let prompt = |length| format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "x".repeat(length)).into_bytes();
    assert_eq!(exchange(&envoy, &post(CHAT, &[], &prompt(10))), 200);
    assert_eq!(exchange(&envoy, &post(CHAT, &[], &prompt(11))), 400);
    let rejected = envoy.counter("input_limit.rejected.max_chars");
    assert_eq!([envoy.counter("input_limit.admitted"), rejected], [1, 1]);
    assert_eq!(upstream.seen().len(), 1);
    envoy.assert_no_vm_restarted();
}

fn retry_budget_refuses() {
    let upstream = Upstream::start();
    let envoy = start("retry-budget", &json!({ "min_retries_per_second": 0 }), &upstream);
    let attempt = |number| get("/", &[("x-api-key", "k"), ("x-stainless-retry-count", number)]);
    assert_eq!([exchange(&envoy, &attempt("0")), exchange(&envoy, &attempt("1"))], [200, 429]);
    let refused = envoy.counter("retry_budget.client_retries.refused");
    assert_eq!([envoy.counter("retry_budget.first_attempts"), refused], [1, 1]);
    assert_eq!(upstream.seen().len(), 1);
    envoy.assert_no_vm_restarted();
}

fn degradation_stands_in() {
    let upstream = Upstream::start();
    let tiers = json!({ "default": { "status": 200, "message": "Busy." } });
    let envoy = start("degradation", &json!({ "tiers": tiers, "hold_headers": true }), &upstream);
    let ask = || envoy.connect().exchange(&post(CHAT, &[], b"{}")).expect("an answer");
    assert_eq!(ask().header("x-tidegate-degraded"), None);
    upstream.cut();
    let busy = ask();
    assert_eq!((busy.status, busy.header("x-tidegate-degraded")), (200, Some("default")));
    assert_eq!([envoy.counter("degradation.defaulted"), envoy.counter("degradation.failures")], [1, 1]);
    envoy.assert_no_vm_restarted();
}

fn tidegate_refuses_by_two_of_its_filters() {
    let upstream = Upstream::start();
    let one = json!({ "name": "one", "per": ["client"], "requests": { "rate": "1/h", "burst": 1 } });
    let document = json!({ "header_limit": {}, "rate_limit": { "limits": [one] } });
    let envoy = start("tidegate", &document, &upstream);
    let large = "v".repeat(8_193);
    assert_eq!(exchange(&envoy, &get("/", &[("x-large", &large)])), 431);
    assert_eq!([exchange(&envoy, &get("/", &[])), exchange(&envoy, &get("/", &[]))], [200, 429]);
    let rejected = envoy.counter("header_limit.rejected.max_value");
    assert_eq!([envoy.counter("rate_limit.throttled"), rejected], [1, 1]);
    envoy.assert_no_vm_restarted();
}

fn connection_guard_closes() {
    let strict = json!({ "headers": { "timeout": "2s", "grace": "1s" } });
    let envoy = Envoy::with(Listener::new([]).behind(connection_guard(&strict))).workers(2).start();
    assert_eq!(exchange(&envoy, &get("/", &[])), 200);
    let mut silent = envoy.connect();
    assert!(silent.receive().is_err(), "a connection that says nothing was answered");
    wait_for("the count of what was closed", PATIENCE, || {
        (envoy.counter("connection_guard.rejected.header_timeout") == 1).then_some(())
    });
    assert_eq!(envoy.counter("connection_guard.admitted"), 2);
    envoy.assert_no_vm_restarted();
}

#[test]
fn every_module_refuses_a_configuration_that_it_cannot_enforce() {
    let wrong = json!({ "no such key": 1 });
    for root_id in root_ids() {
        let listener = match root_id {
            "connection-guard" => Listener::new([]).behind(connection_guard(&wrong)),
            _ => Listener::new([filter(root_id, &wrong)]),
        };
        must_refuse(listener, root_id);
    }
}
