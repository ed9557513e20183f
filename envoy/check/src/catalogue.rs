//! The modules that can be checked.

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
        /// In the order in which a request meets them, and the composite.
        pub const MODULES: [Module; [$($root_id),+].len() + 1] =
            [$($kind::<$plugin>()),+, http::<tidegate_composite::Tidegate>()];
    };
}

tidegate_chain::each_filter!(modules);

/// One module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Its name for the proxy.
    pub root_id: &'static str,
    /// What a document makes of it. The error is the one that the module logs.
    pub check: fn(&[u8]) -> Result<Checked, ConfigError>,
    /// Whether it would take a document. The error is the one that it logs.
    pub accepts: fn(&[u8]) -> Result<(), ConfigError>,
    /// What it counts.
    pub counters: fn() -> Vec<Metric>,
    /// What it measures.
    pub gauges: fn() -> Vec<Metric>,
    /// The names of its counters and gauges, as a document has it count.
    pub names: fn(&[u8]) -> Result<Names, ConfigError>,
    schema: fn() -> Schema,
}

/// The names of a plugin's counters, and of its gauges.
pub type Names = [Vec<String>; 2];

/// What a right document makes of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it will do.
    pub description: Description,
    /// What that costs.
    pub trial: Trial,
    /// The largest body that it has Envoy hold, in bytes.
    pub holds: u64,
}

impl Module {
    /// The module of this name.
    pub fn named(root_id: &str) -> Option<&'static Self> {
        MODULES.iter().find(|module| module.root_id == root_id)
    }

    /// The JSON Schema of its document.
    pub fn schema(&self) -> Schema {
        let mut schema = (self.schema)();
        RecursiveTransform(tidy).transform(&mut schema);
        schema.insert("title".to_owned(), format!("{} of Tidegate", self.root_id).into());
        schema
    }

    /// The same as the text of a file.
    pub fn schema_text(&self) -> Result<String, serde_json::Error> {
        let mut schema = self.schema();
        RecursiveTransform(tell_range).transform(&mut schema);
        serde_json::to_string_pretty(&schema).map(|text| text + "\n")
    }

    /// Whether `key` is one of its document's.
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

/// Without the line breaks of the source, and without defaults that say nothing.
fn tidy(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// Lets an editor show the range of a text, which no pattern can say.
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
