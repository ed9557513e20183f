//! Every configuration that the project shows is accepted by its module and by that module's schema.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tidegate_check::catalogue::{MODULES, Module};
use tidegate_check::find::{Found, documents};

/// What is no module's document but Envoy's, and is run in an Envoy by `tests/deploy/test_reference.py`.
const ROUTES: (&str, &str) = ("docs/operate/rollout.md", "typed_per_filter_config:");

struct Example {
    path: PathBuf,
    /// The filter whose page or section it is in.
    section: Option<&'static Module>,
    text: String,
    /// A block of a page is a configuration as a whole, or contains some; a file may contain none.
    is_block: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("a checkout")
}

/// Every file below a folder, in no order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The fenced blocks of YAML and JSON in a page.
fn blocks(path: &Path, text: &str) -> Vec<Example> {
    let (mut section, mut blocks) = (None, Vec::new());
    let (page, begin) = ROUTES;
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 0 {
            let title = |line| str::trim_start_matches(line, '#').strip_prefix(' ');
            section = part.lines().rev().filter_map(title).find_map(Module::named).or(section);
        } else if let Some(text) = part.strip_prefix("yaml\n").or(part.strip_prefix("json\n")) {
            let (path, text) = (path.to_owned(), text.to_owned());
            if !(path.ends_with(page) && text.trim_start().starts_with(begin)) {
                blocks.push(Example { path, section, text, is_block: true });
            }
        }
    }
    blocks
}

/// Everything that the project shows an operator; what a script fills in is no example.
fn examples() -> Vec<Example> {
    let folders = ["envoy", "docs"].into_iter().flat_map(|folder| files(&root().join(folder)));
    let mut examples = Vec::new();
    for path in folders.chain([root().join("README.md")]) {
        let is = |extension: &str| path.extension().is_some_and(|known| known == extension);
        let text = || fs::read_to_string(&path).expect("a text");
        if is("md") {
            examples.extend(blocks(&path, &text()));
        } else if is("yaml") && !text().contains("${") {
            examples.push(Example { text: text(), path, section: None, is_block: false });
        }
    }
    examples
}

fn found(example: &Example) -> Vec<Found> {
    let is_alone = example.text.starts_with('{');
    let module = example.section.filter(|_| is_alone).map(|module| module.root_id);
    let found = documents(&example.text, module);
    let place = example.path.display();
    if example.is_block {
        return found.unwrap_or_else(|error| panic!("{place}: {error} in\n{}", example.text));
    }
    found.unwrap_or_default().into_iter().filter(|found| found.set.is_some()).collect()
}

#[test]
fn every_example_is_right_for_its_schema_and_its_module() {
    let mut seen = BTreeSet::new();
    let schema = |module: &Module| jsonschema::validator_for(&module.schema().into()).expect("a schema");
    let validators: BTreeMap<_, _> = MODULES.iter().map(|module| (module.root_id, schema(module))).collect();
    for example in examples() {
        for found in found(&example) {
            let place = format!("{} {}", example.path.display(), found.path);
            let module =
                Module::named(&found.root_id).unwrap_or_else(|| panic!("{place}: {}", found.root_id));
            let document = found.document.unwrap_or_else(|error| panic!("{place}: {error}"));
            (module.check)(&document).map_err(|error| format!("{place}: {error}")).expect("a right document");
            let value = serde_json::from_slice(&document).expect("a document");
            let errors: Vec<String> = validators[module.root_id]
                .iter_errors(&value)
                .map(|error| format!("{place}: {error}"))
                .collect();
            assert!(errors.is_empty(), "{errors:#?}");
            seen.insert((example.path.clone(), found.root_id));
        }
    }
    let of = |file: &str| -> BTreeSet<&str> {
        let there = seen.iter().filter(|(path, _)| path.ends_with(file));
        there.map(|(_, root_id)| root_id.as_str()).collect()
    };
    let all: BTreeSet<_> = MODULES.map(|module| module.root_id).into();
    assert_eq!(
        of("istio/chain.yaml").union(&of("istio/composite.yaml")).copied().collect::<BTreeSet<_>>(),
        all
    );
    for shown in all {
        assert_eq!(of(&format!("docs/filters/{shown}.md")), [shown].into());
    }
    assert_eq!(of("README.md"), ["tidegate"].into());
    assert_eq!(of("docs/quickstart.yaml"), ["tidegate"].into());
    assert_eq!(of("docs/operate/rollout.md"), ["degradation"].into());
    assert_eq!(of("envoy/envoy-composite.yaml"), ["connection-guard", "tidegate"].into());
    assert_eq!(of("envoy/envoy.yaml").len(), MODULES.len() - 1);
}
