//! What a filter is, what it may ask while it looks at one exchange of request and response, and what it may
//! answer. Every question that costs a host call says so; the adapter asks each at most once an exchange.

use crate::config::ConfigError;
use crate::headers::HeaderMap;
use crate::reply::Reply;
use crate::store::Store;
use core::net::IpAddr;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

/// One configured filter.
pub trait Filter: Sized {
    /// The name under which the proxy asks for it.
    const ROOT_ID: &'static str;
    /// What it keeps of one exchange.
    type Stream: Stream;

    /// From its configuration document, JSON. The error is for the operator.
    fn configure(document: &[u8]) -> Result<Self, ConfigError>;

    /// The names of its counters, in full. [`Exchange::count`] takes their places in this list.
    fn metrics(&self) -> Vec<String>;

    /// How many requests one worker may hold at a time.
    fn max_held(&self) -> usize {
        0
    }

    /// For a new exchange.
    fn stream(&self) -> Self::Stream;
}

/// What a filter does with one exchange.
pub trait Stream {
    /// The request's headers have come.
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow;

    /// So many bytes more of the request's body have come.
    fn on_request_body(&mut self, _exchange: &dyn Exchange, _arrived: usize) -> Flow {
        Flow::Keep
    }

    /// The request's body, or its trailers, have come to their end.
    fn on_request_end(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// The time that was set by [`Exchange::set_alarm`] has come. A held request goes on unless said otherwise.
    fn on_alarm(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Continue
    }

    /// The response's headers are about to leave; not called for this filter's own [`Reply`].
    fn on_response_headers(&mut self, _exchange: &dyn Exchange) {}
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// What was said last still holds.
    Keep,
    /// It goes on.
    Continue,
    /// It is held until a later callback says otherwise.
    Hold,
    /// It ends here, with this answer.
    Reply(Reply),
}

/// One exchange of request and response, and the worker that it runs on.
pub trait Exchange {
    /// Monotonic time, the same clock for all workers. One host call each.
    fn now(&self) -> Timestamp;

    /// 64 random bits, unknown to clients.
    fn random(&self) -> u64;

    /// What all workers share.
    fn store(&self) -> &dyn Store;

    /// How names become keys of the store; the same for all workers.
    fn fingerprinter(&self) -> Fingerprinter;

    /// The request's headers. One host call the first time; only while they are there, that is in
    /// [`Stream::on_request_headers`].
    fn request_headers(&self) -> &HeaderMap;

    /// The address at the other end of the connection. One host call the first time.
    fn peer(&self) -> Option<IpAddr>;

    /// Whether more of the request is to come.
    fn request_goes_on(&self) -> bool;

    /// Whether one more request can be held on this worker.
    fn can_hold(&self) -> bool;

    /// Has [`Stream::on_alarm`] called at this time, rounded up to a millisecond, instead of at the one set before;
    /// never, for `None`.
    fn set_alarm(&self, at: Option<Timestamp>);

    /// Adds `by` to the counter at this place of [`Filter::metrics`]. One host call.
    fn count(&self, metric: usize, by: u32);

    /// Sets a header of the response, replacing what is there. One host call; in
    /// [`Stream::on_response_headers`].
    fn set_response_header(&self, name: &str, value: &str);
}
