//! The cluster's answer: what it says of the cluster, whether it is replaced, and whether it is kept.

use crate::fallback::answer::{DEGRADED, Why};
use crate::fallback::cache::Occasion;
use crate::fallback::collect::Collect;
use crate::filter::{Begun, Body, DegradationStream, WHOLE};
use crate::metrics::Counter;
use crate::worker::count;
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Exchange, Fact, Flow};
use tidegate_host::protocol::Protocol;
use tidegate_host::wait;
use tidegate_policy::answer::First;
use tidegate_policy::answer::blame::Blame;
use tidegate_policy::health::Sample;
use tidegate_policy::health::outcome::{Ending, Outcome};
use tidegate_policy::tier::Switch;

/// Bytes after which a stream is not waited with any longer, whatever it says: Envoy holds only so much.
const MOST_WITHOUT_CONTENT: usize = 64 << 10;

impl DegradationStream {
    pub(crate) fn answered(&mut self, exchange: &dyn Exchange, status: u64) -> Flow {
        if exchange.protocol() == Protocol::Grpc {
            return self.called(exchange);
        }
        if let Some(note) = &self.note {
            exchange.set_response_header(DEGRADED, note);
        }
        let config = &self.worker.config;
        let goes_on = exchange.response_goes_on();
        let cached = config.cached.as_ref().filter(|_| goes_on && status == 200 && self.note.is_none());
        if let Some(cached) = cached.filter(|_| self.asked.question.is_some()) {
            let asked_at = self.flight.map_or_else(|| exchange.now(), |flight| flight.sent_at);
            let asked = (&self.asked, asked_at);
            self.collect = Collect::begin(exchange.response_headers(), cached, asked, &self.worker.gathered);
        }
        if goes_on && self.caller.asks_a_model {
            self.needs = WHOLE;
            return if self.is_held() { Flow::Hold } else { Flow::Keep };
        }
        let total = (!goes_on).then(|| self.waited(exchange));
        self.has_begun = true;
        self.is_over(exchange);
        self.began(exchange, Outcome::Success, total);
        if !goes_on {
            self.flight = None;
        }
        Flow::Keep
    }

    /// From the headers, if those are read anyway.
    pub(crate) fn status(exchange: &dyn Exchange) -> u64 {
        let read = exchange.response().and_then(|response| response.status).map(u64::from);
        read.unwrap_or_else(|| exchange.fact(Fact::ResponseStatus).map_or(0, |status| status.number()))
    }

    pub(crate) fn not_answered(&mut self, exchange: &dyn Exchange, status: u64) -> Flow {
        let details = details(exchange);
        let flags = exchange.fact(Fact::ResponseFlags).map_or(0, |value| value.number());
        let waited = self.waited(exchange);
        self.is_over(exchange);
        let status = u16::try_from(status).unwrap_or(0);
        let outcome = match (Ending { status, details: &details, flags }).outcome() {
            Outcome::Failure if self.body != Body::None && hung_up(&details) => Outcome::Ignored,
            outcome => outcome,
        };
        match outcome {
            Outcome::Failure | Outcome::Broken => {
                let timed_out = details.starts_with(b"response_timeout");
                if timed_out {
                    count(exchange, Counter::Timeouts);
                }
                self.failed(exchange);
                self.replace(exchange, if timed_out { Why::TimedOut } else { Why::Failed })
            }
            Outcome::Overload => {
                self.overloaded(exchange, Some(waited));
                self.flight = None;
                self.kept_instead(exchange)
            }
            Outcome::Success | Outcome::Ignored | Outcome::GivenUp => {
                self.has_begun = true;
                self.began(exchange, outcome, None);
                self.flight = None;
                Flow::Keep
            }
        }
    }

    /// The answer to a gRPC call: one that ended at once says what came of it, any other will.
    fn called(&mut self, exchange: &dyn Exchange) -> Flow {
        let status = exchange.response().and_then(|response| response.call_status);
        match status {
            None | Some(200) if exchange.response_goes_on() => {
                self.has_begun = true;
                self.is_over(exchange);
                self.unfinished = self.begun_as(exchange, false);
                self.needs = ResponseNeeds { errors: true, ..ResponseNeeds::NONE };
                Flow::Keep
            }
            None | Some(200) => {
                let total = Some(self.waited(exchange));
                self.is_over(exchange);
                self.began(exchange, Outcome::Success, total);
                self.flight = None;
                Flow::Keep
            }
            Some(status) => self.not_answered(exchange, u64::from(status)),
        }
    }

    pub(crate) fn look_on(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        if self.collect.as_mut().is_some_and(|collect| !collect.add(exchange.arrived())) {
            self.collect = None;
        }
        if !self.needs.is_any() {
            return Flow::Keep;
        }
        let shown = exchange.response().map(|response| response.shown).unwrap_or_default();
        self.looked_at = self.looked_at.saturating_add(arrived);
        let much = (self.looked_at > MOST_WITHOUT_CONTENT).then_some(First::Content);
        let flow = match shown.first.or(much) {
            Some(first) if !self.has_begun => self.begun(exchange, first),
            _ => Flow::Keep,
        };
        if let Some(blame) = shown.error {
            self.erred(exchange, blame);
        }
        self.needs.content &= !self.has_begun || self.collect.is_some();
        flow
    }

    fn begun(&mut self, exchange: &dyn Exchange, first: First) -> Flow {
        self.has_begun = true;
        self.is_over(exchange);
        let First::Error(blame) = first else {
            self.began(exchange, Outcome::Success, None);
            return Flow::Continue;
        };
        (self.has_erred, self.collect) = (true, None);
        match blame {
            Blame::Client => {
                self.began(exchange, Outcome::Ignored, None);
                Flow::Continue
            }
            Blame::Load => {
                self.overloaded(exchange, None);
                (self.flight, self.needs) = (None, ResponseNeeds::NONE);
                let flow = if self.is_held() { self.kept_instead(exchange) } else { Flow::Keep };
                if flow == Flow::Keep { Flow::Continue } else { flow }
            }
            Blame::Server => {
                self.failed(exchange);
                self.replace_held(exchange)
            }
        }
    }

    /// An answer that was a success so far has an error in its midst.
    fn erred(&mut self, exchange: &dyn Exchange, blame: Blame) {
        if core::mem::replace(&mut self.has_erred, true) || self.flight.is_none() {
            return;
        }
        self.collect = None;
        match (blame, self.unfinished.take()) {
            (Blame::Server, Some(begun)) => self.broke(exchange, begun),
            (Blame::Load, _) => self.overloaded(exchange, None),
            _ => {}
        }
    }

    /// The cluster has begun an answer, or given it whole.
    fn began(&mut self, exchange: &dyn Exchange, outcome: Outcome, total: Option<u64>) {
        let is_success = outcome == Outcome::Success;
        let first_byte = Some(self.waited(exchange)).filter(|_| is_success);
        self.tell(exchange, outcome, first_byte, total);
        self.unfinished = self.begun_as(exchange, is_success).filter(|_| exchange.response_goes_on());
    }

    fn begun_as(&self, exchange: &dyn Exchange, is_success: bool) -> Option<Begun> {
        let first_byte = self.waited(exchange);
        self.flight.map(|flight| Begun { place: flight.place, is_success, at: exchange.now(), first_byte })
    }

    /// The exchange is over, and not by the end of an answer that had begun.
    pub(crate) fn broke_off(&self, exchange: &dyn Exchange, begun: Begun) {
        if is_failure(exchange, &details(exchange)) {
            self.broke(exchange, begun);
        }
    }

    fn broke(&self, exchange: &dyn Exchange, begun: Begun) {
        let Begun { place, is_success, at, first_byte } = begun;
        let Some(place) = place else { return };
        count(exchange, Counter::Failures);
        let counted = is_success && self.worker.config.health.holds(at, exchange.now());
        let outcome = if counted { Outcome::Broken } else { Outcome::Failure };
        let sample = Sample { who: self.caller.who, outcome, first_byte: Some(first_byte), total: None };
        self.worker.report(exchange, place, sample, None);
    }

    /// The exchange is over, and no answer has begun. One that its client left says how long it had waited.
    pub(crate) fn was_given_up(&mut self, exchange: &dyn Exchange) {
        let is_whole = self.body == Body::None;
        let details = details(exchange);
        match is_failure(exchange, &details) {
            true if is_whole || !hung_up(&details) => self.failed(exchange),
            false if is_whole => {
                let waited = self.waited(exchange);
                self.tell(exchange, Outcome::GivenUp, None, Some(waited));
            }
            _ => self.tell(exchange, Outcome::Ignored, None, None),
        }
    }

    pub(crate) fn ended(&mut self, exchange: &dyn Exchange) -> Flow {
        let unfinished = self.unfinished.take();
        if exchange.protocol() == Protocol::Grpc {
            return self.call_ended(exchange, unfinished);
        }
        let response = exchange.response().filter(|_| self.needs.is_any());
        let shown = response.map(|response| response.shown).unwrap_or_default();
        let mut flow = Flow::Continue;
        if !self.has_begun
            && self.flight.is_some()
            && let Some(response) = response
        {
            let is_empty = response.is_empty_without_content();
            match shown.first {
                None if is_empty => {
                    self.is_over(exchange);
                    self.failed(exchange);
                    return self.replace_held(exchange);
                }
                first => flow = self.begun(exchange, first.unwrap_or(First::End)),
            }
            self.unfinished = None;
        } else if let Some((blame, begun)) = shown.error.zip(unfinished) {
            self.unfinished = Some(begun);
            self.erred(exchange, blame);
            self.unfinished = None;
        }
        let waited = self.waited(exchange);
        self.tell(exchange, Outcome::Ignored, None, Some(waited));
        if let Some(collect) = self.collect.take() {
            self.worker.keep(exchange, &self.asked, &collect, Some(shown));
        }
        self.flight = None;
        flow
    }

    fn call_ended(&mut self, exchange: &dyn Exchange, begun: Option<Begun>) -> Flow {
        let Some(begun) = begun else { return Flow::Keep };
        let status = exchange.response().and_then(|response| response.call_status).unwrap_or(200);
        match (Ending { status, details: b"via_upstream", flags: 0 }).outcome() {
            Outcome::Success => {
                let total = Some(self.waited(exchange));
                self.tell(exchange, Outcome::Success, Some(begun.first_byte), total);
            }
            Outcome::Overload => self.overloaded(exchange, None),
            Outcome::Failure => self.failed(exchange),
            _ => self.tell(exchange, Outcome::Ignored, None, None),
        }
        self.flight = None;
        Flow::Keep
    }

    /// The cluster failed: tells so, once.
    pub(crate) fn failed(&mut self, exchange: &dyn Exchange) {
        if self.flight.is_some_and(|flight| flight.place.is_some()) {
            count(exchange, Counter::Failures);
        }
        let waited = self.waited(exchange);
        self.tell(exchange, Outcome::Failure, None, Some(waited));
        self.flight = None;
        self.needs = ResponseNeeds::NONE;
        self.collect = None;
    }

    fn overloaded(&mut self, exchange: &dyn Exchange, total: Option<u64>) {
        count(exchange, Counter::Overloads);
        self.tell(exchange, Outcome::Overload, None, total);
    }

    pub(crate) fn tell(
        &mut self,
        exchange: &dyn Exchange,
        outcome: Outcome,
        first_byte: Option<u64>,
        total: Option<u64>,
    ) {
        let who = self.caller.who;
        if let Some(flight) = &mut self.flight
            && let Some(place) = flight.place
        {
            let sample = Sample { who, outcome, first_byte, total };
            self.worker.report(exchange, place, sample, flight.probe.take());
        }
    }

    fn is_held(&self) -> bool {
        let config = &self.worker.config;
        config.hold_headers && !config.shadow
    }

    /// A failure that has not begun to leave becomes an answer of its own.
    fn replace(&self, exchange: &dyn Exchange, why: Why) -> Flow {
        if self.asked.opted_out {
            return Flow::Keep;
        }
        if self.worker.config.switches.default == Switch::Forced(false) {
            return self.kept_instead(exchange);
        }
        self.reply(exchange, why, wait::asked(exchange).wait()).map_or(Flow::Keep, Flow::Reply)
    }

    /// The same where the answer is held, or else passes.
    fn replace_held(&self, exchange: &dyn Exchange) -> Flow {
        if self.asked.opted_out || !self.is_held() {
            return Flow::Continue;
        }
        self.reply(exchange, Why::Failed, None).map_or(Flow::Continue, Flow::Reply)
    }

    fn kept_instead(&self, exchange: &dyn Exchange) -> Flow {
        if self.asked.opted_out {
            return Flow::Keep;
        }
        let kept = self.worker.kept(exchange, &self.asked, Occasion::Failing);
        let reply = kept.and_then(|reply| self.enforce(exchange, Counter::Cached, reply));
        reply.map_or(Flow::Keep, Flow::Reply)
    }

    /// Nothing is waited for any more.
    fn is_over(&self, exchange: &dyn Exchange) {
        exchange.set_alarm(None);
    }

    fn waited(&self, exchange: &dyn Exchange) -> u64 {
        self.flight.map_or(0, |flight| exchange.now().nanos_since(flight.sent_at))
    }
}

fn details(exchange: &dyn Exchange) -> Vec<u8> {
    exchange.fact(Fact::ResponseDetails).map(|value| value.0).unwrap_or_default()
}

/// Whether the server ended a connection that it had taken, before it answered. Where the request was not complete, it may
/// have been tired of waiting for it.
fn hung_up(details: &[u8]) -> bool {
    let reason = details.strip_prefix(b"upstream_reset_before_response_started{");
    reason.is_some_and(|reason| {
        reason.starts_with(b"connection_termination") || reason.starts_with(b"remote_reset")
    })
}

/// Whether an exchange that is over ended because the cluster failed.
fn is_failure(exchange: &dyn Exchange, details: &[u8]) -> bool {
    let flags = exchange.fact(Fact::ResponseFlags).map_or(0, |value| value.number());
    Ending { status: 200, details, flags }.outcome() == Outcome::Failure
}
