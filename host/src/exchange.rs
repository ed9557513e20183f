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

    /// The response's headers are about to leave; not called for this filter's own [`Reply`].
    fn on_response_headers(&mut self, _exchange: &dyn Exchange) {}
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It goes on at this time.
    Hold(Timestamp),
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

    /// Whether one more request can be held on this worker.
    fn can_hold(&self) -> bool;

    /// Adds `by` to the counter at this place of [`Filter::metrics`]. One host call.
    fn count(&self, metric: usize, by: u32);

    /// Sets a header of the response, replacing what is there. One host call; in
    /// [`Stream::on_response_headers`].
    fn set_response_header(&self, name: &str, value: &str);
}
