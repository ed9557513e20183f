//! The plain-text description of a configuration.

use crate::config;
use crate::filter::ConnectionGuard;
use crate::filter::Counter;
use schemars::Schema;
use tidegate_config::FailureMode;
use tidegate_host::describe::{Describe, Description, shadow_text, span_text};
use tidegate_host::metrics::Metric;
use tidegate_policy::bucket::Bucket;
use tidegate_policy::connections::SET_BYTES;

impl Describe for ConnectionGuard {
    fn describe(&self) -> Description {
        let config = &self.config;
        let mut rules =
            vec![format!("a request head that is not complete within {}", span_text(config.heads.timeout()))];
        if let Some((rate, grace)) = config.heads.pace() {
            rules.push(format!(
                "a head that comes slower than {rate} B/s, {} after its first byte",
                span_text(grace)
            ));
        }
        if let Some(most) = config.caps.connections {
            rules.push(format!("an address with {most} connections open that opens one more"));
        }
        rules.push(format!("an address that opens connections faster than {}", pace(&config.caps.arrivals)));
        if config.failure_mode == FailureMode::Deny {
            rules.push("a connection that cannot be counted".to_owned());
        }
        let shadow = shadow_text(config.shadow);
        let rules = rules.into_iter().map(|rule| format!("{rule}: closed{shadow}")).collect();
        Description { rules, memory: config.table.bytes(SET_BYTES), ..Description::default() }
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        Counter::ALL.to_vec()
    }
}

fn pace(arrivals: &Bucket) -> String {
    format!("one in {}, after a burst of {}", span_text(arrivals.interval()), arrivals.capacity())
}
