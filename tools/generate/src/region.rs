//! The regions of a file that are generated. The markers are comments of its language, so the file stays what it is.

use crate::Error;
use std::collections::BTreeMap;

/// The text of each region by its name, not indented.
pub type Regions = BTreeMap<&'static str, String>;

/// `text`, the file at `path`, with these regions in the place of what stands there. Each region takes the indentation of
/// its markers. The error names a region of the file that is not among them, and the other way round.
pub fn replace(text: &str, path: &str, regions: &Regions) -> Result<String, Error> {
    let mut made = String::new();
    let mut missing: Vec<&str> = regions.keys().copied().collect();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        let Some((open, name, close)) = begin(line.trim_start()) else { continue };
        let region = regions.get(name).ok_or_else(|| format!("{path}: no region is called {name:?}"))?;
        let indentation: String = line.chars().take_while(|character| *character == ' ').collect();
        for line in region.lines() {
            let is_empty = line.is_empty();
            made.extend([if is_empty { "" } else { &indentation }, line, "\n"]);
        }
        let end = format!("{indentation}{open}end: {name}{close}");
        if !lines.by_ref().any(|line| line == end) {
            return Err(format!("{path}: the region {name:?} has no end"));
        }
        made.extend([&end, "\n"]);
        missing.retain(|left| *left != name);
    }
    if missing.is_empty() { Ok(made) } else { Err(format!("{path}: the regions {missing:?} are missing")) }
}

/// The name in a marker, and what is around it: the comments of YAML and TOML, and of Markdown.
fn begin(line: &str) -> Option<(&'static str, &str, &'static str)> {
    [("# ", ""), ("<!-- ", " -->")].into_iter().find_map(|(open, close)| {
        let name = line.strip_prefix(open)?.strip_prefix("begin: ")?.strip_suffix(close)?;
        Some((open, name, close))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "a:\n  # begin: b\n  old\n  # end: b\nc\n";

    #[test]
    fn a_region_is_replaced_at_its_indentation_and_all_else_is_kept() {
        let regions = Regions::from([("b", "- new\n\n- lines\n".to_owned())]);
        let made = replace(FILE, "f", &regions).unwrap();
        assert_eq!(made, "a:\n  # begin: b\n  - new\n\n  - lines\n  # end: b\nc\n");
        assert_eq!(replace(&made, "f", &regions), Ok(made.clone()));
    }

    #[test]
    fn a_page_has_its_markers_in_comments_of_its_own() {
        let regions = Regions::from([("b", "| a |\n".to_owned())]);
        let made = replace("<!-- begin: b -->\n<!-- end: b -->\n", "f", &regions).unwrap();
        assert_eq!(made, "<!-- begin: b -->\n| a |\n<!-- end: b -->\n");
    }

    #[test]
    fn a_region_that_is_unknown_missing_or_open_is_named() {
        for (text, regions, problem) in [
            (FILE, Regions::new(), "f: no region is called \"b\""),
            ("c\n", Regions::from([("b", String::new())]), "f: the regions [\"b\"] are missing"),
            ("# begin: b\n", Regions::from([("b", String::new())]), "f: the region \"b\" has no end"),
        ] {
            assert_eq!(replace(text, "f", &regions), Err(problem.to_owned()));
        }
    }
}
