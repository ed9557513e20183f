//! A configuration that cannot be enforced is refused with its path, what was found and what is accepted, and a
//! running Envoy keeps the one that it has.

use serde_json::{Value, json};
use tidegate_tests::bootstrap::{Listener, rate_limit, refusal};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::get;
use tidegate_tests::{PATIENCE, wait_for};

fn limit() -> Value {
    json!({ "name": "a", "per": [], "requests": { "rate": "1/h", "burst": 2 } })
}

#[test]
fn envoy_does_not_start_a_listener_on_a_wrong_configuration_and_says_why() {
    let mut unknown_per = limit();
    unknown_per["per"] = json!(["colour"]);
    let log =
        Envoy::with(Listener::new([rate_limit(&json!({ "limits": [unknown_per] }))])).workers(2).refused();
    assert!(log.contains(&refusal("rate-limit", "limits[0].per[0]: found \"colour\"")), "{log}");
}

#[test]
fn a_running_envoy_keeps_its_configuration_when_the_new_one_is_wrong() {
    let good = Listener::new([rate_limit(&json!({ "limits": [limit()] }))]);
    let envoy = Envoy::with(good).workers(2).start();
    let ask = || envoy.connect().exchange(&get("/", &[])).expect("an answer").status;
    assert_eq!(ask(), 200);
    let mut rejected = 0;
    for (path, value) in [
        ("/limits/0/requests/rate", json!("0/s")),
        ("/limits/0/requests/rate", json!("10/fortnight")),
        ("/limits/0/requests/rate", json!("4000000000/s")),
        ("/limits/0/requests/burst", json!(0)),
        ("/limits/0/per", json!(["colour"])),
        ("/limits/0/name", json!("no spaces please")),
        ("/limits", json!([limit(), limit()])),
        ("/limits", json!([])),
        ("/limits/0/overrides", json!([{ "sha256": "sk-clear", "requests": { "rate": "1/s", "burst": 1 } }])),
    ] {
        let mut wrong = json!({ "limits": [limit()] });
        *wrong.pointer_mut(path).unwrap_or(&mut Value::Null) = value.clone();
        if path.ends_with("overrides") {
            wrong["limits"][0]["overrides"] = value.clone();
            wrong["limits"][0]["per"] = json!(["client"]);
        }
        envoy.reload(&Listener::new([rate_limit(&wrong)]));
        rejected += 1;
        wait_for(&format!("the refusal of {path}: {value}"), PATIENCE, || {
            (envoy.stat("listener_manager.lds.update_rejected") == rejected).then_some(())
        });
    }
    assert_eq!(envoy.log().matches(&refusal("rate-limit", "limits")).count() as u64, rejected);
    assert!(!envoy.log().contains("sk-clear"), "a key that was given in clear is in the log");
    assert_eq!([ask(), ask()], [200, 429], "the old limit holds, with its state");
}
