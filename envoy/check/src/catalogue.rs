//! The modules whose configuration can be checked.

use crate::reference::is_unbounded;
use crate::trial::{Trial, connections, requests};
use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;
use tidegate_config::ConfigError;
use tidegate_host::connection::Guard;
use tidegate_host::describe::{Describe, Description};
use tidegate_host::exchange::Filter;
use tidegate_host::metrics::Metric;
use tidegate_host::plugin::Plugin;

macro_rules! modules {
    ($($kind:ident $root_id:literal $key:ident: $plugin:path,)+) => {
        /// The modules in the order in which a request passes them, then the composite.
        pub const MODULES: [Module; [$($root_id),+].len() + 1] =
            [$($kind::<$plugin>()),+, http::<tidegate_composite::Tidegate>()];
    };
}

tidegate_chain::each_filter!(modules);

/// One module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Name of the module in the proxy's configuration.
    pub root_id: &'static str,
    /// Checks a document. The error is the one that the module logs.
    pub check: fn(&[u8]) -> Result<Checked, ConfigError>,
    /// Checks only whether the module accepts a document. The error is the one that it logs.
    pub accepts: fn(&[u8]) -> Result<(), ConfigError>,
    /// Returns its counters.
    pub counters: fn() -> Vec<Metric>,
    /// Returns its gauges.
    pub gauges: fn() -> Vec<Metric>,
    /// Returns the full names of the counters and gauges under a given document.
    pub names: fn(&[u8]) -> Result<Names, ConfigError>,
    schema: fn() -> Schema,
}

/// The names of a plugin's counters, and of its gauges.
pub type Names = [Vec<String>; 2];

/// The findings about a valid document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Description of the configuration.
    pub description: Description,
    /// Host calls of a request.
    pub trial: Trial,
    /// Largest request body that the module makes Envoy buffer, in bytes.
    pub holds: u64,
}

impl Module {
    /// Returns the module of this name.
    pub fn named(root_id: &str) -> Option<&'static Self> {
        MODULES.iter().find(|module| module.root_id == root_id)
    }

    /// Returns the JSON Schema of the module's document.
    pub fn schema(&self) -> Schema {
        let mut schema = (self.schema)();
        RecursiveTransform(tidy).transform(&mut schema);
        schema.insert("title".to_owned(), format!("{} of Tidegate", self.root_id).into());
        schema
    }

    /// Returns the JSON Schema as the text of a file.
    pub fn schema_text(&self) -> Result<String, serde_json::Error> {
        let mut schema = self.schema();
        RecursiveTransform(tell_range).transform(&mut schema);
        serde_json::to_string_pretty(&schema).map(|text| text + "\n")
    }

    /// Returns true if `key` is a key of the module's document.
    pub fn knows(&self, key: &str) -> bool {
        self.schema().get("properties").is_some_and(|properties| properties.get(key).is_some())
    }
}

const fn http<F: Filter + Describe>() -> Module {
    module::<F>(|document| {
        let filter = F::configure(document)?;
        Ok(Checked { description: filter.describe(), trial: requests(&filter), holds: filter.holds() })
    })
}

const fn network<G: Guard + Describe>() -> Module {
    module::<G>(|document| {
        let guard = G::configure(document)?;
        Ok(Checked { description: guard.describe(), trial: connections(&guard), holds: guard.holds() })
    })
}

const fn module<P: Plugin + Describe>(check: fn(&[u8]) -> Result<Checked, ConfigError>) -> Module {
    Module {
        root_id: P::ROOT_ID,
        check,
        accepts: |document| P::configure(document).map(|_| ()),
        counters: <P as Describe>::counters,
        gauges: <P as Describe>::gauges,
        names: |document| P::configure(document).map(|plugin| [plugin.metrics(), Plugin::gauges(&plugin)]),
        schema: P::schema,
    }
}

/// Removes the line breaks of the source, and defaults of null.
fn tidy(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// Appends the range of a quantity to its description, for editors; no pattern can express it.
fn tell_range(schema: &mut Schema) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_str).map(str::to_owned);
    let range = bound("x-minimum").zip(bound("x-maximum")).map(|(min, max)| match is_unbounded(&max) {
        true => format!(" At least {min}."),
        false => format!(" From {min} to {max}."),
    });
    if let (Some(Value::String(text)), Some(range)) = (schema.get_mut("description"), range) {
        text.push_str(&range);
    }
}

#[cfg(test)]
mod tests;
