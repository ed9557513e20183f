//! The cluster's answer: what it says of the cluster, whether it is replaced, and whether it is kept.

use crate::answer::{DEGRADED, Why};
use crate::collect::Collect;
use crate::filter::{Begun, DegradationStream};
use crate::metrics::Counter;
use crate::worker::count;
use tidegate_host::exchange::{Exchange, Fact, Flow};
use tidegate_host::wait;
use tidegate_policy::answer_cache::entry::Kind;
use tidegate_policy::health::Sample;
use tidegate_policy::health::outcome::{Ending, Outcome};
use tidegate_policy::sse::{First, Watch};
use tidegate_policy::tier::Switch;

/// Bytes after which a stream is not waited with any longer, whatever it says: Envoy holds only so much.
const MOST_WITHOUT_CONTENT: usize = 64 << 10;

impl DegradationStream {
    pub(crate) fn answered(&mut self, exchange: &dyn Exchange, status: u64) -> Flow {
        if let Some(note) = &self.note {
            exchange.set_response_header(DEGRADED, note);
        }
        let config = &self.worker.config;
        let goes_on = exchange.response_goes_on();
        let cached = config.cached.as_ref().filter(|_| goes_on && status == 200 && self.note.is_none());
        if let Some(cached) = cached.filter(|_| self.asked.question.is_some()) {
            self.collect = Collect::begin(exchange.response_headers(), cached, &self.worker.gathered);
        }
        if goes_on && self.may_stream(exchange) {
            self.watch = Some(Box::<Watch>::default());
            return if config.hold_headers && !config.shadow { Flow::Hold } else { Flow::Keep };
        }
        let waited = self.waited(exchange);
        self.is_over(exchange);
        self.began(exchange, Some(waited));
        self.flight = None;
        Flow::Keep
    }

    /// From the headers, if those are read anyway.
    pub(crate) fn status(&self, exchange: &dyn Exchange) -> u64 {
        let reads = self.may_ask_for_events() || self.asked.question.is_some();
        let text = reads.then(|| exchange.response_headers().only(b":status")).flatten();
        let status = text.and_then(|text| core::str::from_utf8(text).ok()?.parse().ok());
        status.unwrap_or_else(|| exchange.fact(Fact::ResponseStatus).map_or(0, |status| status.number()))
    }

    const fn may_ask_for_events(&self) -> bool {
        self.asked.stream || (self.has_body && !self.asked.is_read)
    }

    /// Whether events come. A request that is known not to ask for them gets none.
    fn may_stream(&self, exchange: &dyn Exchange) -> bool {
        self.may_ask_for_events()
            && exchange.response_headers().only(b"content-type").and_then(Kind::of) == Some(Kind::Sse)
    }

    pub(crate) fn not_answered(&mut self, exchange: &dyn Exchange, status: u64) -> Flow {
        let fact = |fact| exchange.fact(fact);
        let details = fact(Fact::ResponseDetails).map(|value| value.0).unwrap_or_default();
        let flags = fact(Fact::ResponseFlags).map_or(0, |value| value.number());
        let waited = self.waited(exchange);
        self.is_over(exchange);
        let status = u16::try_from(status).unwrap_or(0);
        let flow = match (Ending { status, details: &details, flags }).outcome() {
            Outcome::Failure | Outcome::Broken => {
                let timed_out = details.starts_with(b"response_timeout");
                if timed_out {
                    count(exchange, Counter::Timeouts);
                }
                self.failed(exchange);
                self.replace(exchange, if timed_out { Why::TimedOut } else { Why::Failed })
            }
            Outcome::Overload => {
                count(exchange, Counter::Overloads);
                self.tell(exchange, Outcome::Overload, None, Some(waited));
                self.kept_instead(exchange)
            }
            Outcome::Success => {
                self.began(exchange, Some(waited));
                Flow::Keep
            }
            Outcome::Ignored => {
                self.tell(exchange, Outcome::Ignored, None, None);
                Flow::Keep
            }
        };
        self.flight = None;
        flow
    }

    pub(crate) fn look_on(&mut self, exchange: &dyn Exchange) -> Flow {
        let chunk = exchange.arrived();
        if self.collect.as_mut().is_some_and(|collect| !collect.add(chunk)) {
            self.collect = None;
        }
        let Some(watch) = &mut self.watch else { return Flow::Keep };
        let shown = watch.feed(chunk);
        self.looked_at = self.looked_at.saturating_add(chunk.len());
        let much = (self.looked_at > MOST_WITHOUT_CONTENT).then_some(First::Content);
        let flow = match shown.first.or(much) {
            Some(first) if !self.has_begun => self.begun(exchange, first),
            _ => Flow::Keep,
        };
        if self.has_begun && self.collect.is_none() {
            self.watch = None;
        }
        flow
    }

    fn begun(&mut self, exchange: &dyn Exchange, first: First) -> Flow {
        self.has_begun = true;
        self.is_over(exchange);
        if first == First::Error {
            self.failed(exchange);
            self.collect = None;
            return self.replace_held(exchange);
        }
        self.began(exchange, None);
        Flow::Continue
    }

    /// The cluster has begun an answer, or given it whole.
    fn began(&mut self, exchange: &dyn Exchange, total: Option<u64>) {
        let first_byte = self.waited(exchange);
        self.tell(exchange, Outcome::Success, Some(first_byte), total);
        let flight = self.flight.filter(|_| exchange.response_goes_on());
        self.unfinished = flight.map(|flight| Begun { place: flight.place, at: exchange.now(), first_byte });
    }

    /// The exchange is over, and not by the end of an answer that had begun.
    pub(crate) fn broke_off(&self, exchange: &dyn Exchange, begun: Begun) {
        let Begun { place, at, first_byte } = begun;
        if !is_failure(exchange) {
            return;
        }
        count(exchange, Counter::Failures);
        let counts = self.worker.config.health.holds(at, exchange.now());
        let outcome = if counts { Outcome::Broken } else { Outcome::Failure };
        let sample = Sample { outcome, first_byte: Some(first_byte), total: None };
        self.worker.report(exchange, place, sample, None);
    }

    /// The exchange is over, and no answer has begun.
    pub(crate) fn was_given_up(&mut self, exchange: &dyn Exchange) {
        if is_failure(exchange) {
            self.failed(exchange);
        } else {
            self.tell(exchange, Outcome::Ignored, None, None);
        }
    }

    pub(crate) fn ended(&mut self, exchange: &dyn Exchange) -> Flow {
        self.unfinished = None;
        if self.watch.is_none() && self.collect.is_none() && !self.has_begun {
            return Flow::Keep;
        }
        self.is_over(exchange);
        let shown = self.watch.as_mut().map(|watch| watch.feed(&[]));
        if self.watch.is_some() && !self.has_begun {
            self.failed(exchange);
            return self.replace_held(exchange);
        }
        let waited = self.waited(exchange);
        self.tell(exchange, Outcome::Ignored, None, Some(waited));
        if let Some(collect) = self.collect.take() {
            self.worker.keep(exchange, &self.asked, &collect, shown);
        }
        self.flight = None;
        Flow::Continue
    }

    /// The cluster failed: tells so, once.
    pub(crate) fn failed(&mut self, exchange: &dyn Exchange) {
        count(exchange, Counter::Failures);
        let waited = self.waited(exchange);
        self.tell(exchange, Outcome::Failure, None, Some(waited));
        self.flight = None;
        self.watch = None;
        self.collect = None;
    }

    pub(crate) fn tell(
        &mut self,
        exchange: &dyn Exchange,
        outcome: Outcome,
        first_byte: Option<u64>,
        total: Option<u64>,
    ) {
        if let Some(flight) = &mut self.flight {
            let sample = Sample { outcome, first_byte, total };
            self.worker.report(exchange, flight.place, sample, flight.probe.take());
        }
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
        let config = &self.worker.config;
        if self.asked.opted_out || !config.hold_headers || config.shadow {
            return Flow::Continue;
        }
        self.reply(exchange, Why::Failed, None).map_or(Flow::Continue, Flow::Reply)
    }

    fn kept_instead(&self, exchange: &dyn Exchange) -> Flow {
        if self.asked.opted_out {
            return Flow::Keep;
        }
        let kept = self.worker.kept(exchange, &self.asked, u64::MAX);
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

/// Whether an exchange that is over ended because the cluster failed.
fn is_failure(exchange: &dyn Exchange) -> bool {
    let details = exchange.fact(Fact::ResponseDetails).map(|value| value.0).unwrap_or_default();
    let flags = exchange.fact(Fact::ResponseFlags).map_or(0, |value| value.number());
    Ending { status: 200, details: &details, flags }.outcome() == Outcome::Failure
}
