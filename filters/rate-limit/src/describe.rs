//! What it will do, as it is configured, in plain words.

use crate::config::{self, Config, Limit};
use crate::filter::RateLimit;
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, HOLDS_HEADERS, shadow_text, span_text};
use tidegate_limits::identity::Part;
use tidegate_policy::slots::Table;

impl Describe for RateLimit {
    fn describe(&self) -> Description {
        let config = &self.worker.config;
        let rules = config.limits.iter().map(|limit| sentence(config, limit));
        let rules = rules.chain([format!("not charged: {}", config.exempt)]).collect();
        let holds = config.limits.iter().any(|limit| limit.requests.bucket.promised() > 0);
        let most = config.max_held;
        let delays = holds.then(|| format!("up to {most} requests on each worker until their turn comes"));
        let reads = config.limits.iter().any(|limit| limit.needs_model);
        let bodies = reads.then(|| "the bodies of requests until their model is known".to_owned());
        Description {
            rules,
            memory: config.table.bytes(Table::SET_BYTES),
            keeps: delays.into_iter().chain(bodies).collect(),
            needs: if reads && config.hold_headers { vec![HOLDS_HEADERS] } else { Vec::new() },
        }
    }

    fn schema() -> Schema {
        config::schema()
    }
}

fn sentence(config: &Config, limit: &Limit) -> String {
    let whose = config.identities.get(limit.identity).map_or(&[][..], |identity| &identity.parts);
    let parts: Vec<_> = whose
        .iter()
        .map(|part| match part {
            Part::Client => format!("client ({})", config.clients.names()),
            Part::Address => "address".to_owned(),
            Part::Path => "path".to_owned(),
            Part::Method => "method".to_owned(),
            Part::Model => "model".to_owned(),
            Part::Header(name) => format!("value of {}", String::from_utf8_lossy(name)),
        })
        .collect();
    let whose = match parts.as_slice() {
        [] => "all together".to_owned(),
        parts => format!("each {}", parts.join(" and ")),
    };
    let beyond = match limit.requests.bucket.promised() {
        0 => "beyond it 429".to_owned(),
        wait => format!("beyond it held for up to {}, then 429", span_text(wait)),
    };
    let (name, requests, when, shadow) =
        (&limit.name, &limit.requests.text, limit.when(), shadow_text(limit.shadow));
    let models = limit.models.as_ref().map(|models| {
        let names: Vec<_> = models.names().map(|name| format!("{name:?}")).collect();
        format!(" for {}", names.join(" or "))
    });
    let models = models.unwrap_or_default();
    let own = match limit.overrides.len() {
        0 => String::new(),
        many => format!("; {many} named clients have buckets of their own"),
    };
    format!("{name}: {requests}, for {whose}, counting {when}{models}; {beyond}{own}{shadow}")
}
