//! Relabelling for an Envoy whose bootstrap gives metrics no labels.

use crate::filter::Filter;
use crate::region::Regions;

/// The names of the filters' metrics.
pub fn relabelling(filters: &[Filter]) -> Regions {
    let keys: Vec<&str> = filters.iter().map(|filter| filter.listed.key).collect();
    Regions::from([("modules", format!("regex: tidegate_({})_.+\n", keys.join("|")))])
}
