//! Writes what names every filter, so that a new one is written down once: in the list of `filters/chain`. What a filter
//! has of its own in those files is in `filters/<root_id>/shipped.yaml` and `surface.txt`.
//!
//! A file is made whole, or by regions: what stands between the markers `begin: <name>` and `end: <name>` is written here, and all
//! else by hand. [`files`] gives every file as it has to be; a test compares that with what is committed.

pub mod cargo;
pub mod dashboard;
pub mod documents;
pub mod envoy;
pub mod filter;
pub mod kubernetes;
pub mod mesh;
pub mod pages;
pub mod prometheus;
pub mod region;
pub mod surfaces;

use filter::Filter;
use region::Regions;
use std::fs;
use std::path::{Path, PathBuf};

/// The reason why a file cannot be made, for whoever changed one of its sources.
pub type Error = String;

/// The checkout that this program was built in.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every generated file of the checkout at `root`: its path in there, and its text.
pub fn files(root: &Path) -> Result<Vec<(&'static str, String)>, Error> {
    let filters = filter::all(root)?;
    let with_regions: [(&'static str, Regions); 11] = [
        ("module/Cargo.toml", cargo::module(&filters)),
        ("filters/tidegate/Cargo.toml", cargo::composite(&filters)),
        ("envoy/check/Cargo.toml", cargo::check(&filters)),
        ("envoy/envoy.yaml", envoy::chain(&filters)),
        ("envoy/envoy-composite.yaml", envoy::composite(&filters)),
        ("envoy/istio/chain.yaml", mesh::istio_chain(&filters)),
        ("envoy/istio/composite.yaml", mesh::composite(&filters)),
        ("envoy/istio/hold-headers.yaml", mesh::holding(&filters)?),
        ("envoy/gateway/chain.yaml", mesh::gateway_chain(&filters)),
        ("envoy/gateway/composite.yaml", mesh::composite(&filters)),
        ("envoy/kubernetes/gateway.yaml", kubernetes::gateway(&filters)),
    ];
    let mut made = vec![
        ("filters/chain/filters.json", filter::list(&filters)?),
        ("envoy/grafana/tidegate.json", dashboard::dashboard(root, &filters)?),
    ];
    let more = [
        ("envoy/prometheus/prometheus.yml", prometheus::relabelling(&filters)),
        ("docs/reference/host-calls.md", surfaces::table(root, &filters)?),
        ("README.md", pages::filters(&filters, "docs/filters")),
        ("docs/index.md", pages::filters(&filters, "filters")),
    ];
    for (path, regions) in with_regions.into_iter().chain(more) {
        made.push((path, region::replace(&read(root, path)?, path, &regions)?));
    }
    Ok(made)
}

/// The text of a file of the checkout.
pub fn read(root: &Path, path: &str) -> Result<String, Error> {
    fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
}

/// The lines of `each` filter, one after the other.
fn for_each(filters: &[Filter], each: impl Fn(&Filter) -> String) -> String {
    filters.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_what_the_list_and_the_folders_of_the_filters_make() {
        for (path, text) in files(&checkout()).unwrap() {
            assert!(read(&checkout(), path).unwrap() == text, "{path} has drifted: run `make generate`");
        }
    }
}
