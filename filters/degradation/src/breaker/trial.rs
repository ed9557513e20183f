//! What one request shows of the cluster's health: when it was sent, when its response began, and how it ended. Its outcome
//! is recorded once; of a response that had begun as a success and broke later, that too.

use super::gate::Place;
use crate::metrics::Counter;
use crate::worker::Worker;
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_policy::answer::blame::Blame;
use tidegate_policy::breaker::Probe;
use tidegate_policy::health::outcome::{Ending, Outcome};
use tidegate_policy::health::{Sample, Who};
use tidegate_policy::timestamp::Timestamp;

/// One request. The default has not been sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trial {
    place: Option<Place>,
    who: Who,
    probe: Option<Probe>,
    sent_at: Timestamp,
    is_open: bool,
    response: Option<Begun>,
}

/// A response that has begun, and was recorded as a success if it counts as one.
#[derive(Clone, Copy, Debug)]
struct Begun {
    is_success: bool,
    at: Timestamp,
    first_byte: u64,
}

impl Trial {
    /// A request that is sent to the cluster. `place`: where its outcome counts, if it does.
    pub const fn send(place: Option<Place>, probe: Option<Probe>, who: Who, now: Timestamp) -> Self {
        Self { place, who, probe, sent_at: now, is_open: true, response: None }
    }

    /// Whether its outcome is still to come.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether its response has begun and not yet ended.
    pub const fn has_begun(&self) -> bool {
        self.response.is_some()
    }

    /// When it was sent: with its last byte, if its response did not begin before.
    pub const fn sent_at(&self) -> Timestamp {
        self.sent_at
    }

    /// Its last byte is sent now.
    pub const fn complete(&mut self, now: Timestamp) {
        self.sent_at = now;
    }

    /// Nothing of it is still to come.
    pub const fn close(&mut self) {
        self.is_open = false;
    }

    /// Nanoseconds since it was sent.
    pub fn waited(&self, exchange: &dyn Exchange) -> u64 {
        if self.is_open { exchange.now().nanos_since(self.sent_at) } else { 0 }
    }

    /// Its response has begun, or has come whole after `total` nanoseconds.
    pub fn begin(&mut self, exchange: &dyn Exchange, worker: &Worker, outcome: Outcome, total: Option<u64>) {
        let is_success = outcome == Outcome::Success;
        let first_byte = Some(self.waited(exchange)).filter(|_| is_success);
        self.record(exchange, worker, outcome, (first_byte, total));
        self.response = self.begun(exchange, is_success).filter(|_| exchange.response_goes_on());
    }

    /// The response to a gRPC call has begun, whose outcome comes at its end.
    pub fn begin_call(&mut self, exchange: &dyn Exchange) {
        self.response = self.begun(exchange, false);
    }

    /// The cluster failed.
    pub fn fail(&mut self, exchange: &dyn Exchange, worker: &Worker) {
        if self.is_open && self.place.is_some() {
            Counter::Failures.count(exchange, 1);
        }
        let waited = self.waited(exchange);
        self.record(exchange, worker, Outcome::Failure, (None, Some(waited)));
        self.is_open = false;
    }

    /// The cluster has more work than it takes, as it said after `total` nanoseconds, if at once.
    pub fn overload(&mut self, exchange: &dyn Exchange, worker: &Worker, total: Option<u64>) {
        Counter::Overloads.count(exchange, 1);
        self.record(exchange, worker, Outcome::Overload, (None, total));
    }

    /// A response that may have begun shows an error.
    pub fn err(&mut self, exchange: &dyn Exchange, worker: &Worker, blame: Blame) {
        match (blame, self.response.take()) {
            (Blame::Server, Some(begun)) => self.break_off(exchange, worker, begun),
            (Blame::Load, _) => self.overload(exchange, worker, None),
            _ => {}
        }
    }

    /// The response has come to its end.
    pub fn end(&mut self, exchange: &dyn Exchange, worker: &Worker) {
        let waited = self.waited(exchange);
        self.record(exchange, worker, Outcome::Ignored, (None, Some(waited)));
        (self.is_open, self.response) = (false, None);
    }

    /// A gRPC call has ended with what is `status` as an HTTP status.
    pub fn end_call(&mut self, exchange: &dyn Exchange, worker: &Worker, status: u16) {
        let Some(begun) = self.response.take() else { return };
        match (Ending { status, details: b"via_upstream", flags: 0 }).outcome() {
            Outcome::Success => {
                let total = Some(self.waited(exchange));
                self.record(exchange, worker, Outcome::Success, (Some(begun.first_byte), total));
            }
            Outcome::Overload => self.overload(exchange, worker, None),
            Outcome::Failure => self.fail(exchange, worker),
            _ => self.record(exchange, worker, Outcome::Ignored, (None, None)),
        }
        self.is_open = false;
    }

    /// The exchange is over before its end. A request that its client left, having sent it whole (`is_whole`), records how
    /// long it had waited.
    pub fn abandon(&mut self, exchange: &dyn Exchange, worker: &Worker, is_whole: bool) {
        if let Some(begun) = self.response.take() {
            if is_failure(exchange, &details(exchange)) {
                self.break_off(exchange, worker, begun);
            }
        } else if self.is_open {
            let details = details(exchange);
            match is_failure(exchange, &details) {
                true if is_whole || !hung_up(&details) => self.fail(exchange, worker),
                false if is_whole => {
                    let waited = self.waited(exchange);
                    self.record(exchange, worker, Outcome::GivenUp, (None, Some(waited)));
                }
                _ => self.record(exchange, worker, Outcome::Ignored, (None, None)),
            }
        }
    }

    /// A response that had begun has failed.
    fn break_off(&self, exchange: &dyn Exchange, worker: &Worker, begun: Begun) {
        let Some(place) = self.place else { return };
        let Begun { is_success, at, first_byte } = begun;
        Counter::Failures.count(exchange, 1);
        let counted = is_success && worker.config.health.holds(at, exchange.now());
        let outcome = if counted { Outcome::Broken } else { Outcome::Failure };
        let sample = Sample { who: self.who, outcome, first_byte: Some(first_byte), total: None };
        worker.breaker.report(exchange, &worker.config, place, (sample, None));
    }

    fn begun(&self, exchange: &dyn Exchange, is_success: bool) -> Option<Begun> {
        let first_byte = self.waited(exchange);
        self.is_open.then(|| Begun { is_success, at: exchange.now(), first_byte })
    }

    /// `times`: nanoseconds until the response began, and until it ended.
    fn record(
        &mut self,
        exchange: &dyn Exchange,
        worker: &Worker,
        outcome: Outcome,
        (first_byte, total): (Option<u64>, Option<u64>),
    ) {
        if let Some(place) = self.place.filter(|_| self.is_open) {
            let sample = Sample { who: self.who, outcome, first_byte, total };
            let told = (sample, self.probe.take());
            worker.breaker.report(exchange, &worker.config, place, told);
        }
    }
}

/// What a response with this status, 200 to 299 excluded, says of the cluster, and whether it was too late.
pub fn judge(exchange: &dyn Exchange, status: u64, is_whole: bool) -> (Outcome, bool) {
    let details = details(exchange);
    let flags = exchange.fact(Fact::ResponseFlags).map_or(0, |value| value.number());
    let status = u16::try_from(status).unwrap_or(0);
    let outcome = match (Ending { status, details: &details, flags }).outcome() {
        Outcome::Failure if !is_whole && hung_up(&details) => Outcome::Ignored,
        outcome => outcome,
    };
    (outcome, details.starts_with(b"response_timeout"))
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
