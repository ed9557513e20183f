//! The evidence of one request about the cluster's health: when it was sent, when its response began, and how it
//! ended. The outcome is recorded once; if a response begins as a success and breaks later, the break is recorded
//! too.

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

/// A response that has begun, and was recorded as a success if it is one.
#[derive(Clone, Copy, Debug)]
struct Begun {
    is_success: bool,
    at: Timestamp,
    first_byte: u64,
}

impl Trial {
    /// Returns the trial of a request sent to the cluster. Its outcome counts at `place`, if there is one.
    pub const fn send(place: Option<Place>, probe: Option<Probe>, who: Who, now: Timestamp) -> Self {
        Self { place, who, probe, sent_at: now, is_open: true, response: None }
    }

    /// Returns true if the outcome is still pending.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns true if the response has begun and not yet ended.
    pub const fn has_begun(&self) -> bool {
        self.response.is_some()
    }

    /// Returns the time at which the last byte of the request was sent, or the time at which its headers were if the
    /// response began before.
    pub const fn sent_at(&self) -> Timestamp {
        self.sent_at
    }

    /// Sets the time at which the last byte of the request was sent.
    pub const fn complete(&mut self, now: Timestamp) {
        self.sent_at = now;
    }

    /// Ends the trial; nothing more is recorded.
    pub const fn close(&mut self) {
        self.is_open = false;
    }

    /// Returns the nanoseconds since the request was sent.
    pub fn waited(&self, exchange: &dyn Exchange) -> u64 {
        if self.is_open { exchange.now().nanos_since(self.sent_at) } else { 0 }
    }

    /// Records the beginning of a response, or a complete response that took `total` nanoseconds.
    pub fn begin(&mut self, exchange: &dyn Exchange, worker: &Worker, outcome: Outcome, total: Option<u64>) {
        let is_success = outcome == Outcome::Success;
        let first_byte = Some(self.waited(exchange)).filter(|_| is_success);
        self.record(exchange, worker, outcome, (first_byte, total));
        self.response = self.begun(exchange, is_success).filter(|_| exchange.response_goes_on());
    }

    /// Notes the beginning of a response to a gRPC call, whose outcome comes at its end.
    pub fn begin_call(&mut self, exchange: &dyn Exchange) {
        self.response = self.begun(exchange, false);
    }

    /// Records a failure of the cluster.
    pub fn fail(&mut self, exchange: &dyn Exchange, worker: &Worker) {
        if self.is_open && self.place.is_some() {
            Counter::Failures.count(exchange, 1);
        }
        let waited = self.waited(exchange);
        self.record(exchange, worker, Outcome::Failure, (None, Some(waited)));
        self.is_open = false;
    }

    /// Records an overload of the cluster, reported after `total` nanoseconds if in the response's status.
    pub fn overload(&mut self, exchange: &dyn Exchange, worker: &Worker, total: Option<u64>) {
        Counter::Overloads.count(exchange, 1);
        self.record(exchange, worker, Outcome::Overload, (None, total));
    }

    /// Records an error in a response that may have begun.
    pub fn err(&mut self, exchange: &dyn Exchange, worker: &Worker, blame: Blame) {
        match (blame, self.response.take()) {
            (Blame::Server, Some(begun)) => self.break_off(exchange, worker, begun),
            (Blame::Load, _) => self.overload(exchange, worker, None),
            _ => {}
        }
    }

    /// Records the end of the response.
    pub fn end(&mut self, exchange: &dyn Exchange, worker: &Worker) {
        let waited = self.waited(exchange);
        self.record(exchange, worker, Outcome::Ignored, (None, Some(waited)));
        (self.is_open, self.response) = (false, None);
    }

    /// Records the end of a gRPC call whose outcome corresponds to the HTTP status `status`.
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

    /// Records an exchange that ended early. If the client left after it had sent the whole request (`is_whole`), the
    /// time that it waited is recorded.
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

    /// Records the failure of a response that had begun.
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

    /// Records an outcome, with the nanoseconds until the response began and until it ended.
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

/// Returns the outcome for a response whose status is not 200 to 299, and whether it is a timeout.
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

/// Returns true if the server closed a connection or stream before it responded. If the request was incomplete, the
/// server may have been tired of waiting for the rest.
fn hung_up(details: &[u8]) -> bool {
    let reason = details.strip_prefix(b"upstream_reset_before_response_started{");
    reason.is_some_and(|reason| {
        reason.starts_with(b"connection_termination") || reason.starts_with(b"remote_reset")
    })
}

/// Returns true if a finished exchange ended because the cluster failed.
fn is_failure(exchange: &dyn Exchange, details: &[u8]) -> bool {
    let flags = exchange.fact(Fact::ResponseFlags).map_or(0, |value| value.number());
    Ending { status: 200, details, flags }.outcome() == Outcome::Failure
}
