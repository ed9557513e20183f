//! The plain-text description of a configuration.

use crate::config::{self, Config};
use crate::filter::Counter;
use crate::filter::RetryBudget;
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, HOLDS_HEADERS, shadow_text, span_text};
use tidegate_host::metrics::Metric;
use tidegate_policy::{attempt, retry_budget};

impl Describe for RetryBudget {
    fn describe(&self) -> Description {
        let config = &self.worker.config;
        let shadow = shadow_text(config.shadow);
        let (base, max, attempts) = config.hints.parts();
        let mut rules = vec![
            format!("{}; beyond it 429{shadow}", budget(config)),
            format!(
                "answers that failed say when to come back, within {} at first, then twice as long each time up to {}; \
                 after {attempts} attempts, not to{shadow}",
                span_text(base),
                span_text(max)
            ),
        ];
        rules.push(match &config.upstream {
            None => "Envoy retries what its routes say".to_owned(),
            Some(upstream) => format!(
                "Envoy retries {} at most {} times, within the same budget, where it is safe to repeat{shadow}",
                upstream.retry_on, upstream.max_retries
            ),
        });
        let mut memory = config.table.bytes(retry_budget::SET_BYTES);
        let (mut keeps, mut needs) = (Vec::new(), Vec::new());
        if let Some(silent) = &config.silent_retries {
            let window = span_text(silent.window);
            rules.push(format!("a request like one that failed within {window} counts as its retry{shadow}"));
            memory = memory.saturating_add(silent.table.bytes(attempt::SET_BYTES));
            keeps.push("each body until it is complete".to_owned());
            needs.extend(silent.hold_headers.then_some(HOLDS_HEADERS));
        }
        Description { rules, memory, keeps, needs }
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        Counter::ALL.to_vec()
    }
}

fn budget(config: &Config) -> String {
    let whose = match (config.per_client, config.per_cluster) {
        (true, true) => format!("each client ({}) and each cluster", config.clients.names()),
        (false, true) => "each cluster".to_owned(),
        _ => format!("each client ({})", config.clients.names()),
    };
    let Config { budget, .. } = config;
    let reserve = budget.reserve().map(|interval| format!(", and one in {} besides", span_text(interval)));
    let (ratio, ttl, reserve) = (budget.ratio(), span_text(budget.ttl()), reserve.unwrap_or_default());
    format!("{whose} may retry {ratio} times for each first attempt of the last {ttl}{reserve}")
}
