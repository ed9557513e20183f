//! The plain-text description of a configuration.

use crate::config::{self, Config, Reduce};
use crate::filter::Degradation;
use crate::metrics::{self, Counter};
use schemars::Schema;
use tidegate_host::describe::{Describe, Description, HOLDS_HEADERS, shadow_text, size_text, span_text};
use tidegate_host::metrics::Metric;

impl Describe for Degradation {
    fn describe(&self) -> Description {
        let config = &self.worker.config;
        let shadow = shadow_text(config.shadow);
        let mut rules = vec![breaker(config)];
        rules.push(format!(
            "an answer that takes longer than {} has failed",
            span_text(config.timeouts.usual())
        ));
        rules.extend(config.reduce.as_ref().map(|reduce| format!("a cluster in trouble: {}", less(reduce))));
        rules.extend(config.cached.as_ref().map(|cached| {
            let whose = match cached.scope.headers() {
                _ if cached.scope.is_shared() => "anybody's".to_owned(),
                [] => "the same client's".to_owned(),
                names => {
                    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
                    format!("the same client's, of the same {},", names.join(" and "))
                }
            };
            let ttl = span_text(cached.answers.ttl());
            format!("what fails: {whose} last good answer to the same question, up to {ttl} old")
        }));
        rules.push(match config.default.status {
            None => "else: an error that says when to come back".to_owned(),
            Some(status) => format!("else: {status}, {:?}", config.default.message),
        });
        let cached = config.cached.as_ref();
        let mut keeps =
            vec![format!("up to {} requests on each worker until they are judged", config.max_held)];
        keeps.extend(cached.map(|cached| {
            let longest = u64::try_from(cached.longest).unwrap_or(u64::MAX);
            format!("answers up to {} while they are gathered", size_text(longest))
        }));
        Description {
            rules: rules.into_iter().map(|rule| rule + shadow).collect(),
            memory: cached.map_or(0, |cached| cached.answers.bytes()),
            keeps,
            needs: if config.hold_headers { vec![HOLDS_HEADERS] } else { Vec::new() },
        }
    }

    fn schema() -> Schema {
        config::schema()
    }

    fn counters() -> Vec<Metric> {
        Counter::ALL.to_vec()
    }

    fn gauges() -> Vec<Metric> {
        metrics::GAUGES.to_vec()
    }
}

fn breaker(config: &Config) -> String {
    let rule = config.breaker.rule();
    let slow = rule.slow_ratio.map(|ratio| format!(", or {ratio} of them were slow")).unwrap_or_default();
    format!(
        "breaker: opens when {} of at least {} requests failed, by clients{slow}, for {}, at most {}; closes when rounds of {}, {} and {} probes went well",
        rule.error_ratio,
        rule.min_requests,
        span_text(rule.open_for),
        span_text(rule.max_open_for),
        rule.probes,
        rule.probes.saturating_mul(2),
        rule.probes.saturating_mul(4)
    )
}

fn less(reduce: &Reduce) -> String {
    let mut less = Vec::new();
    less.extend(reduce.clamp_completion_tokens.map(|most| format!("at most {most} completion tokens")));
    less.extend(reduce.drop.iter().map(|extra| format!("no {}", extra.name())));
    less.extend(
        reduce.refuse_paths.iter().map(|path| format!("nothing on {}…", String::from_utf8_lossy(path))),
    );
    less.extend(reduce.model.iter().map(|model| format!("the model {model}")));
    less.join(", ")
}
