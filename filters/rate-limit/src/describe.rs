//! The plain-text description of a configuration.

use crate::config;
use crate::filter::{Counter, LimitCounter, RateLimit};
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, HOLDS_HEADERS};
use tidegate_host::metrics::Metric;
use tidegate_limits::describe::sentences;
use tidegate_policy::slots::Table;

impl Describe for RateLimit {
    fn describe(&self) -> Description {
        let config = &self.worker.config;
        let holds = config.rules.iter().any(|rule| rule.amount.bucket.promised() > 0);
        let most = config.max_held;
        let delays = holds.then(|| format!("up to {most} requests on each worker until their turn comes"));
        let reads = config.rules.need_model();
        let bodies = reads.then(|| "the bodies of requests until their model is known".to_owned());
        Description {
            rules: sentences(&config.rules),
            memory: config.rules.table().bytes(Table::SET_BYTES),
            keeps: delays.into_iter().chain(bodies).collect(),
            needs: if reads && config.hold_headers { vec![HOLDS_HEADERS] } else { Vec::new() },
        }
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        [Counter::ALL, LimitCounter::ALL].concat()
    }
}
