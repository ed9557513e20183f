//! A wall clock that steps by hours neither locks a client out nor frees it: decisions are made on monotonic
//! time. The step is real to Envoy: a library preloaded into it moves what the wall clock says.

use serde_json::json;
use std::fs;
use std::process::Command;
use tidegate_tests::bootstrap::{Listener, checkout, rate_limit};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, get};
use tidegate_tests::{PATIENCE, wait_for};

#[test]
fn a_wall_clock_that_steps_by_hours_changes_no_decision() {
    let folder = tempfile::tempdir().expect("a folder");
    let (library, offset) = (folder.path().join("step.so"), folder.path().join("offset"));
    let compiled = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(checkout().join("tests/clock/step.c"))
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "cc could not compile tests/clock/step.c");
    let step = |hours: i64| fs::write(&offset, (hours * 3_600).to_le_bytes()).expect("written");
    step(0);
    let limit =
        json!({ "name": "per-client", "per": ["client"], "requests": { "rate": "1/min", "burst": 3 } });
    let envoy = Envoy::with(Listener::new([rate_limit(&json!({ "limits": [limit] }))]))
        .workers(2)
        .environment("LD_PRELOAD", library.to_str().expect("a path"))
        .environment("CLOCK_OFFSET_FILE", offset.to_str().expect("a path"))
        .start();
    let ask = |client: &str| -> Answer {
        envoy.connect().exchange(&get("/", &[("x-api-key", client)])).expect("an answer")
    };
    let hour = || ask("the clock's").header("date").expect("a date")[17..19].to_owned();
    assert_eq!([ask("a").status, ask("a").status], [200, 200]);
    for (hours, newcomer) in [(-5, "b"), (7, "c")] {
        let before = hour();
        step(hours);
        wait_for("Envoy's clock to step", PATIENCE, || (hour() != before).then_some(()));
        assert_eq!(
            [1, 2, 3, 4].map(|_| ask(newcomer).status),
            [200, 200, 200, 429],
            "after a step to {hours} h"
        );
    }
    assert_eq!(
        [ask("a").status, ask("a").status],
        [200, 429],
        "one of three tokens was left, and no step refilled it"
    );
    envoy.assert_no_vm_restarted();
}
