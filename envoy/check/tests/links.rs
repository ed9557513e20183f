//! Every link in the project's pages leads to a file and a heading that exist, and every page of `docs/` can be found.
#![allow(missing_docs, clippy::expect_used, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("a checkout")
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn pages() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        [".github", "docs", "envoy", "module", "tests"].map(|name| root().join(name)).into();
    let mut pages: Vec<PathBuf> = fs::read_dir(root())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| is_page(path))
        .collect();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if is_page(&path) {
                pages.push(path);
            }
        }
    }
    pages
}

/// The targets of a text's links, but for those to elsewhere.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://") && !target.contains(' ')).collect()
}

/// The headings of a page, as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let slug = |title: &str| title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    let title = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_owned());
    text.lines().filter_map(title).map(|title| slug(&title)).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let (mut dead, mut followed) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let there = target.exists()
                && (heading.is_empty()
                    || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(heading)));
            if !there {
                dead.push(format!("{}: {link}", page.display()));
            }
            followed += 1;
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(followed > 150, "{followed} links are too few to be all");
}

#[test]
fn every_page_of_the_documentation_is_reachable_from_its_index() {
    let folder = root().join("docs");
    let (mut reached, mut rest) = (BTreeSet::new(), vec![folder.join("index.md")]);
    while let Some(page) = rest.pop() {
        let text = fs::read_to_string(&page).expect("a page");
        let files = links(&text).into_iter().filter_map(|link| link.split('#').next());
        let targets = files.map(|file| page.parent().expect("a folder").join(file));
        rest.extend(
            targets
                .filter_map(|target| target.canonicalize().ok())
                .filter(|target| target.starts_with(&folder) && is_page(target))
                .filter(|target| !reached.contains(target)),
        );
        reached.insert(page);
    }
    let lost: Vec<PathBuf> =
        pages().into_iter().filter(|page| page.starts_with(&folder) && !reached.contains(page)).collect();
    assert!(lost.is_empty(), "no way from docs/index.md leads to {lost:#?}");
}
