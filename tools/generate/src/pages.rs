//! The table of filters in pages.

use crate::filter::Filter;
use crate::for_each;
use crate::region::Regions;

const HEAD: &str = "| filter | stops | the client gets |\n|---|---|---|\n";
const COMPOSITE: &str = "tidegate";

/// The table, for a page from which the filters' own pages are in `folder`.
pub fn filters(filters: &[Filter], folder: &str) -> Regions {
    let row = |name: &str, stops: &str, gets: &str| {
        format!("| [`{name}`]({folder}/{name}.md) | {stops} | {gets} |\n")
    };
    let rows = for_each(filters, |Filter { listed, shipped }| {
        row(listed.root_id, &shipped.stops, &shipped.client_gets)
    });
    let network: Vec<String> = filters
        .iter()
        .filter(|filter| !filter.is_http())
        .map(|filter| format!("`{}`", filter.listed.root_id))
        .collect();
    let all = format!("all of these except {}, in one module", network.join(" and "));
    Regions::from([("filters", [HEAD, &rows, &row(COMPOSITE, &all, "as above")].concat())])
}
