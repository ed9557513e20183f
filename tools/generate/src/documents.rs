//! The documents of all HTTP filters as one, which is the composite's.

use crate::Error;
use crate::filter::Filter;
use serde_json::{Map, Value};

/// As JSON, each document as its filter writes it.
pub fn reference(filters: &[Filter]) -> String {
    let document = |filter: &Filter| {
        let lines: Vec<String> =
            filter.shipped.reference.trim_end().lines().map(|line| format!("  {line}\n")).collect();
        let text = lines.concat();
        format!("  \"{}\": {}", filter.listed.key, text.trim())
    };
    let documents: Vec<String> = filters.iter().filter(|filter| filter.is_http()).map(document).collect();
    format!("{{\n{}\n}}\n", documents.join(",\n"))
}

/// As YAML, each document as its filter writes it.
pub fn mesh(filters: &[Filter]) -> String {
    let document = |filter: &Filter| format!("{}:\n{}", filter.listed.key, indented(&filter.shipped.mesh, 2));
    filters.iter().filter(|filter| filter.is_http()).map(document).collect()
}

/// Those of Istio as JSON, where headers are held by every filter that can.
pub fn mesh_holding(filters: &[Filter]) -> Result<String, Error> {
    let mut all = Map::new();
    for filter in filters.iter().filter(|filter| filter.is_http()) {
        let read = serde_saphyr::from_str(&filter.shipped.mesh);
        let mut document: Map<String, Value> =
            read.map_err(|error| format!("{}: mesh: {error}", filter.listed.root_id))?;
        if filter.shipped.holds_headers.is_some() {
            document.insert("hold_headers".to_owned(), true.into());
        }
        all.insert(filter.listed.key.to_owned(), document.into());
    }
    serde_json::to_string_pretty(&all).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// `text` with so many blanks in front of each line.
pub fn indented(text: &str, by: usize) -> String {
    let blanks = " ".repeat(by);
    text.trim_end().lines().map(|line| format!("{blanks}{line}\n")).collect()
}

/// `text` as lines of a comment.
pub fn comment(text: Option<&str>) -> String {
    text.unwrap_or_default().trim_end().lines().map(|line| format!("# {line}\n")).collect()
}
