//! The plain-text description of a configuration.

use crate::config;
use crate::filter::Counter;
use crate::filter::SlowClient;
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, HOLDS_HEADERS, shadow_text, span_text};
use tidegate_host::metrics::Metric;

impl Describe for SlowClient {
    fn describe(&self) -> Description {
        let rule = &self.config.rule;
        let shadow = shadow_text(self.config.shadow);
        let mut rules = vec![
            format!(
                "a body that falls short of {} B/s for more than {} gets 408{shadow}",
                rule.min_rate,
                span_text(rule.grace)
            ),
            format!("a body that is not complete within {} gets 408{shadow}", span_text(rule.timeout)),
        ];
        if let Some(tiny) = rule.tiny_chunks {
            rules.push(format!(
                "a body of which {} chunks are smaller than {} B on average gets 408{shadow}",
                tiny.window, tiny.min_average
            ));
        }
        let (keeps, needs) = match self.config.hold_headers {
            true => {
                (vec!["the whole body of each request until it is complete".to_owned()], vec![HOLDS_HEADERS])
            }
            false => Default::default(),
        };
        Description { rules, memory: 0, keeps, needs }
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        Counter::ALL.to_vec()
    }
}
