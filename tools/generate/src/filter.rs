//! A filter as it is listed, with what its folder says of the files that ship.

use crate::{Error, read};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tidegate_chain::{FILTERS, Kind, Listed};

/// One filter.
#[derive(Debug)]
pub struct Filter {
    /// Its line of the list.
    pub listed: Listed,
    /// Its `shipped.yaml`.
    pub shipped: Shipped,
}

/// What `filters/<root_id>/shipped.yaml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipped {
    /// What it stops, for the tables of filters; no sentence.
    pub stops: String,
    /// What a client gets whom it stops, likewise.
    pub client_gets: String,
    /// A comment in front of the filter in the reference configuration.
    pub before: Option<String>,
    /// Why it holds headers until the body has come, as a comment; absent where it does not.
    pub holds_headers: Option<String>,
    /// A comment on its document in the reference configuration, in lines.
    pub note: Option<String>,
    /// Its document in the reference configuration, JSON.
    pub reference: String,
    /// Its document in Istio and Envoy Gateway, YAML.
    pub mesh: String,
    /// Its document in the benchmark: nothing of the load is refused.
    pub benchmark: Value,
    /// Its panels on the dashboard.
    pub panels: Vec<Panel>,
}

/// One panel of the dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// In columns; a row has 24.
    pub width: u32,
    /// Grafana's name of the unit.
    pub unit: String,
    /// PromQL by its legend, one of each.
    pub queries: Vec<BTreeMap<String, String>>,
}

/// The filters of the list in its order.
pub fn all(root: &Path) -> Result<Vec<Filter>, Error> {
    let read = |listed: Listed| {
        let path = format!("filters/{}/shipped.yaml", listed.root_id);
        let shipped =
            serde_saphyr::from_str(&read(root, &path)?).map_err(|error| format!("{path}: {error}"))?;
        Ok(Filter { listed, shipped })
    };
    FILTERS.into_iter().map(read).collect()
}

/// The list for programs that are not written in Rust, JSON.
pub fn list(filters: &[Filter]) -> Result<String, Error> {
    let entry = |filter: &Filter| {
        json!({
            "root_id": filter.listed.root_id,
            "key": filter.listed.key,
            "kind": filter.kind(),
            "holds_headers": filter.shipped.holds_headers.is_some(),
            "benchmark": filter.shipped.benchmark,
        })
    };
    let entries: Vec<Value> = filters.iter().map(entry).collect();
    serde_json::to_string_pretty(&entries).map(|text| text + "\n").map_err(|error| error.to_string())
}

impl Filter {
    /// `http` or `network`.
    pub const fn kind(&self) -> &'static str {
        match self.listed.kind {
            Kind::network => "network",
            Kind::http => "http",
        }
    }

    /// Whether it stands behind the HTTP codec, as those of the composite do.
    pub fn is_http(&self) -> bool {
        self.listed.kind == Kind::http
    }
}
