//! The table of callbacks and host calls of each module, from the surfaces that the build enforces.

use crate::filter::Filter;
use crate::region::Regions;
use crate::{Error, read};
use std::collections::BTreeSet;
use std::path::Path;

const COMPOSITE: &str = "tidegate";

/// The table.
pub fn table(root: &Path, filters: &[Filter]) -> Result<Regions, Error> {
    let names: Vec<&str> = filters.iter().map(|filter| filter.listed.root_id).chain([COMPOSITE]).collect();
    let mut surfaces = Vec::new();
    for name in &names {
        let text = read(root, &format!("filters/{name}/surface.txt"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        surfaces.push(lines.map(str::to_owned).collect::<BTreeSet<String>>());
    }
    let all: BTreeSet<&String> = surfaces.iter().flatten().collect();
    let row = |line: &&String| {
        let marks: Vec<&str> =
            surfaces.iter().map(|surface| if surface.contains(*line) { "•" } else { " " }).collect();
        let what = if line.starts_with("export") { "is called at" } else { "calls" };
        let function = line.rsplit(' ').next().unwrap_or_default();
        format!("| {what} `{function}` | {} |\n", marks.join(" | "))
    };
    let head = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let rows: String = all.iter().map(row).collect();
    Ok(Regions::from([("table", head + &rows)]))
}
