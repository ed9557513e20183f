//! The timeout of a response. The router's own timeout covers the whole response, so one that streams, or may, is
//! timed here until it has content, by the stream's alarm.

use tidegate_host::exchange::Exchange;
use tidegate_policy::timestamp::MILLISECOND;

const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";

/// The event that must happen before the timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The end of the request, at which the timeout starts ([`Deadline::start`]).
    Request,
    /// The first content of the response.
    Content,
    /// The whole response.
    Whole,
}

/// The timeout of the response to one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline {
    is_enforced: bool,
}

impl Deadline {
    /// Creates a timeout that is enforced, or is not.
    pub const fn new(is_enforced: bool) -> Self {
        Self { is_enforced }
    }

    /// Sets a timeout of `timeout` nanoseconds as the request headers are sent.
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

    /// Starts the timeout: `timeout` nanoseconds from now.
    pub fn start(self, exchange: &dyn Exchange, timeout: u64) {
        if self.is_enforced {
            exchange.set_alarm(Some(exchange.now().plus(timeout)));
        }
    }

    /// Clears the alarm, because the awaited event has happened or will not.
    pub fn lift(self, exchange: &dyn Exchange) {
        exchange.set_alarm(None);
    }
}
