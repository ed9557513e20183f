//! One request against the rules: which rule refuses it, and which rules in shadow mode would have.

use crate::answer::refusal;
use crate::config::Config;
use std::rc::Rc;
use tidegate_config::ConfigError;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::{counters, rule_counters};

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.header_limit." {
        /// Requests that no rule refused.
        Admitted = "admitted",
    }
}

rule_counters! {
    /// What is counted of each rule.
    pub enum RuleCounter in "tidegate.header_limit." of "rule" behind Counter {
        /// Requests that the rule refused.
        Rejected = "rejected",
        /// Requests that the rule would have refused, were it not in shadow mode.
        Shadowed = "shadowed",
    }
}

/// Limits on the number, size, repetition and content of request headers.
#[derive(Debug)]
pub struct HeaderLimit {
    pub(crate) config: Rc<Config>,
}

/// One request against the rules.
#[derive(Debug)]
pub struct HeaderLimitStream {
    config: Rc<Config>,
}

impl Plugin for HeaderLimit {
    const ROOT_ID: &'static str = "header-limit";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self { config: Rc::new(Config::read(document)?) })
    }

    fn metrics(&self) -> Vec<String> {
        let labels: Vec<_> = self.config.answers.iter().map(|answer| &answer.label).collect();
        RuleCounter::names(&labels)
    }
}

impl Filter for HeaderLimit {
    type Stream = HeaderLimitStream;
    const STAGE: Stage = Stage::Judge;

    fn stream(&self) -> HeaderLimitStream {
        HeaderLimitStream { config: Rc::clone(&self.config) }
    }
}

impl Stream for HeaderLimitStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let Config { rules, answers } = &*self.config;
        let headers = exchange.request_headers();
        let verdict = rules.judge(|| headers.iter());
        for rule in &verdict.shadowed {
            exchange.count(RuleCounter::Shadowed.place(*rule, rules.list().len()), 1);
        }
        let refused = verdict.refusal.and_then(|breach| {
            let (rule, answer) = (rules.list().get(breach.rule)?, answers.get(breach.rule)?);
            exchange.count(RuleCounter::Rejected.place(breach.rule, rules.list().len()), 1);
            Some(Flow::Reply(refusal(answer, &rule.check, &breach.found)))
        });
        refused.unwrap_or_else(|| {
            Counter::Admitted.count(exchange, 1);
            Flow::Continue
        })
    }
}

#[cfg(test)]
mod tests;
