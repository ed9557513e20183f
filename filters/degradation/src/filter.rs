//! One exchange. A request is decided on when its body is known, where it can be held until then, else at its head. Its
//! answer is held until it has content, so that a failure is still an answer of its own; then it passes untouched, and is
//! looked on for an error in its midst. A tunnel is none of it: nothing of it is held, timed or judged.

use crate::answer::Why;
use crate::asked::Asked;
use crate::cache::Occasion;
use crate::caller::Caller;
use crate::collect::Collect;
use crate::config::Config;
use crate::gate::{Place, Standing};
use crate::metrics::{self, Counter};
use crate::reduce::reduce;
use crate::worker::{Worker, count};
use std::rc::Rc;
use tidegate_host::config::ConfigError;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::reply::Reply;
use tidegate_host::scan::ScanNeeds;
use tidegate_limits::attempt::{RetryHeaders, Return};
use tidegate_policy::answer::Watch;
use tidegate_policy::api::Api;
use tidegate_policy::breaker::probes::Asker;
use tidegate_policy::breaker::{Probe, Ruling};
use tidegate_policy::tier::Tiers;
use tidegate_policy::timestamp::Timestamp;

const MAX_DEPTH: u8 = 64;
const MILLISECOND: u64 = 1_000_000;
/// Completion tokens up to which an answer is likely to begin soon.
const FEW_TOKENS: u64 = 256;
const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";

/// A breaker, a timeout for inference, and three tiers of less than the whole answer.
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
    returning: Return,
    has_head: bool,
    pub(crate) body: Body,
    pub(crate) flight: Option<Flight>,
    pub(crate) note: Option<String>,
    pub(crate) has_begun: bool,
    pub(crate) unfinished: Option<Begun>,
    pub(crate) watch: Option<Box<Watch>>,
    pub(crate) looked_at: usize,
    pub(crate) has_erred: bool,
    pub(crate) collect: Option<Collect>,
}

/// What becomes of the request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none, or it is over.
    #[default]
    None,
    /// The request waits for it.
    Awaited,
    /// It passes.
    Passing,
    /// It is held to be made smaller, though the head has gone on.
    Held,
}

/// A request that went to the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// Where its outcome counts, if it does.
    pub(crate) place: Option<Place>,
    pub(crate) sent_at: Timestamp,
    pub(crate) probe: Option<Probe>,
}

/// An answer that has begun, and was told as a success if it counts as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) place: Option<Place>,
    pub(crate) is_success: bool,
    pub(crate) at: Timestamp,
    pub(crate) first_byte: u64,
}

impl Plugin for Degradation {
    const ROOT_ID: &'static str = "degradation";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self { worker: Rc::new(Worker::new(Config::read(document)?)) })
    }

    fn metrics(&self) -> Vec<String> {
        metrics::counters()
    }

    fn gauges(&self) -> Vec<String> {
        metrics::gauges()
    }
}

impl Filter for Degradation {
    type Stream = DegradationStream;

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
            returning: Return::default(),
            has_head: false,
            body: Body::None,
            flight: None,
            note: None,
            has_begun: false,
            unfinished: None,
            watch: None,
            looked_at: 0,
            has_erred: false,
            collect: None,
        }
    }
}

impl Stream for DegradationStream {
    const SCANS: bool = true;
    const REWRITES: bool = true;
    const SETS_ALARMS: bool = true;

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
            self.asked.hear(exchange, scan);
        }
        match core::mem::take(&mut self.body) {
            Body::None => return Flow::Keep,
            Body::Awaited => return self.decide(exchange),
            Body::Held => self.reduce(exchange),
            Body::Passing => {}
        }
        self.wait_from_now(exchange);
        Flow::Continue
    }

    fn on_alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        if self.flight.is_none() {
            return Flow::Keep;
        }
        count(exchange, Counter::Timeouts);
        self.failed(exchange);
        self.reply(exchange, Why::TimedOut, None).map_or(Flow::Keep, Flow::Reply)
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if self.flight.is_none() {
            return Flow::Keep;
        }
        match self.status(exchange) {
            status @ 200..300 => self.answered(exchange, status),
            status => self.not_answered(exchange, status),
        }
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        if self.watch.is_none() && self.collect.is_none() {
            return Flow::Keep;
        }
        self.look_on(exchange, arrived)
    }

    fn on_response_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.ended(exchange)
    }

    fn on_gone(&mut self, exchange: &dyn Exchange) {
        match self.unfinished.take() {
            Some(begun) => self.broke_off(exchange, begun),
            None if self.flight.is_some() => self.was_given_up(exchange),
            None => {}
        }
    }
}

impl DegradationStream {
    fn read_head(&mut self, exchange: &dyn Exchange) {
        self.asked = Asked::of_head(exchange, &self.worker.config);
        self.returning = Return::of(exchange, &self.worker.config.clients, &RetryHeaders::default());
        self.has_head = true;
    }

    fn decide(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = Rc::clone(&self.worker);
        let fresh = worker.cached().map_or(0, |cached| cached.fresh);
        if fresh > 0
            && !self.asked.opted_out
            && let Some(reply) = worker.kept(exchange, &self.asked, Occasion::Well(fresh))
            && let Some(reply) = self.enforce(exchange, Counter::Cached, reply)
        {
            return Flow::Reply(reply);
        }
        if !self.caller.asks_a_model && !self.is_refused_path(exchange) {
            return self.go(exchange, None, None);
        }
        if let Some(reply) = self.kept_or_none(exchange) {
            return Flow::Reply(reply);
        }
        let place = worker.place(exchange, &self.asked);
        let asker = Asker { who: self.caller.who, is_short: self.is_short() };
        let standing = worker.enter(exchange, place, &asker);
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
            self.make_smaller(exchange);
        }
        self.go(exchange, Some(place).filter(|_| self.caller.asks_a_model), probe)
    }

    fn go(&mut self, exchange: &dyn Exchange, place: Option<Place>, probe: Option<Probe>) -> Flow {
        self.flight = Some(Flight { place, sent_at: exchange.now(), probe });
        count(exchange, Counter::Admitted);
        self.limit_time(exchange);
        Flow::Continue
    }

    /// Whether its path may be refused while less is done, so that it matters whether it is.
    fn is_refused_path(&mut self, exchange: &dyn Exchange) -> bool {
        let may_be = self.worker.config.reduce.as_ref().is_some_and(|reduce| !reduce.refuse_paths.is_empty());
        if may_be && !self.has_head {
            self.read_head(exchange);
        }
        self.asked.refused_path
    }

    /// Whether an answer is likely to begin soon: it streams, or is to be small. Where bodies are never waited for, no
    /// request is known to be shorter than another.
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

    /// What a request gets that does not reach the cluster.
    fn divert(&self, exchange: &dyn Exchange, standing: &Standing) -> Option<Reply> {
        let Standing { ruling, tiers, .. } = standing;
        match ruling {
            Ruling::Probe(_) => None,
            Ruling::Refuse { wait } => self.reply(exchange, Why::Open, Some(*wait)),
            Ruling::Admit if self.asked.opted_out => None,
            Ruling::Admit if tiers.reduce && self.asked.refused_path => self.reply(exchange, Why::Path, None),
            Ruling::Admit if tiers.default => self.reply(exchange, Why::Tier, None),
            Ruling::Admit if tiers.cached => {
                let kept = self.worker.kept(exchange, &self.asked, Occasion::Failing)?;
                self.enforce(exchange, Counter::Cached, kept)
            }
            Ruling::Admit => None,
        }
    }

    pub(crate) fn reply(&self, exchange: &dyn Exchange, why: Why, wait: Option<u64>) -> Option<Reply> {
        let (counter, reply) = self.worker.instead(exchange, &self.asked, why, wait);
        let reply = self.enforce(exchange, counter, reply)?;
        if matches!(why, Why::Open | Why::Tier) {
            self.returning.refused(exchange, &reply);
        }
        Some(reply)
    }

    pub(crate) fn enforce(&self, exchange: &dyn Exchange, counter: Counter, reply: Reply) -> Option<Reply> {
        let shadow = self.worker.config.shadow;
        count(exchange, if shadow { Counter::Shadowed } else { counter });
        (!shadow).then_some(reply)
    }

    fn make_smaller(&mut self, exchange: &dyn Exchange) {
        match self.body {
            Body::Passing => {
                if !self.worker.config.shadow {
                    exchange.remove_request_header("content-length");
                }
                self.body = Body::Held;
            }
            _ => self.reduce(exchange),
        }
    }

    fn reduce(&mut self, exchange: &dyn Exchange) {
        let Some(rule) = self.worker.config.reduce.as_ref().filter(|_| exchange.can_edit_request()) else {
            return;
        };
        let Some(scan) = exchange.scan().filter(|scan| scan.is_complete() && scan.facts().is_object) else {
            return;
        };
        let Some(reduced) = reduce(rule, self.asked.api, scan.facts(), &exchange.held()) else { return };
        if self.worker.config.shadow {
            return count(exchange, Counter::Shadowed);
        }
        count(exchange, Counter::Reduced);
        reduced.edits.into_iter().for_each(|edit| exchange.edit_request(edit));
        self.note = Some(reduced.note);
    }

    /// The router's own timeout is for the whole answer: what streams, or may, is timed here, until it begins.
    fn limit_time(&self, exchange: &dyn Exchange) {
        if self.worker.config.shadow {
            return;
        }
        if self.body != Body::None {
            return exchange.set_request_header(TIMEOUT, b"0");
        }
        let has_body = self.caller.asks_a_model;
        if self.asked.stream || (has_body && !self.caller.streams_only_if_asked()) {
            exchange.set_request_header(TIMEOUT, b"0");
            exchange.set_alarm(Some(exchange.now().plus(self.timeout())));
        } else {
            let millis = self.timeout().div_ceil(MILLISECOND).to_string();
            exchange.set_request_header(TIMEOUT, millis.as_bytes());
        }
    }

    fn wait_from_now(&mut self, exchange: &dyn Exchange) {
        let timeout = self.timeout();
        if let Some(flight) = self.flight.as_mut().filter(|_| !self.has_begun) {
            flight.sent_at = exchange.now();
            if !self.worker.config.shadow {
                exchange.set_alarm(Some(exchange.now().plus(timeout)));
            }
        }
    }

    fn timeout(&self) -> u64 {
        self.worker.config.timeouts.of(&self.asked.path, self.asked.model.as_deref())
    }
}
