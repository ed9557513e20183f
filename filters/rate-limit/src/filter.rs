//! One request against the limits: which limits apply, which buckets they charge, and which response the client gets.
//!
//! Limits that depend only on the headers are charged at once, so that the bodies of a flood are not read. Under a
//! limit by model, no byte of the body is passed on before the model is known; if the request is refused then,
//! earlier charges are refunded. Charges to a shared bucket are also refunded if a later filter refuses the request:
//! the cluster was spared, and junk from one client must not use up the others' share.
//!
//! A refused first attempt that is told to retry leaves a voucher, so that its return is not charged to any retry
//! budget.

use crate::answer::{throttled, undecided};
use crate::config::Config;
use core::cell::{Cell, RefCell};
use std::rc::Rc;
use tidegate_config::{ConfigError, FailureMode};
use tidegate_host::exchange::{Exchange, Fact, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::scan::ScanNeeds;
use tidegate_host::{counters, rule_counters};
use tidegate_limits::admission::{admit, refund};
use tidegate_limits::attempt::{Return, cost_no_work};
use tidegate_limits::charges::Later;
use tidegate_limits::level::LevelHeaders;
use tidegate_limits::model::Named;
use tidegate_limits::rule::Rule;
use tidegate_limits::unit::Unit;
use tidegate_policy::admission::{Charge, Charged, Refusal, Ruling, Terms, Undecided};
use tidegate_policy::bucket::Level;
use tidegate_policy::refused::Refused;
use tidegate_policy::timestamp::Timestamp;

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.rate_limit." {
        /// Requests that all limits admitted, or that none applied to.
        Admitted = "admitted",
        /// Requests that a limit refused.
        Throttled = "throttled",
        /// Requests that a limit would have refused, were it not in shadow mode.
        Shadowed = "shadowed",
        /// Of those admitted, requests that were held until their turn came.
        Delayed = "delayed",
        /// Limits that could not be decided because sixteen races for a bucket were lost.
        Contended = "contended",
        /// Limits that could not be decided because there was no room for a newcomer.
        Saturated = "saturated",
        /// Clients forgotten that had spent part of their bucket; give it more `memory` if it grows.
        Evicted = "evicted",
        /// Newcomers that met a bucket which the newcomers of a full set of the table share.
        Overflowed = "overflowed",
    }
}

rule_counters! {
    /// What is counted of each limit.
    pub enum LimitCounter in "tidegate.rate_limit." of "limit" behind Counter {
        /// Requests that this limit refused.
        Throttled = "throttled",
        /// Requests that this limit would have refused, were it not in shadow mode.
        Shadowed = "shadowed",
    }
}

const MAX_DEPTH: u8 = 64;

/// Token buckets per client, address, model, path, method or header.
#[derive(Debug)]
pub struct RateLimit {
    pub(crate) worker: Rc<Worker>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    refused: RefCell<Refused>,
    delayed: Cell<usize>,
}

/// One request against the limits.
#[derive(Debug)]
pub struct RateLimitStream {
    worker: Rc<Worker>,
    later: Vec<Later>,
    charged: Vec<Charged>,
    /// Charges to shared buckets, kept until the response shows whether the cluster was asked.
    shared: Vec<Charged>,
    level: Option<Level>,
    body: Body,
    is_limited: bool,
    delayed_until: Option<Timestamp>,
    /// Client whose return is vouched for, needed if the headers may be sent before the decision.
    returning: Return,
}

/// The state of a body whose model is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// No bytes have arrived.
    Empty,
    /// Read as it arrives.
    Read,
    /// Unreadable because of a content coding.
    Coded,
}

impl Plugin for RateLimit {
    const ROOT_ID: &'static str = "rate-limit";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::read(document)?;
        Ok(Self { worker: Rc::new(Worker::new(config)) })
    }

    fn metrics(&self) -> Vec<String> {
        let rules = &self.worker.config.rules;
        LimitCounter::names(&rules.iter().map(|rule| &rule.name).collect::<Vec<_>>())
    }
}

impl Filter for RateLimit {
    type Stream = RateLimitStream;
    const STAGE: Stage = Stage::Charge;
    const SCANS: bool = true;
    const SETS_ALARMS: bool = true;

    fn scan(&self) -> Option<ScanNeeds> {
        let needed = self.worker.config.rules.need_model();
        needed.then_some(ScanNeeds { max_depth: MAX_DEPTH, exact_names: true, fingerprint: false })
    }

    fn stream(&self) -> RateLimitStream {
        RateLimitStream {
            worker: Rc::clone(&self.worker),
            later: Vec::new(),
            charged: Vec::new(),
            shared: Vec::new(),
            level: None,
            body: Body::Empty,
            is_limited: false,
            delayed_until: None,
            returning: Return::default(),
        }
    }
}

impl Stream for RateLimitStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let due = self.worker.config.rules.due(exchange, one);
        self.later = due.later;
        if !self.later.is_empty() {
            let coded = exchange.request_headers().is_coded();
            self.body = if coded { Body::Coded } else { Body::Empty };
            self.returning = self.worker.returning(exchange);
        }
        let flow = self.charge(exchange, due.charges);
        if let Flow::Reply(reply) = &flow {
            self.worker.returning(exchange).refused(exchange, reply);
        }
        flow
    }

    fn on_request_body(&mut self, _: &dyn Exchange, arrived: usize) -> Flow {
        if self.later.is_empty() {
            return Flow::Keep;
        }
        if arrived > 0 && self.body == Body::Empty {
            self.body = Body::Read;
        }
        Flow::Hold
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        let later = core::mem::take(&mut self.later);
        if later.is_empty() {
            return Flow::Keep;
        }
        let model = match self.body {
            Body::Empty => Named::Name(String::new()),
            Body::Coded => Named::Unreadable,
            Body::Read => exchange.scan().map_or(Named::Unreadable, Named::of),
        };
        let worker = Rc::clone(&self.worker);
        let config = &worker.config;
        let charges = later
            .iter()
            .filter_map(|later| config.rules.charge(later, &model, one, exchange.fingerprinter()));
        let charges = charges.collect();
        let flow = self.charge(exchange, charges);
        if let Flow::Reply(reply) = &flow {
            match config.hold_headers {
                true => self.returning.refused(exchange, reply),
                false => self.returning.refused_late(exchange, reply),
            }
        }
        flow
    }

    fn on_alarm(&mut self, _: &dyn Exchange) -> Flow {
        self.end_delay();
        self.go_on()
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let shared = core::mem::take(&mut self.shared);
        if !shared.is_empty() && cost_nothing(exchange) {
            refund(exchange.store(), &shared);
            if let Ok(mut refused) = self.worker.refused.try_borrow_mut() {
                refused.forget(&shared);
            }
        }
        let config = &self.worker.config;
        if let Some(level) = self.level.filter(|_| config.headers_on_admitted) {
            LevelHeaders { level, unit: Unit::Requests, ietf: config.ietf_headers }.set(exchange);
        }
        Flow::Keep
    }

    fn wants_scan(&self) -> bool {
        !self.later.is_empty() && self.body != Body::Coded
    }

    fn on_gone(&mut self, _: &dyn Exchange) {
        self.end_delay();
    }
}

impl RateLimitStream {
    /// Charges the limits that have become due. Once no limit waits for the model, nothing else becomes due.
    fn charge(&mut self, exchange: &dyn Exchange, mut charges: Vec<Charge>) -> Flow {
        let worker = Rc::clone(&self.worker);
        if !charges.is_empty() {
            let now = exchange.now();
            if let Some(refusal) = worker.recall(&charges, now) {
                self.give_back(exchange);
                return worker.refuse(exchange, &refusal, now);
            }
            let lenient = worker.config.failure_mode == FailureMode::Allow;
            let terms = Terms { may_hold: self.delayed_until.is_some() || worker.can_delay(), lenient };
            let ruling = admit(exchange.store(), &mut charges, terms, now, || exchange.clock());
            if let Some(refused) = worker.judge(exchange, &ruling, terms, now) {
                self.give_back(exchange);
                return refused;
            }
            self.is_limited = true;
            self.keep(exchange, ruling, now);
        }
        if self.later.is_empty() && self.is_limited {
            Counter::Admitted.count(exchange, 1);
        }
        self.go_on()
    }

    fn keep(&mut self, exchange: &dyn Exchange, ruling: Ruling, now: Timestamp) {
        let Ruling { tightest, hold, charged, .. } = ruling;
        self.shared.extend(charged.iter().filter(|made| made.charge.key.number().is_none()));
        let level = tightest.map(|level| Level { reset: level.reset.saturating_sub(hold), ..level });
        self.level = [self.level, level].into_iter().flatten().reduce(Level::tightest);
        if !self.later.is_empty() {
            self.charged = charged;
        }
        if hold > 0 {
            self.delay(exchange, now.plus(hold));
        }
    }

    fn go_on(&self) -> Flow {
        let waits = !self.later.is_empty() && self.worker.config.hold_headers;
        match self.delayed_until {
            Some(until) => Flow::HoldUntil(until),
            None if waits => Flow::Hold,
            None => Flow::Continue,
        }
    }

    fn give_back(&self, exchange: &dyn Exchange) {
        refund(exchange.store(), &self.charged);
    }

    fn delay(&mut self, exchange: &dyn Exchange, until: Timestamp) {
        if self.delayed_until.is_none() {
            Counter::Delayed.count(exchange, 1);
            self.worker.delayed.update(|count| count.saturating_add(1));
        }
        self.delayed_until = self.delayed_until.max(Some(until));
    }

    fn end_delay(&mut self) {
        if self.delayed_until.take().is_some() {
            self.worker.delayed.update(|count| count.saturating_sub(1));
        }
    }
}

impl Worker {
    fn new(config: Config) -> Self {
        Self { config, refused: RefCell::default(), delayed: Cell::default() }
    }

    fn returning(&self, exchange: &dyn Exchange) -> Return {
        Return::of(exchange, self.config.rules.clients(), &self.config.retry_headers)
    }

    fn recall(&self, charges: &[Charge], now: Timestamp) -> Option<Refusal> {
        let refused = self.refused.try_borrow().ok()?;
        let enforced = charges.iter().filter(|charge| !charge.shadow);
        let known = enforced.filter_map(|charge| refused.recall(charge, now));
        known.max_by_key(|refusal| refusal.wait)
    }

    /// Counts the verdicts of the limits. Returns the response if they refuse.
    fn judge(&self, exchange: &dyn Exchange, ruling: &Ruling, terms: Terms, now: Timestamp) -> Option<Flow> {
        for limit in &ruling.shadowed {
            Counter::Shadowed.count(exchange, 1);
            exchange.count(LimitCounter::Shadowed.place(*limit, self.config.rules.iter().len()), 1);
        }
        if ruling.evicted > 0 {
            Counter::Evicted.count(exchange, ruling.evicted);
        }
        if ruling.overflowed > 0 {
            Counter::Overflowed.count(exchange, ruling.overflowed);
        }
        if let Some(undecided) = ruling.undecided {
            let contended = undecided == Undecided::Contended;
            if contended { Counter::Contended } else { Counter::Saturated }.count(exchange, 1);
        }
        match (&ruling.refusal, ruling.undecided) {
            (Some(refusal), _) => Some(self.refuse(exchange, refusal, now)),
            (None, Some(why)) if !terms.lenient => Some(Flow::Reply(undecided(why, exchange.random()))),
            (None, _) => None,
        }
    }

    fn can_delay(&self) -> bool {
        self.delayed.get() < self.config.max_held
    }

    fn refuse(&self, exchange: &dyn Exchange, refusal: &Refusal, now: Timestamp) -> Flow {
        let Refusal { charge, wait, level } = refusal;
        let Some(rule) = self.config.rules.of(charge) else { return Flow::Continue };
        Counter::Throttled.count(exchange, 1);
        exchange.count(LimitCounter::Throttled.place(charge.limit, self.config.rules.iter().len()), 1);
        let told = match self.refused.try_borrow_mut() {
            Ok(mut refused) => refused.remember(refusal, now, exchange.random()),
            Err(_) => *wait,
        };
        let reply = throttled(&rule.name, &rule.amount_with(charge.bucket).text, told);
        let headers = LevelHeaders { level: *level, unit: rule.unit, ietf: self.config.ietf_headers };
        Flow::Reply(headers.on(reply, exchange))
    }
}

/// Returns the cost of a request under a rule that counts requests.
const fn one(_: &Rule) -> u32 {
    1
}

/// Returns true if a later filter has refused the request, so that the cluster did no work for it. One host call, and
/// one more for an error response.
fn cost_nothing(exchange: &dyn Exchange) -> bool {
    let status = exchange.fact(Fact::ResponseStatus).map_or(0, |status| status.number());
    let may_be = status >= 400 || exchange.protocol() == Protocol::Grpc;
    may_be && exchange.fact(Fact::ResponseDetails).is_some_and(|details| cost_no_work(&details.0))
}

#[cfg(test)]
mod tests;
