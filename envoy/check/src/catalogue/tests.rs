use super::*;
use crate::find::documents;
use crate::reference::PAGES;
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
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

/// Every file below a folder, in no order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The blocks of YAML and JSON in a text of Markdown; a document alone, or a `value`, is for the module that its section
/// is named after.
fn blocks(text: &str) -> Vec<String> {
    let (mut section, mut blocks) = ("", Vec::new());
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 0 {
            let title = |line| str::trim_start_matches(line, '#').strip_prefix(' ');
            let named = |title: &&str| Module::named(title).is_some();
            section = part.lines().rev().filter_map(title).find(named).unwrap_or(section);
        } else if let Some(block) = part.strip_prefix("yaml\n").or(part.strip_prefix("json\n")) {
            let is_alone = block.starts_with('{') && Module::named(section).is_some();
            let block = if is_alone { format!("value: |\n{}", indented(block)) } else { block.to_owned() };
            blocks.push(if block.starts_with("value: ") { plugin_of(section, &block) } else { block });
        }
    }
    blocks
}

fn plugin_of(root_id: &str, value: &str) -> String {
    let kind = "type.googleapis.com/google.protobuf.StringValue";
    let value = indented(value);
    format!("vm_config: {{}}\nroot_id: {root_id}\nconfiguration:\n  \"@type\": {kind}\n{value}\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Everything that the project shows an operator, with its file; what a script fills in is no example.
fn examples() -> Vec<(PathBuf, String)> {
    let folders = ["envoy", "docs"].into_iter().flat_map(|folder| files(&root().join(folder)));
    let all = folders.chain([root().join("README.md")]);
    let read = |path: PathBuf| (fs::read_to_string(&path).unwrap_or_default(), path);
    let of = |extension: &str, path: &Path| path.extension().is_some_and(|known| known == extension);
    let (mut examples, all) = (Vec::new(), all.map(read));
    for (text, path) in all {
        if of("md", &path) {
            examples.extend(blocks(&text).into_iter().map(|block| (path.clone(), block)));
        } else if of("yaml", &path) && !text.contains("${") {
            examples.push((path, text));
        }
    }
    examples
}

#[test]
fn every_example_is_right_for_its_schema_and_its_module() {
    let mut seen = BTreeSet::new();
    for (path, text) in examples() {
        let found = documents(&text, None).unwrap_or_default();
        let is_alone = text.starts_with('{') && path.extension().is_some_and(|known| known == "md");
        for found in found.into_iter().filter(|found| is_alone || found.set.is_some()) {
            let place = format!("{} {}", path.display(), found.path);
            let module =
                Module::named(&found.root_id).unwrap_or_else(|| panic!("{place}: {}", found.root_id));
            let document = found.document.unwrap();
            (module.check)(&document).map_err(|error| format!("{place}: {error}")).unwrap();
            let value: Value = serde_json::from_slice(&document).unwrap();
            validator(module).validate(&value).map_err(|error| format!("{place}: {error}")).unwrap();
            seen.insert((path.clone(), found.root_id));
        }
    }
    let of = |file: &str| -> BTreeSet<&str> {
        let there = seen.iter().filter(|(path, _)| path.ends_with(file));
        there.map(|(_, root_id)| root_id.as_str()).collect()
    };
    let all: BTreeSet<_> = of("istio/chain.yaml").union(&of("istio/composite.yaml")).copied().collect();
    assert_eq!(all, MODULES.map(|module| module.root_id).into());
    assert_eq!(of("README.md"), ["tidegate"].into());
    for shown in ["connection-guard", "degradation", "input-limit", "rate-limit", "tidegate"] {
        assert_eq!(of(&format!("docs/filters/{shown}.md")), [shown].into());
    }
    assert_eq!(of("envoy/envoy-composite.yaml"), ["connection-guard", "tidegate"].into());
    assert_eq!(of("envoy/runbook.md"), ["degradation"].into());
    assert_eq!(of("envoy/envoy.yaml").len(), MODULES.len() - 1);
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
fn a_schema_refuses_what_is_misspelled() {
    let rate = |text: &str| json!({ "limits": [{ "name": "a", "per": [], "requests": { "rate": text, "burst": 1 } }] });
    for (root_id, document, is_right) in [
        ("rate-limit", rate("10/s"), true),
        ("rate-limit", rate("10/fortnight"), false),
        ("rate-limit", json!({}), false),
        (
            "rate-limit",
            json!({ "limits": [], "client": ["x-key", { "address": { "trusted_hops": 1 } }] }),
            true,
        ),
        ("rate-limit", json!({ "limits": [], "client": [{ "adress": {} }] }), false),
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
