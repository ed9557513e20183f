//! A ninth filter is its folder, one line of the list and one line of the workspace's dependencies. All else follows: this
//! adds one to a copy of the checkout, in these three places only, and has the copy generate, check, build and run it.

use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use tidegate_tests::bootstrap::{Listener, checkout, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::get;

/// Every file that names each filter.
const NAMING: [&str; 20] = [
    "README.md",
    "docs/index.md",
    "filters/chain/filters.json",
    "module/Cargo.toml",
    "filters/tidegate/Cargo.toml",
    "envoy/check/Cargo.toml",
    "envoy/envoy.yaml",
    "envoy/envoy-composite.yaml",
    "envoy/istio/chain.yaml",
    "envoy/istio/composite.yaml",
    "envoy/istio/hold-headers.yaml",
    "envoy/gateway/chain.yaml",
    "envoy/gateway/composite.yaml",
    "envoy/kubernetes/gateway.yaml",
    "envoy/prometheus/prometheus.yml",
    "envoy/grafana/tidegate.json",
    "envoy/schema/tidegate.json",
    "docs/reference/configuration.md",
    "docs/reference/host-calls.md",
    "docs/reference/metrics.md",
];

fn run(folder: &Path, command: &str) -> String {
    let output = Command::new("bash").args(["-c", command]).current_dir(folder).output().expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn insert_behind(file: &Path, line: &str, new: &str) {
    let text = fs::read_to_string(file).expect("it is there");
    assert_eq!(text.matches(line).count(), 1, "{line}");
    fs::write(file, text.replace(line, &format!("{line}{new}"))).expect("it can be written");
}

#[test]
fn a_ninth_filter_is_three_places_and_appears_in_all_others() {
    let copy = checkout().join("target/ninth");
    run(
        &checkout(),
        "rm -rf target/ninth && mkdir target/ninth && git ls-files -z | xargs -0 cp --parents -t target/ninth",
    );
    fs::create_dir(copy.join("target")).expect("a folder");
    symlink(checkout().join("target/wasm"), copy.join("target/wasm")).expect("what is built once");
    let copy = copy.as_path();

    run(copy, "cp -r tests/ninth/filter filters/ninth");
    let last = "http \"degradation\" degradation: tidegate_degradation::Degradation,";
    let line = "\n            http \"ninth\" ninth: tidegate_ninth::Ninth,";
    insert_behind(&copy.join("filters/chain/src/lib.rs"), last, line);
    let dependency = "tidegate-host = { path = \"host\" }";
    insert_behind(&copy.join("Cargo.toml"), dependency, "\ntidegate-ninth = { path = \"filters/ninth\" }");

    // Cargo would take what it built of the copy for what it builds of the checkout: their packages have the same names.
    let apart = format!("export CARGO_TARGET_DIR='{}'", checkout().join("target/ninth-tools").display());
    run(copy, &format!("{apart}; cargo run --offline --quiet --package tidegate-generate"));
    for made in ["schema envoy/schema", "reference docs/reference"] {
        run(copy, &format!("{apart}; cargo run --offline --quiet --package tidegate-check -- {made}"));
    }
    for file in NAMING {
        let text = fs::read_to_string(copy.join(file)).expect(file);
        assert!(text.contains("ninth"), "{file} does not name it");
    }
    fs::write(copy.join("all.json"), r#"{ "ninth": { "refuse": true } }"#).expect("it can be written");
    let checked =
        format!("{apart}; cargo run --offline --quiet --package tidegate-check -- all.json tidegate");
    assert!(run(copy, &checked).contains("ninth: every request gets 403"));

    run(copy, "env -u CARGO_TARGET_DIR ./module/build.sh ninth");
    let product = checkout().join("dist/tests/ninth.wasm");
    fs::create_dir_all(product.parent().expect("a folder")).expect("a folder");
    fs::copy(copy.join("dist/ninth.wasm"), product).expect("it was built");
    let filter = module("tests/ninth.wasm", "ninth", &json!({ "refuse": true }).to_string());
    let envoy = Envoy::with(Listener::new([filter])).workers(2).start();
    assert_eq!(envoy.connect().exchange(&get("/", &[])).expect("an answer").status, 403);
    assert_eq!(envoy.stat("wasmcustom.tidegate.ninth.refused"), 1);
}
