use super::*;
use crate::reference::PAGES;
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use tidegate_config::range::{ANY, ByteRate, Fraction, GIB, LONGEST, ONE, Size, Span};
use tidegate_config::rate::Rate;
use tidegate_config::text::{FieldName, HeaderName, MediaType, Method, ModelName, RuleName};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn validator(module: &Module) -> Validator {
    jsonschema::validator_for(&module.schema().into()).unwrap()
}

/// Returns every file below a folder, in no particular order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let folder = root().join("envoy/schema");
    for module in MODULES {
        let file = folder.join(format!("{}.json", module.root_id));
        let committed = fs::read_to_string(&file).unwrap_or_default();
        let again = "cargo run --package tidegate-check -- schema envoy/schema";
        assert!(committed == module.schema_text().unwrap(), "{} has drifted: {again}", file.display());
    }
    assert_eq!(files(&folder).len(), MODULES.len());
}

#[test]
fn the_committed_pages_are_those_of_the_types() {
    for (name, page) in PAGES {
        let file = root().join("docs/reference").join(name);
        let committed = fs::read_to_string(&file).unwrap_or_default();
        let again = "cargo run --package tidegate-check -- reference docs/reference";
        assert!(committed == page(), "{} has drifted: {again}", file.display());
    }
}

#[test]
fn every_metric_that_a_module_has_is_in_the_reference_and_no_other() {
    let rate = json!({ "limits": [{ "name": "a", "per": [], "requests": { "rate": "1/s", "burst": 1 } }] });
    for module in MODULES.iter().filter(|module| module.root_id != "tidegate") {
        let document = if module.root_id == "rate-limit" { &rate } else { &json!({}) };
        let [counters, gauges] = (module.names)(document.to_string().as_bytes()).unwrap();
        for (names, known) in [(counters, (module.counters)()), (gauges, (module.gauges)())] {
            let is = |name: &str, known: &str| match known.split_once('<') {
                Some((stem, _)) => name.starts_with(stem),
                None => name == known,
            };
            for name in &names {
                assert!(known.iter().any(|metric| is(name, metric.name)), "{name} is not in the reference");
            }
            for metric in &known {
                assert!(names.iter().any(|name| is(name, metric.name)), "{} is counted nowhere", metric.name);
                assert!(metric.meaning.trim().ends_with('.'), "{}: {}", metric.name, metric.meaning);
            }
        }
    }
}

#[test]
fn a_schema_refuses_a_misspelled_key() {
    let rate = |text: &str| json!({ "limits": [{ "name": "a", "per": [], "requests": { "rate": text, "burst": 1 } }] });
    for (root_id, document, is_right) in [
        ("rate-limit", rate("10/s"), true),
        ("rate-limit", rate("10/fortnight"), false),
        ("rate-limit", json!({}), false),
        (
            "rate-limit",
            json!({ "limits": rate("10/s")["limits"], "client": ["x-key", { "address": { "trusted_hops": 1 } }] }),
            true,
        ),
        ("rate-limit", json!({ "limits": [] }), false),
        ("rate-limit", json!({ "limits": rate("10/s")["limits"], "client": [{ "adress": {} }] }), false),
        ("header-limit", json!({ "shadow": ["max_count"] }), true),
        ("header-limit", json!({ "shadow": "max_count" }), false),
        ("header-limit", json!({ "max_count": 1.5 }), false),
        ("header-limit", json!({ "max_cuont": 1 }), false),
        ("slow-client", json!({ "body": { "grace": "5s", "min_rate": "500B/s" } }), true),
        ("slow-client", json!({ "body": { "grace": 5 } }), false),
        ("input-limit", json!({ "routes": [{ "when": { "methods": ["POST"] }, "max_chars": 5 }] }), true),
        ("input-limit", json!({ "max_completion_tokens": { "limit": 1, "exceed": "cut" } }), false),
        ("connection-guard", json!({ "failure_mode": "open" }), false),
    ] {
        let module = Module::named(root_id).unwrap();
        assert_eq!(validator(module).is_valid(&document), is_right, "{root_id} {document}");
    }
}

#[test]
fn a_schema_takes_the_same_notation_as_the_modules() {
    fn agree<T: DeserializeOwned + schemars::JsonSchema>(texts: &[&str]) {
        let validator = jsonschema::validator_for(&schemars::schema_for!(T).into()).unwrap();
        for text in texts.iter().map(|text| json!(text)) {
            let is_read = serde_json::from_value::<T>(text.clone()).is_ok();
            assert_eq!(validator.is_valid(&text), is_read, "{text}");
        }
    }
    agree::<Rate<1_000_000>>(&[
        "10/s", "10 / min", " 1/h ", "0/s", "/s", "1.5/s", "-1/s", "1/m", "1/s/s", "", "010/d",
    ]);
    agree::<Span<0, LONGEST>>(&["1ms", "5 m", " 5m", "5", "m", "1.5s", "5s ", "5min", "1h", "0s"]);
    agree::<Span<1, LONGEST>>(&["0s", "00ms", "01s", "10s"]);
    agree::<Size<0, GIB>>(&["0B", "16 KiB", "1MB", "1GiB", "KiB", "1kib", "-1B", "1B/s"]);
    agree::<ByteRate<0, ANY>>(&["500B/s", "2 KiB/s", "500B", "500/s", "1B /s", "/s"]);
    agree::<Fraction<0, { 10 * ONE }>>(&["0.2", "1", "0.1234567", "20%", ".5", "-1", "1e-1"]);
    agree::<RuleName>(&["a", "a b", "", "é", "A-_9"]);
    agree::<HeaderName>(&["x-a", "X!#$%&'*+.^_`|~-", "", "a b", ":path", "é"]);
    agree::<FieldName>(&["x-a", ":path", ":authority", ":status", ""]);
    agree::<Method>(&["GET", "get", "", "M-SEARCH", "A1"]);
    agree::<ModelName>(&["a", "a;b", "a,b", "a\"b", "a b", "é", "!#+-./:<=>~", ""]);
    agree::<MediaType>(&["a/b", "a", "a/", "/b", "a/b;c", "a/b c", "a/b/c"]);
}
