//! The contract of an HTTP filter: its callbacks, the questions it may ask about one request and its response, and
//! the verdicts it may return. Methods that cost a host call say so; the adapter makes each such call at most once
//! per callback.
//!
//! A complete filter, and a test of it without a proxy (with the feature `fake`):
//!
#![cfg_attr(feature = "fake", doc = "```")]
#![cfg_attr(not(feature = "fake"), doc = "```ignore")]
//! use tidegate_config::ConfigError;
//! use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
//! use tidegate_host::fake::FakeProxy;
//! use tidegate_host::plugin::Plugin;
//!
//! /// Marks requests that come without a key.
//! struct Anonymous;
//! struct Request;
//!
//! impl Plugin for Anonymous {
//!     const ROOT_ID: &'static str = "anonymous";
//!
//!     fn configure(_document: &[u8]) -> Result<Self, ConfigError> {
//!         Ok(Self)
//!     }
//!
//!     fn metrics(&self) -> Vec<String> {
//!         vec!["tidegate.anonymous.marked".to_owned()]
//!     }
//! }
//!
//! impl Filter for Anonymous {
//!     type Stream = Request;
//!     const STAGE: Stage = Stage::Judge;
//!
//!     fn stream(&self) -> Request {
//!         Request
//!     }
//! }
//!
//! impl Stream for Request {
//!     fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
//!         if exchange.request_headers().only(b"authorization").is_none() {
//!             exchange.set_request_header("x-anonymous", b"1");
//!             exchange.count(0, 1);
//!         }
//!         Flow::Continue
//!     }
//! }
//!
//! let proxy = FakeProxy::running(&Anonymous);
//! let exchange = proxy.exchange(&[(":method", "GET"), (":path", "/v1/models")]);
//! assert_eq!(Anonymous.stream().on_request_headers(&exchange), Flow::Continue);
//! assert_eq!(exchange.request_header("x-anonymous"), Some(Some(b"1".to_vec())));
//! assert_eq!(proxy.counter("tidegate.anonymous.marked"), 1);
//! ```

use crate::bodies::{Response, ResponseNeeds};
use crate::headers::HeaderMap;
use crate::plugin::{Plugin, Proxy};
use crate::protocol::Protocol;
use crate::reply::Reply;
use crate::scan::{Scan, ScanNeeds};
use tidegate_policy::api::Dialect;
use tidegate_policy::inference::TextSink;
use tidegate_policy::rewrite::Edit;
use tidegate_policy::timestamp::Timestamp;

/// A configured HTTP filter.
pub trait Filter: Plugin {
    /// The state of one exchange.
    type Stream: Stream + 'static;

    /// The point at which a chain of filters in one module shows requests to this filter.
    const STAGE: Stage;

    /// True if the filter ever asks for a scan ([`Filter::scan`]). Code that no filter of a module asks for is left
    /// out of the module.
    const SCANS: bool = false;

    /// True if the filter ever reads a response ([`Stream::reads_response`]).
    const READS_RESPONSES: bool = false;

    /// True if the filter ever receives the texts of a request body ([`Stream::text_sink`]). At most one filter of a
    /// module may.
    const HEARS_TEXT: bool = false;

    /// True if the filter ever edits a request body ([`Exchange::edit_request`]).
    const REWRITES: bool = false;

    /// True if the filter ever sets an alarm, by [`Proxy::set_alarm`] or [`Flow::HoldUntil`].
    const SETS_ALARMS: bool = false;

    /// Returns how many requests one worker may hold at a time, if the filter asks [`Exchange::can_hold`] first.
    fn max_held(&self) -> usize {
        0
    }

    /// Returns the facts to scan request bodies for, if any. A filter that returns some handles the body callbacks.
    fn scan(&self) -> Option<ScanNeeds> {
        None
    }

    /// Returns the state of a new exchange.
    fn stream(&self) -> Self::Stream;
}

/// The callbacks of a filter for one exchange. A filter's own [`Reply`] triggers none of its response callbacks.
pub trait Stream {
    /// Called when the request headers arrive.
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow;

    /// Called when `arrived` more bytes of the request body arrive.
    fn on_request_body(&mut self, _exchange: &dyn Exchange, _arrived: usize) -> Flow {
        Flow::Keep
    }

    /// Called at the end of the request body or trailers. Not called for a request without a body.
    fn on_request_end(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// Called at the time of [`Flow::HoldUntil`] or [`Proxy::set_alarm`]. A held request or response is released
    /// unless the return value says otherwise.
    fn on_alarm(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Continue
    }

    /// Called when a task of this worker rings the stream ([`Worker::ring`](crate::task::Worker::ring)). The alarm
    /// stays set unless the return value says otherwise.
    fn on_ring(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// Called before the response headers are sent. From here on, [`Flow`] refers to the response.
    fn on_response_headers(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// Called when `arrived` more bytes of the response body arrive.
    fn on_response_body(&mut self, _exchange: &dyn Exchange, _arrived: usize) -> Flow {
        Flow::Keep
    }

    /// Called at the end of the response body. Not called for a response without a body.
    fn on_response_end(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// Returns true if this request's body is to be scanned, given that [`Filter::scan`] asks for scans at all. Once
    /// this returns `false`, the body is not scanned for the rest of the request.
    fn wants_scan(&self) -> bool {
        true
    }

    /// Returns the sink that receives the texts of the request body during the scan.
    fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        None
    }

    /// Returns the parts of the response to read. Asked before the response headers arrive and after each response
    /// callback; a part that was once not wanted is not read later.
    fn reads_response(&self) -> ResponseNeeds {
        ResponseNeeds::NONE
    }

    /// Called when the exchange is over, whoever ended it. Only the methods of [`Proxy`], the [`Fact`]s and the part
    /// of the response that has been read are still available.
    fn on_gone(&mut self, _exchange: &dyn Exchange) {}
}

/// The verdict on a request or, once the response has begun, on the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The previous verdict stays in force.
    Keep,
    /// Lets the request or response continue.
    Continue,
    /// Holds it until a later callback decides otherwise.
    Hold,
    /// Holds it until a later callback decides otherwise; [`Stream::on_alarm`] is called at this time at the latest.
    HoldUntil(Timestamp),
    /// Ends the exchange with this reply. For a response, only before its headers have been sent.
    Reply(Reply),
}

/// The point at which a filter sees a request that several filters of one module process. As in a chain, a filter
/// sees the request after those listed before it; the stage adds a condition, so that all filters share one pass over
/// the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// At once. The filter judges the request and has no effect beyond it.
    Judge,
    /// At once, and at the end of the body after the filters that judge, so that a refused request is not charged
    /// for.
    Charge,
    /// As soon as no charging filter delays the request: the filter watches the client's pace.
    Watch,
    /// After all earlier filters have released the request: the filter has effects beyond the request.
    Effect,
}

/// One exchange of request and response, and the worker that it runs on.
pub trait Exchange: Proxy {
    /// Returns the request headers. Only available in [`Stream::on_request_headers`]. One host call the first time.
    fn request_headers(&self) -> &HeaderMap;

    /// Returns the kind of exchange; available in every callback. Of a tunnel, a filter sees the handshake, as a
    /// request without a body, and the response to it, but none of the bytes that flow through it.
    fn protocol(&self) -> Protocol;

    /// Returns the API dialect of the request; available in every callback once a filter has read the request
    /// headers.
    fn dialect(&self) -> Dialect;

    /// Sets or replaces a request header, before the headers are sent upstream. One host call.
    fn set_request_header(&self, name: &str, value: &[u8]);

    /// Removes a request header, before the headers are sent upstream. One host call.
    fn remove_request_header(&self, name: &str);

    /// Returns true if more of the request is to come.
    fn request_goes_on(&self) -> bool;

    /// Returns true if this worker can hold one more request.
    fn can_hold(&self) -> bool;

    /// Returns the bytes that this body callback is about. One host call the first time.
    fn arrived(&self) -> &[u8];

    /// Returns the scan of the request body, if [`Filter::scan`] asked for one. Available until the response begins.
    fn scan(&self) -> Option<&Scan>;

    /// Returns all buffered bytes of the body that this callback is about. One host call.
    fn held(&self) -> Vec<u8>;

    /// Replaces all buffered bytes of a response with `body`. The caller corrects the framing. One host call.
    fn replace_held(&self, body: &[u8]);

    /// Edits part of a request body that is held whole, by its offset in the body as sent. Edits are applied, and the
    /// framing corrected, at the end of the body. This requires that the request headers are held too or were sent
    /// without a `content-length`. A request whose edits cannot be applied is not sent upstream.
    fn edit_request(&self, edit: Edit);

    /// Returns true if the request body can still be edited, that is in the request body callbacks.
    fn can_edit_request(&self) -> bool;

    /// Returns the response headers. Only available in [`Stream::on_response_headers`]. One host call the first time.
    fn response_headers(&self) -> &HeaderMap;

    /// Returns the first value of a response header. One host call, or none once all headers have been read.
    fn response_header(&self, name: &'static str) -> Option<Vec<u8>>;

    /// Returns the response trailers, empty if there are none. Only available in [`Stream::on_response_end`]. One
    /// host call the first time.
    fn response_trailers(&self) -> &HeaderMap;

    /// Returns true if more of the response is to come.
    fn response_goes_on(&self) -> bool;

    /// Sets or replaces a response header, before the headers are sent. One host call.
    fn set_response_header(&self, name: &'static str, value: &str);

    /// Removes a response header, before the headers are sent. One host call.
    fn remove_response_header(&self, name: &'static str);

    /// Returns what has been read of the response, if this filter ([`Stream::reads_response`]) or another one asked
    /// for it.
    fn response(&self) -> Option<&Response>;

    /// Returns a fact that the proxy knows about the exchange. One host call the first time.
    fn fact(&self, fact: Fact) -> Option<FactValue>;
}

/// A fact that the proxy knows about an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// HTTP version of the request, such as `HTTP/2`; text.
    HttpVersion,
    /// Name of the upstream cluster that the route selects; text.
    Cluster,
    /// HTTP status of the response; a number.
    ResponseStatus,
    /// Reason for the response, such as `via_upstream`; text.
    ResponseDetails,
    /// Envoy's response flags; a number.
    ResponseFlags,
    /// Number of times the request was sent upstream; a number.
    Attempts,
}

/// The value of a [`Fact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactValue(pub Vec<u8>);

impl FactValue {
    /// Returns the number encoded as eight little-endian bytes, or 0 if the value is not a number.
    pub fn number(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
