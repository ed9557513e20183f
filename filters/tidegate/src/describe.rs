//! The composite for an operator: the sum of what its filters will do.

use crate::filter::Tidegate;
use schemars::{Schema, json_schema};
use serde_json::{Map, Value};
use tidegate_host::describe::{Describe, Description};

macro_rules! described {
    ($($key:ident: $filter:path,)+) => {
        fn parts(tidegate: &Tidegate) -> Vec<(&'static str, Description)> {
            [$(part(tidegate.filters.$key.as_ref())),+].into_iter().flatten().collect()
        }

        fn holds(tidegate: &Tidegate) -> u64 {
            [$(tidegate.filters.$key.as_ref().map_or(0, Describe::holds)),+].into_iter().max().unwrap_or(0)
        }

        fn properties() -> Map<String, Value> {
            [$(property::<$filter>()),+].into_iter().collect()
        }
    };
}

tidegate_chain::each_http_filter!(described);

impl Describe for Tidegate {
    fn describe(&self) -> Description {
        let mut all = Description::default();
        for (name, part) in parts(self) {
            let of = |what: String| format!("{name}: {what}");
            all.rules.extend(part.rules.into_iter().map(of));
            all.keeps.extend(part.keeps.into_iter().map(|what| format!("for {name} {what}")));
            all.memory = all.memory.saturating_add(part.memory);
            all.needs.extend(part.needs);
        }
        all.needs.dedup();
        all
    }

    fn holds(&self) -> u64 {
        holds(self)
    }

    fn schema() -> Schema {
        json_schema!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties(),
            "additionalProperties": false,
            "minProperties": 1
        })
    }
}

fn part<P: Describe>(filter: Option<&P>) -> Option<(&'static str, Description)> {
    filter.map(|filter| (P::ROOT_ID, filter.describe()))
}

/// The schema of a filter's document under its key. The `$id` keeps its references within itself.
fn property<P: Describe>() -> (String, Value) {
    let mut schema = P::schema();
    schema.insert("$id".to_owned(), format!("{}.json", P::ROOT_ID).into());
    schema.insert("title".to_owned(), format!("{} of Tidegate", P::ROOT_ID).into());
    (P::ROOT_ID.replace('-', "_"), schema.into())
}
