//! The cluster's response: its evidence about the cluster, its replacement, and its caching.

use crate::breaker::trial::judge;
use crate::fallback::answer::Why;
use crate::fallback::kept_instead;
use crate::filter::{Body, DegradationStream};
use crate::metrics::Counter;
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Exchange, Fact, Flow};
use tidegate_host::protocol::Protocol;
use tidegate_host::wait;
use tidegate_policy::answer::First;
use tidegate_policy::answer::blame::Blame;
use tidegate_policy::health::outcome::Outcome;
use tidegate_policy::tier::Switch;

/// Number of bytes after which a stream is released even without content, since Envoy's buffer is limited.
const MOST_WITHOUT_CONTENT: usize = 64 << 10;

/// The progress of reading a response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    needs: ResponseNeeds,
    has_begun: bool,
    has_erred: bool,
    bytes: usize,
}

impl Reading {
    /// Returns the parts of the response that are still needed.
    pub(crate) const fn needs(self) -> ResponseNeeds {
        self.needs
    }

    /// Returns true if the response has content, or is known to have none, so that it passes or is replaced.
    pub(crate) const fn has_begun(self) -> bool {
        self.has_begun
    }

    /// Asks for content and errors, until the response has begun.
    pub(crate) const fn begin(&mut self) {
        self.needs = ResponseNeeds { content: true, errors: true, usage: false };
    }

    /// Asks only for errors, and the status of a gRPC call, once the response has begun.
    const fn only_errors(&mut self) {
        self.needs = ResponseNeeds { content: false, errors: true, usage: false };
    }

    const fn stop(&mut self) {
        self.needs = ResponseNeeds::NONE;
    }
}

impl DegradationStream {
    pub(crate) fn begin_response(&mut self, exchange: &dyn Exchange) -> Flow {
        self.reading.stop();
        match status(exchange) {
            200..300 if exchange.protocol() == Protocol::Grpc => self.begin_call(exchange),
            status @ 200..300 => self.begin_success(exchange, status),
            status => self.begin_failure(exchange, status),
        }
    }

    fn begin_success(&mut self, exchange: &dyn Exchange, status: u64) -> Flow {
        self.reduction.note(exchange);
        let goes_on = exchange.response_goes_on();
        let cached = self.worker.config.cached.as_ref();
        if let Some(cached) = cached.filter(|_| goes_on && status == 200 && !self.reduction.is_made()) {
            let shared = (cached, &self.worker.fallbacks);
            self.fallback.gather(exchange, shared, (&self.asked, self.trial.sent_at()));
        }
        if goes_on && self.caller.asks_a_model {
            self.reading.begin();
            return if self.is_held() { Flow::Hold } else { Flow::Keep };
        }
        let total = (!goes_on).then(|| self.trial.waited(exchange));
        self.reading.has_begun = true;
        self.deadline.lift(exchange);
        self.trial.begin(exchange, &self.worker, Outcome::Success, total);
        if !goes_on {
            self.trial.close();
        }
        Flow::Keep
    }

    fn begin_failure(&mut self, exchange: &dyn Exchange, status: u64) -> Flow {
        let (outcome, is_late) = judge(exchange, status, self.body == Body::None);
        self.deadline.lift(exchange);
        match outcome {
            Outcome::Failure | Outcome::Broken => {
                if is_late {
                    Counter::Timeouts.count(exchange, 1);
                }
                self.fail(exchange);
                self.replace(exchange, if is_late { Why::TimedOut } else { Why::Failed })
            }
            Outcome::Overload => {
                let waited = self.trial.waited(exchange);
                self.trial.overload(exchange, &self.worker, Some(waited));
                self.trial.close();
                kept_instead(exchange, &self.worker.config, &self.asked).map_or(Flow::Keep, Flow::Reply)
            }
            Outcome::Success | Outcome::Ignored | Outcome::GivenUp => {
                self.reading.has_begun = true;
                self.trial.begin(exchange, &self.worker, outcome, None);
                self.trial.close();
                Flow::Keep
            }
        }
    }

    /// Begins the response to a gRPC call. A call that ended at once already has its status; any other will have one
    /// at its end.
    fn begin_call(&mut self, exchange: &dyn Exchange) -> Flow {
        match exchange.response().and_then(|response| response.call_status) {
            None | Some(200) if exchange.response_goes_on() => {
                self.reading.has_begun = true;
                self.reading.only_errors();
                self.deadline.lift(exchange);
                self.trial.begin_call(exchange);
                Flow::Keep
            }
            None | Some(200) => {
                let total = Some(self.trial.waited(exchange));
                self.deadline.lift(exchange);
                self.trial.begin(exchange, &self.worker, Outcome::Success, total);
                self.trial.close();
                Flow::Keep
            }
            Some(status) => self.begin_failure(exchange, u64::from(status)),
        }
    }

    pub(crate) fn read_chunk(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        self.fallback.add(exchange);
        if !self.reading.needs.is_any() {
            return Flow::Keep;
        }
        let shown = exchange.response().map(|response| response.shown).unwrap_or_default();
        self.reading.bytes = self.reading.bytes.saturating_add(arrived);
        let much = (self.reading.bytes > MOST_WITHOUT_CONTENT).then_some(First::Content);
        let flow = match shown.first.or(much) {
            Some(first) if !self.reading.has_begun => self.start(exchange, first),
            _ => Flow::Keep,
        };
        if let Some(blame) = shown.error {
            self.err(exchange, blame);
        }
        if self.reading.has_begun && !self.fallback.gathers() && self.reading.needs.is_any() {
            self.reading.only_errors();
        }
        flow
    }

    /// Handles the first content, the first error, or the end of an empty response.
    fn start(&mut self, exchange: &dyn Exchange, first: First) -> Flow {
        self.reading.has_begun = true;
        self.deadline.lift(exchange);
        let First::Error(blame) = first else {
            self.trial.begin(exchange, &self.worker, Outcome::Success, None);
            return Flow::Continue;
        };
        self.reading.has_erred = true;
        self.fallback.discard();
        match blame {
            Blame::Client => {
                self.trial.begin(exchange, &self.worker, Outcome::Ignored, None);
                Flow::Continue
            }
            Blame::Load => {
                self.trial.overload(exchange, &self.worker, None);
                self.trial.close();
                self.reading.stop();
                let kept = || kept_instead(exchange, &self.worker.config, &self.asked);
                self.is_held().then(kept).flatten().map_or(Flow::Continue, Flow::Reply)
            }
            Blame::Server => {
                self.fail(exchange);
                self.replace_held(exchange)
            }
        }
    }

    /// Handles an error in the middle of a response that was a success so far.
    fn err(&mut self, exchange: &dyn Exchange, blame: Blame) {
        if core::mem::replace(&mut self.reading.has_erred, true) || !self.trial.is_open() {
            return;
        }
        self.fallback.discard();
        self.trial.err(exchange, &self.worker, blame);
    }

    pub(crate) fn end_response(&mut self, exchange: &dyn Exchange) -> Flow {
        let response = exchange.response().filter(|_| self.reading.needs.is_any());
        if exchange.protocol() == Protocol::Grpc {
            let status = response.and_then(|response| response.call_status).unwrap_or(200);
            self.trial.end_call(exchange, &self.worker, status);
            return Flow::Keep;
        }
        let shown = response.map(|response| response.shown).unwrap_or_default();
        let mut flow = Flow::Continue;
        if !self.reading.has_begun && self.trial.is_open() {
            match (shown.first, response) {
                (None, Some(response)) if response.is_empty_without_content() => {
                    self.deadline.lift(exchange);
                    self.fail(exchange);
                    return self.replace_held(exchange);
                }
                (first, Some(_)) => flow = self.start(exchange, first.unwrap_or(First::End)),
                (_, None) => {}
            }
        } else if let Some(blame) = shown.error.filter(|_| self.trial.has_begun()) {
            self.err(exchange, blame);
        }
        self.trial.end(exchange, &self.worker);
        self.fallback.keep(exchange, &self.worker.config, &self.asked, shown);
        flow
    }

    /// Records a failure of the cluster, once.
    pub(crate) fn fail(&mut self, exchange: &dyn Exchange) {
        self.trial.fail(exchange, &self.worker);
        self.reading.stop();
        self.fallback.discard();
    }

    fn is_held(&self) -> bool {
        let config = &self.worker.config;
        config.hold_headers && !config.shadow
    }

    /// Replaces a failure whose headers have not been sent.
    fn replace(&self, exchange: &dyn Exchange, why: Why) -> Flow {
        let config = &self.worker.config;
        if self.asked.opted_out {
            return Flow::Keep;
        }
        let reply = match config.switches.default {
            Switch::Forced(false) => kept_instead(exchange, config, &self.asked),
            _ => self.reply(exchange, why, wait::asked(exchange).wait()),
        };
        reply.map_or(Flow::Keep, Flow::Reply)
    }

    /// Replaces a failed response if it is held; else it passes.
    fn replace_held(&self, exchange: &dyn Exchange) -> Flow {
        if self.asked.opted_out || !self.is_held() {
            return Flow::Continue;
        }
        self.reply(exchange, Why::Failed, None).map_or(Flow::Continue, Flow::Reply)
    }
}

/// Returns the status, from the headers if those have been read.
fn status(exchange: &dyn Exchange) -> u64 {
    let read = exchange.response().and_then(|response| response.status).map(u64::from);
    read.unwrap_or_else(|| exchange.fact(Fact::ResponseStatus).map_or(0, |status| status.number()))
}
