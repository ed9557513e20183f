//! The plain-text description of a configuration.

use crate::config;
use crate::filter::HeaderLimit;
use crate::filter::{Counter, RuleCounter};
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, shadow_text, size_text};
use tidegate_host::metrics::Metric;
use tidegate_policy::headers::{Check, Rule};

impl Describe for HeaderLimit {
    fn describe(&self) -> Description {
        let config = &self.config;
        let sentence = |(rule, answer): (&Rule, &config::Answer)| {
            format!(
                "{}: a request with {} gets {}{}",
                answer.label,
                forbidden(&rule.check),
                answer.status,
                shadow_text(rule.shadow)
            )
        };
        let rules = config.rules.list().iter().zip(&config.answers).map(sentence).collect();
        Description { rules, ..Description::default() }
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        [Counter::ALL, RuleCounter::ALL].concat()
    }
}

fn forbidden(check: &Check) -> String {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    match check {
        Check::Count(most) => format!("more than {most} headers"),
        Check::Total(most) => format!("more than {} of headers", size(*most)),
        Check::Value { max, .. } => format!("a header value over {}", size(*max)),
        Check::Field { name, max } => format!("{} over {}", text(name), size(*max)),
        Check::Repeated(names) => {
            let names: Vec<_> = names.iter().map(|name| text(name)).collect();
            format!("{} twice", names.join(" or "))
        }
        Check::ControlByte => "a control byte in a header".to_owned(),
        Check::Match { name, .. } => format!("a forbidden pattern in {}", text(name)),
    }
}

fn size(bytes: usize) -> String {
    size_text(u64::try_from(bytes).unwrap_or(u64::MAX))
}
