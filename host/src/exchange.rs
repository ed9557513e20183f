//! What a filter is, what it may ask while it looks at one exchange of request and response, and what it may
//! answer. Every question that costs a host call says so; the adapter asks each at most once an exchange.

use crate::headers::HeaderMap;
use crate::plugin::{Plugin, Proxy};
use crate::reply::Reply;

/// One configured filter.
pub trait Filter: Plugin {
    /// What it keeps of one exchange.
    type Stream: Stream;

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

    /// The time that was set by [`Proxy::set_alarm`] has come. A held request goes on unless said otherwise.
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
pub trait Exchange: Proxy {
    /// The request's headers. One host call the first time; only while they are there, that is in
    /// [`Stream::on_request_headers`].
    fn request_headers(&self) -> &HeaderMap;

    /// Whether more of the request is to come.
    fn request_goes_on(&self) -> bool;

    /// Whether one more request can be held on this worker.
    fn can_hold(&self) -> bool;

    /// Sets a header of the response, replacing what is there. One host call; in
    /// [`Stream::on_response_headers`].
    fn set_response_header(&self, name: &str, value: &str);
}
