//! One request against the rules: which refuses, and which would have.

use crate::answer::refusal;
use crate::config::{Answer, Config};
use std::rc::Rc;
use tidegate_host::config::ConfigError;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;

const ADMITTED: usize = 0;
const EACH: usize = 1;

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
        let each = |what| {
            let name = move |Answer { label, .. }: &Answer| format!("tidegate.header_limit.{what}.{label}");
            self.config.answers.iter().map(name)
        };
        let admitted = "tidegate.header_limit.admitted".to_owned();
        core::iter::once(admitted).chain(each("rejected")).chain(each("shadowed")).collect()
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
            exchange.count(EACH.saturating_add(rules.list().len()).saturating_add(*rule), 1);
        }
        let refused = verdict.refusal.and_then(|breach| {
            let (rule, answer) = (rules.list().get(breach.rule)?, answers.get(breach.rule)?);
            exchange.count(EACH.saturating_add(breach.rule), 1);
            Some(Flow::Reply(refusal(answer, &rule.check, &breach.found)))
        });
        refused.unwrap_or_else(|| {
            exchange.count(ADMITTED, 1);
            Flow::Continue
        })
    }
}

#[cfg(test)]
mod tests;
