//! What it will do: what each of its filters will.

use crate::filter::Tidegate;
use schemars::{Schema, json_schema};
use serde_json::{Map, Value};
use tidegate_degradation::Degradation;
use tidegate_header_limit::HeaderLimit;
use tidegate_host::describe::{Describe, Description};
use tidegate_input_limit::InputLimit;
use tidegate_rate_limit::RateLimit;
use tidegate_retry_budget::RetryBudget;
use tidegate_slow_client::SlowClient;

impl Describe for Tidegate {
    fn describe(&self) -> Description {
        let filters = &self.filters;
        let parts = [
            part(filters.header_limit.as_ref()),
            part(filters.rate_limit.as_ref()),
            part(filters.slow_client.as_ref()),
            part(filters.input_limit.as_ref()),
            part(filters.retry_budget.as_ref()),
            part(filters.degradation.as_ref()),
        ];
        let mut all = Description::default();
        for (name, part) in parts.into_iter().flatten() {
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
        self.filters.input_limit.as_ref().map_or(0, Describe::holds)
    }

    fn schema() -> Schema {
        let properties: Map<String, Value> = [
            property::<HeaderLimit>(),
            property::<RateLimit>(),
            property::<SlowClient>(),
            property::<InputLimit>(),
            property::<RetryBudget>(),
            property::<Degradation>(),
        ]
        .into_iter()
        .collect();
        json_schema!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "minProperties": 1
        })
    }
}

fn part<P: Describe>(filter: Option<&P>) -> Option<(&'static str, Description)> {
    filter.map(|filter| (P::ROOT_ID, filter.describe()))
}

/// With an `$id`, so that its references stay its own.
fn property<P: Describe>() -> (String, Value) {
    let mut schema = P::schema();
    schema.insert("$id".to_owned(), format!("{}.json", P::ROOT_ID).into());
    schema.insert("title".to_owned(), format!("{} of Tidegate", P::ROOT_ID).into());
    (P::ROOT_ID.replace('-', "_"), schema.into())
}
