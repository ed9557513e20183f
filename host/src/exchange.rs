//! What an HTTP filter is, what it may ask while it looks at one exchange of request and response, and what it may
//! answer. Every question that costs a host call says so; the adapter asks each at most once a callback.
//!
//! A whole filter, and how it is tried without a proxy (with the feature `fake`):
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

/// One configured filter.
pub trait Filter: Plugin {
    /// The state of one exchange.
    type Stream: Stream + 'static;

    /// When a chain of filters in one module shows it a request.
    const STAGE: Stage;

    /// Whether it ever asks for a scan ([`Filter::scan`]). What no filter of a module asks for is left out of it.
    const SCANS: bool = false;

    /// Whether it ever wants to know what a response says ([`Stream::reads_response`]).
    const READS_RESPONSES: bool = false;

    /// Whether it ever hears the texts of a request's body ([`Stream::text_sink`]). One filter of a module may.
    const HEARS_TEXT: bool = false;

    /// Whether it ever changes a request's body ([`Exchange::edit_request`]).
    const REWRITES: bool = false;

    /// Whether it ever sets an alarm, by [`Proxy::set_alarm`] or [`Flow::HoldUntil`].
    const SETS_ALARMS: bool = false;

    /// How many requests one worker may hold at a time, where it asks [`Exchange::can_hold`] before.
    fn max_held(&self) -> usize {
        0
    }

    /// What is to be read out of requests' bodies, if anything. Such a filter handles the callbacks of the body.
    fn scan(&self) -> Option<ScanNeeds> {
        None
    }

    /// For a new exchange.
    fn stream(&self) -> Self::Stream;
}

/// What a filter does with one exchange. Of the callbacks of the response, none comes for this filter's own [`Reply`].
pub trait Stream {
    /// The request's headers have come.
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow;

    /// So many bytes more of the request's body have come.
    fn on_request_body(&mut self, _exchange: &dyn Exchange, _arrived: usize) -> Flow {
        Flow::Keep
    }

    /// The request's body, or its trailers, have come to their end. Not called for a request without a body.
    fn on_request_end(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// The time of [`Flow::HoldUntil`], or that set by [`Proxy::set_alarm`], has come. What is held goes on unless this
    /// says otherwise.
    fn on_alarm(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Continue
    }

    /// A task of its worker rings it ([`Worker::ring`](crate::task::Worker::ring)). Its alarm stays as it is unless this
    /// says otherwise.
    fn on_ring(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// The response's headers are about to leave. [`Flow`] is about the response from here on.
    fn on_response_headers(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// So many bytes more of the response's body have come.
    fn on_response_body(&mut self, _exchange: &dyn Exchange, _arrived: usize) -> Flow {
        Flow::Keep
    }

    /// The response's body has come to its end. Not called for a response without a body.
    fn on_response_end(&mut self, _exchange: &dyn Exchange) -> Flow {
        Flow::Keep
    }

    /// Whether this request's body is to be scanned, if [`Filter::scan`] asks for that at all. What was once not
    /// wanted is not read later.
    fn wants_scan(&self) -> bool {
        true
    }

    /// What hears the texts of the request's body while it is scanned.
    fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        None
    }

    /// What of its response is to be read: asked before the response's headers come, and after each of its callbacks.
    /// What was once not wanted is not read later.
    fn reads_response(&self) -> ResponseNeeds {
        ResponseNeeds::NONE
    }

    /// The exchange is over, whoever ended it. Only what [`Proxy`] offers, the [`Fact`]s and what has been read of the
    /// response are left.
    fn on_gone(&mut self, _exchange: &dyn Exchange) {}
}

/// What becomes of a request, or, once that has begun, of its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// What was said last still holds.
    Keep,
    /// It goes on.
    Continue,
    /// It is held until a later callback says otherwise.
    Hold,
    /// It is held until a later callback says otherwise, which is [`Stream::on_alarm`] at this time at the latest.
    HoldUntil(Timestamp),
    /// It ends here, with this answer. For a response only before its headers have left.
    Reply(Reply),
}

/// When a filter sees a request that several filters of one module look at. As in a chain, each sees it after those before
/// it in the list; the stage says what else has to be over by then, so that bodies are read once and at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// At once: it judges the request and has no effect beyond it.
    Judge,
    /// At once, and at the end of the body after those that judge, so that a refused request is not charged for.
    Charge,
    /// As soon as no filter that charges delays the request: it watches the pace of the client.
    Watch,
    /// When all filters before it have let the request go on: what it does reaches beyond the request.
    Effect,
}

/// One exchange of request and response, and the worker that it runs on.
pub trait Exchange: Proxy {
    /// The request's headers. One host call the first time; only while they are there, that is in
    /// [`Stream::on_request_headers`].
    fn request_headers(&self) -> &HeaderMap;

    /// What the exchange is, known in every callback. Of a tunnel a filter sees the handshake, as a request without a body,
    /// and its answer; what flows through it is shown to nobody.
    fn protocol(&self) -> Protocol;

    /// In whose words the API speaks that was asked, known in every callback once a filter has looked at the request's headers.
    fn dialect(&self) -> Dialect;

    /// Sets a header of a request whose headers have not gone on, replacing what is there. One host call.
    fn set_request_header(&self, name: &str, value: &[u8]);

    /// Takes a header out of a request whose headers have not gone on. One host call.
    fn remove_request_header(&self, name: &str);

    /// Whether more of the request is to come.
    fn request_goes_on(&self) -> bool;

    /// Whether one more request can be held on this worker.
    fn can_hold(&self) -> bool;

    /// The bytes that this callback is about, in the callbacks of either body. One host call the first time.
    fn arrived(&self) -> &[u8];

    /// What has been read out of the request's body, if [`Filter::scan`] asked for it; until the response begins.
    fn scan(&self) -> Option<&Scan>;

    /// All that is held of the body that this callback is about. One host call.
    fn held(&self) -> Vec<u8>;

    /// Puts `body` in the place of all that is held of a response. Framing is the caller's to mend. One host call.
    fn replace_held(&self, body: &[u8]);

    /// Changes a part of a request's body that is held whole, by its place in the body as it was sent. Changes are made
    /// when the body has come to its end, and the framing mended: where the request's headers are held too, or have
    /// gone on without a `content-length`. A request whose changes cannot be made does not go on.
    fn edit_request(&self, edit: Edit);

    /// Whether the request's body can still be changed: in the callbacks of that body.
    fn can_edit_request(&self) -> bool;

    /// The response's headers. One host call the first time; only in [`Stream::on_response_headers`].
    fn response_headers(&self) -> &HeaderMap;

    /// The first value of a response's header, where one is enough: one host call, and none once all have been read.
    fn response_header(&self, name: &'static str) -> Option<Vec<u8>>;

    /// The response's trailers; none where it ended without any. One host call the first time; only in
    /// [`Stream::on_response_end`].
    fn response_trailers(&self) -> &HeaderMap;

    /// Whether more of the response is to come.
    fn response_goes_on(&self) -> bool;

    /// Sets a header of a response whose headers have not gone on, replacing what is there. One host call.
    fn set_response_header(&self, name: &'static str, value: &str);

    /// Takes a header out of a response whose headers have not gone on. One host call.
    fn remove_response_header(&self, name: &'static str);

    /// What has been read of the response, if this filter wanted it ([`Stream::reads_response`]) or another did.
    fn response(&self) -> Option<&Response>;

    /// What the proxy knows of the exchange, as text or as a number. One host call the first time.
    fn fact(&self, fact: Fact) -> Option<FactValue>;
}

/// What a proxy knows of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The version of HTTP in which the request came, such as `HTTP/2`; text.
    HttpVersion,
    /// The name of the upstream cluster that the route leads to; text.
    Cluster,
    /// The response's status; a number.
    ResponseStatus,
    /// Why the response is what it is, such as `via_upstream`; text.
    ResponseDetails,
    /// Envoy's response flags; a number.
    ResponseFlags,
    /// How often the request was sent to the upstream; a number.
    Attempts,
}

/// The value of a [`Fact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactValue(pub Vec<u8>);

impl FactValue {
    /// As a number: eight bytes, little-endian. 0 if it is none.
    pub fn number(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
