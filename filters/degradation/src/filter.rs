//! One exchange. A request is decided on when its body is known if it can be held until then, else at its headers.
//! Its response is held until it has content, so that a failure can still be replaced; after that it passes
//! unchanged, and is only checked for errors. A tunnel is neither held, timed nor judged.
//!
//! The four parts contain the logic and their own state; this module calls them in order.

use crate::asked::Asked;
use crate::breaker::gate::{Place, Standing};
use crate::breaker::place;
use crate::breaker::trial::Trial;
use crate::caller::Caller;
use crate::config::Config;
use crate::deadline::{Awaited, Deadline};
use crate::fallback::answer::Why;
use crate::fallback::cache::Occasion;
use crate::fallback::{Fallback, enforce, kept, kept_or_none};
use crate::metrics::{self, Counter};
use crate::reduce::Reduction;
use crate::response::Reading;
use crate::worker::Worker;
use std::rc::Rc;
use tidegate_config::ConfigError;
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::reply::Reply;
use tidegate_host::scan::ScanNeeds;
use tidegate_policy::api::Api;
use tidegate_policy::breaker::probes::Asker;
use tidegate_policy::breaker::{Probe, Ruling};
use tidegate_policy::tier::Tiers;

const MAX_DEPTH: u8 = 64;

/// Maximum number of completion tokens of a request whose response is likely to begin soon.
const FEW_TOKENS: u64 = 256;

/// A breaker, a timeout for inference, and three tiers of degraded responses.
#[derive(Debug)]
pub struct Degradation {
    pub(crate) worker: Rc<Worker>,
}

/// One exchange.
#[derive(Debug)]
pub struct DegradationStream {
    pub(crate) worker: Rc<Worker>,
    pub(crate) asked: Asked,
    pub(crate) caller: Caller,
    has_head: bool,
    pub(crate) body: Body,
    pub(crate) reading: Reading,
    pub(crate) trial: Trial,
    pub(crate) deadline: Deadline,
    pub(crate) reduction: Reduction,
    pub(crate) fallback: Fallback,
}

/// The state of the request body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    /// Absent, or complete.
    #[default]
    None,
    /// Awaited: the request is held for it.
    Awaited,
    /// Passing on to the cluster.
    Passing,
    /// Held to be reduced, after the headers were sent.
    Held,
}

impl Plugin for Degradation {
    const ROOT_ID: &'static str = "degradation";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self { worker: Rc::new(Worker::new(Config::read(document)?)) })
    }

    fn metrics(&self) -> Vec<String> {
        Counter::names()
    }

    fn gauges(&self) -> Vec<String> {
        metrics::GAUGES.iter().map(|gauge| gauge.name.to_owned()).collect()
    }
}

impl Filter for Degradation {
    type Stream = DegradationStream;
    const STAGE: Stage = Stage::Effect;
    const SCANS: bool = true;
    const READS_RESPONSES: bool = true;
    const REWRITES: bool = true;
    const SETS_ALARMS: bool = true;

    fn max_held(&self) -> usize {
        self.worker.config.max_held
    }

    fn scan(&self) -> Option<ScanNeeds> {
        let fingerprint = self.worker.config.cached.is_some();
        self.worker.reads_bodies().then_some(ScanNeeds {
            max_depth: MAX_DEPTH,
            exact_names: true,
            fingerprint,
        })
    }

    fn stream(&self) -> DegradationStream {
        DegradationStream {
            worker: Rc::clone(&self.worker),
            asked: Asked::default(),
            caller: Caller::default(),
            has_head: false,
            body: Body::None,
            reading: Reading::default(),
            trial: Trial::default(),
            deadline: Deadline::new(!self.worker.config.shadow),
            reduction: Reduction::default(),
            fallback: Fallback::default(),
        }
    }
}

impl Stream for DegradationStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if exchange.protocol() == Protocol::Tunnel {
            return Flow::Continue;
        }
        let goes_on = exchange.request_goes_on();
        if goes_on {
            self.caller = Caller::of(exchange, &self.worker.config);
        }
        if (goes_on && self.worker.reads_bodies()) || self.worker.reads_heads() {
            self.read_head(exchange);
        }
        let waits = self.caller.says_what && exchange.protocol() == Protocol::Http;
        if waits && self.worker.config.hold_headers && exchange.can_hold() {
            self.body = Body::Awaited;
            return Flow::Hold;
        }
        self.body = if goes_on { Body::Passing } else { Body::None };
        self.decide(exchange)
    }

    fn on_request_body(&mut self, exchange: &dyn Exchange, _: usize) -> Flow {
        if self.body == Body::Held && exchange.request_goes_on() { Flow::Hold } else { Flow::Keep }
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        if let Some(scan) = exchange.scan() {
            self.asked.read_body(exchange, scan);
        }
        match core::mem::take(&mut self.body) {
            Body::None => return Flow::Keep,
            Body::Awaited => return self.decide(exchange),
            Body::Held => self.reduction.make(exchange, &self.worker.config, self.asked.api),
            Body::Passing => {}
        }
        if self.trial.is_open() && !self.reading.has_begun() {
            self.trial.complete(exchange.now());
            self.deadline.start(exchange, self.timeout());
        }
        Flow::Continue
    }

    fn on_alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        if !self.trial.is_open() {
            return Flow::Keep;
        }
        Counter::Timeouts.count(exchange, 1);
        self.fail(exchange);
        self.reply(exchange, Why::TimedOut, None).map_or(Flow::Keep, Flow::Reply)
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if self.trial.is_open() { self.begin_response(exchange) } else { Flow::Keep }
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        self.read_chunk(exchange, arrived)
    }

    fn on_response_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.end_response(exchange)
    }

    fn reads_response(&self) -> ResponseNeeds {
        self.reading.needs()
    }

    fn on_gone(&mut self, exchange: &dyn Exchange) {
        self.trial.abandon(exchange, &self.worker, self.body == Body::None);
    }
}

impl DegradationStream {
    fn read_head(&mut self, exchange: &dyn Exchange) {
        self.asked = Asked::of_head(exchange, &self.worker.config);
        self.fallback.read_head(exchange, &self.worker.config);
        self.has_head = true;
    }

    fn decide(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = Rc::clone(&self.worker);
        let config = &worker.config;
        if let Some(reply) = self.fresh(exchange) {
            return Flow::Reply(reply);
        }
        if !self.caller.asks_a_model && !self.is_refused_path(exchange) {
            return self.send(exchange, None, None);
        }
        if self.caller.asks_a_model
            && let Some(reply) = kept_or_none(exchange, config, &self.asked)
        {
            return Flow::Reply(reply);
        }
        let place = place(exchange, config, self.asked.model.as_ref());
        let asker = Asker { who: self.caller.who, is_short: self.is_short() };
        let standing = worker.breaker.enter(exchange, config, place, &asker);
        let usual = standing.ruling == Ruling::Admit && standing.tiers == Tiers::default();
        if !usual {
            if !self.has_head {
                self.read_head(exchange);
            }
            if let Some(reply) = self.divert(exchange, &standing) {
                return Flow::Reply(reply);
            }
        }
        let probe = match standing.ruling {
            Ruling::Probe(probe) => Some(probe),
            Ruling::Admit | Ruling::Refuse { .. } => None,
        };
        if standing.tiers.reduce && !self.asked.opted_out {
            self.reduce(exchange);
        }
        self.send(exchange, Some(place).filter(|_| self.caller.asks_a_model), probe)
    }

    fn send(&mut self, exchange: &dyn Exchange, place: Option<Place>, probe: Option<Probe>) -> Flow {
        self.trial = Trial::send(place, probe, self.caller.who, exchange.now());
        if self.caller.asks_a_model || exchange.protocol() == Protocol::Grpc {
            self.reading.begin();
        }
        Counter::Admitted.count(exchange, 1);
        self.deadline.set(exchange, self.timeout(), self.awaited());
        Flow::Continue
    }

    /// Returns a cached response that is sent although the cluster is healthy.
    fn fresh(&self, exchange: &dyn Exchange) -> Option<Reply> {
        let config = &self.worker.config;
        let fresh = config.cached.as_ref().map(|cached| cached.fresh).filter(|fresh| *fresh > 0)?;
        if self.asked.opted_out {
            return None;
        }
        let reply = kept(exchange, config, &self.asked, Occasion::Well(fresh))?;
        enforce(exchange, config, Counter::Cached, reply)
    }

    /// Returns true if the request's path is refused while requests are reduced.
    fn is_refused_path(&mut self, exchange: &dyn Exchange) -> bool {
        let may_be = self.worker.config.reduce.as_ref().is_some_and(|reduce| !reduce.refuse_paths.is_empty());
        if may_be && !self.has_head {
            self.read_head(exchange);
        }
        self.asked.refused_path
    }

    /// Returns true if the response is likely to begin soon, because it streams or is small. If bodies are never
    /// waited for, no request is known to be shorter than another.
    fn is_short(&self) -> bool {
        if self.body == Body::Passing && !self.worker.config.hold_headers {
            return true;
        }
        let small = match self.caller.api {
            Api::Embedding | Api::Rerank => true,
            _ => self.asked.completion_tokens.is_some_and(|tokens| tokens <= FEW_TOKENS),
        };
        self.body == Body::None && (self.asked.stream || small)
    }

    /// Returns the response to a request that does not go to the cluster.
    fn divert(&self, exchange: &dyn Exchange, standing: &Standing) -> Option<Reply> {
        let Standing { ruling, tiers, .. } = standing;
        match ruling {
            Ruling::Probe(_) => None,
            Ruling::Refuse { wait } => self.reply(exchange, Why::Open, Some(*wait)),
            Ruling::Admit if self.asked.opted_out => None,
            Ruling::Admit if tiers.reduce && self.asked.refused_path => self.reply(exchange, Why::Path, None),
            Ruling::Admit if tiers.default => self.reply(exchange, Why::Tier, None),
            Ruling::Admit if tiers.cached => {
                let config = &self.worker.config;
                let kept = kept(exchange, config, &self.asked, Occasion::Failing)?;
                enforce(exchange, config, Counter::Cached, kept)
            }
            Ruling::Admit => None,
        }
    }

    pub(crate) fn reply(&self, exchange: &dyn Exchange, why: Why, wait: Option<u64>) -> Option<Reply> {
        let Worker { config, fallbacks, .. } = &*self.worker;
        self.fallback.reply(exchange, (config, fallbacks), &self.asked, (why, wait))
    }

    fn reduce(&mut self, exchange: &dyn Exchange) {
        let config = &self.worker.config;
        if self.body == Body::Passing {
            Reduction::announce(exchange, config);
            self.body = Body::Held;
        } else {
            self.reduction.make(exchange, config, self.asked.api);
        }
    }

    fn awaited(&self) -> Awaited {
        let asks_a_model = self.caller.asks_a_model;
        if self.body != Body::None {
            Awaited::Request
        } else if self.asked.stream || (asks_a_model && !self.caller.streams_only_if_asked()) {
            Awaited::Content
        } else {
            Awaited::Whole
        }
    }

    /// Returns the timeout of the response, in nanoseconds.
    fn timeout(&self) -> u64 {
        self.worker.config.timeouts.of(&self.asked.path, self.asked.model.as_deref())
    }
}

#[cfg(test)]
mod tests;
