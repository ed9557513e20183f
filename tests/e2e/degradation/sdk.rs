//! Unmodified SDKs take every degraded answer for an ordinary one, or raise the exception that it is.

use super::*;
use std::process::{Command, Stdio};
use tidegate_tests::bootstrap::checkout;

const WAYS: [(&str, &[&str]); 2] = [
    ("openai", &["chat", "chat_stream", "completion", "completion_stream"]),
    ("anthropic", &["message", "message_stream"]),
];

fn ask_all(sdk: &str, envoy: &Envoy) -> Value {
    let output = Command::new(checkout().join("tests/sdk/degraded.sh"))
        .args([sdk, &format!("http://{}", envoy.front())])
        .stderr(Stdio::inherit())
        .output()
        .expect("tests/sdk/degraded.sh runs");
    assert!(output.status.success(), "tests/sdk/degraded.sh {sdk} failed");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn tiers(status: u16) -> Value {
    json!({ "timeout": "2s", "tiers": { "cached": {}, "default": { "status": status, "message": "Busy." } } })
}

#[test]
fn default_answers_are_ordinary_answers_and_errors_are_the_exceptions_that_they_are() {
    let upstream = Upstream::start();
    upstream.cut();
    let ordinary = start(tiers(200), &upstream);
    let errors = start(tiers(503), &upstream);
    for (sdk, ways) in WAYS {
        let (said, raised) = (ask_all(sdk, &ordinary), ask_all(sdk, &errors));
        let (reason, exception) = if sdk == "openai" {
            ("stop", "InternalServerError")
        } else {
            ("end_turn", "ServiceUnavailableError")
        };
        for way in ways {
            assert_eq!(said[way], json!(["Busy.", reason]), "{way}: {said}");
            assert_eq!(raised[way], json!([exception, 503]), "{way}: {raised}");
        }
    }
}

#[test]
fn kept_answers_are_the_same_as_the_clusters_own() {
    let cluster = Upstream::start();
    cluster.cut();
    let model = start(json!({ "tiers": { "default": { "status": 200, "message": "Hello." } } }), &cluster);
    let tiers = json!({ "cached": { "force": true } });
    let envoy = in_front_of(json!({ "tiers": tiers }), model.front().port());
    for (sdk, ways) in WAYS {
        let own = ask_all(sdk, &envoy);
        assert_eq!(ask_all(sdk, &envoy), own);
        assert!(ways.iter().all(|way| own[way][0] == "Hello."), "{own}");
    }
    assert_eq!((envoy.counter("degradation.kept"), envoy.counter("degradation.cached")), (6, 6));
}
