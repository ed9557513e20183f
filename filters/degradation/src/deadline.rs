//! The time that a response may take. The router's own timeout is for the whole response: what streams, or may, is timed
//! here, until it has content, by the alarm of the stream.

use tidegate_host::exchange::Exchange;
use tidegate_policy::timestamp::MILLISECOND;

const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";

/// What is to come within the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The request itself, from whose last byte the time counts ([`Deadline::start`]).
    Request,
    /// The first content of the response.
    Content,
    /// The whole response.
    Whole,
}

/// How long the response to one request may take, if that is enforced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline {
    is_enforced: bool,
}

impl Deadline {
    /// One that is enforced, or is not.
    pub const fn new(is_enforced: bool) -> Self {
        Self { is_enforced }
    }

    /// The request's head goes on: `timeout` nanoseconds for what is awaited.
    pub fn set(self, exchange: &dyn Exchange, timeout: u64, awaited: Awaited) {
        if !self.is_enforced {
            return;
        }
        if awaited == Awaited::Whole {
            let millis = timeout.div_ceil(MILLISECOND).to_string();
            return exchange.set_request_header(TIMEOUT, millis.as_bytes());
        }
        exchange.set_request_header(TIMEOUT, b"0");
        if awaited == Awaited::Content {
            self.start(exchange, timeout);
        }
    }

    /// The response has `timeout` nanoseconds from now on.
    pub fn start(self, exchange: &dyn Exchange, timeout: u64) {
        if self.is_enforced {
            exchange.set_alarm(Some(exchange.now().plus(timeout)));
        }
    }

    /// What was awaited has come, or will not.
    pub fn lift(self, exchange: &dyn Exchange) {
        exchange.set_alarm(None);
    }
}
