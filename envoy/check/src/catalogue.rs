//! The modules that can be checked.

use crate::trial::{Trial, connections, requests};
use schemars::Schema;
use tidegate_host::config::ConfigError;
use tidegate_host::connection::Guard;
use tidegate_host::describe::{Describe, Description};
use tidegate_host::exchange::Filter;
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
    schema: fn() -> Schema,
}

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
        schema.insert("title".to_owned(), format!("{} of Tidegate", self.root_id).into());
        schema
    }

    /// The same as the text of a file.
    pub fn schema_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&self.schema()).map(|text| text + "\n")
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
    Module { root_id: P::ROOT_ID, check, schema: P::schema }
}

#[cfg(test)]
mod tests;
