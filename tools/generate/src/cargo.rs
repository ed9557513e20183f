//! What Cargo has to know of each filter beyond its line in the workspace's dependencies, which is written by hand.

use crate::filter::Filter;
use crate::for_each;
use crate::region::Regions;

/// The features of the adapter, one for each module, and what they bring in.
pub fn module(filters: &[Filter]) -> Regions {
    let feature = |filter: &Filter| {
        let name = filter.listed.root_id;
        format!("{name} = [\"dep:tidegate-{name}\"]\n")
    };
    let dependency = |filter: &Filter| {
        format!("tidegate-{} = {{ workspace = true, optional = true }}\n", filter.listed.root_id)
    };
    Regions::from([("features", for_each(filters, feature)), ("filters", for_each(filters, dependency))])
}

/// What the composite holds, and describes.
pub fn composite(filters: &[Filter]) -> Regions {
    let http = |line: &dyn Fn(&str) -> String| {
        for_each(filters, |filter| match filter.is_http() {
            true => line(filter.listed.root_id),
            false => String::new(),
        })
    };
    Regions::from([
        ("describe", http(&|name| format!("\"tidegate-{name}/describe\",\n"))),
        ("filters", http(&|name| format!("tidegate-{name}.workspace = true\n"))),
    ])
}

/// What `check` knows.
pub fn check(filters: &[Filter]) -> Regions {
    let line = |filter: &Filter| {
        format!("tidegate-{} = {{ workspace = true, features = [\"describe\"] }}\n", filter.listed.root_id)
    };
    Regions::from([("filters", for_each(filters, line))])
}
