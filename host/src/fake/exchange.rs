//! One exchange, made of plain values.

use super::FakeProxy;
use super::calls::Once;
use crate::bodies::{Bodies, Response};
use crate::exchange::{Exchange, Fact, FactValue, Filter, Flow, Stream};
use crate::headers::HeaderMap;
use crate::plugin::Proxy;
use crate::protocol::Protocol;
use crate::scan::Scan;
use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use tidegate_policy::api::Dialect;
use tidegate_policy::rewrite::{self, Edit};

/// New values of headers; `None` for a header that was removed.
type Changes<V> = RefCell<BTreeMap<String, Option<V>>>;

/// One exchange.
#[derive(Debug)]
pub struct FakeExchange<'a> {
    pub(super) proxy: &'a FakeProxy,
    headers: HeaderMap,
    request: Changes<Vec<u8>>,
    answer: HeaderMap,
    trailers: HeaderMap,
    response: Changes<String>,
    /// True if more of the request is to come.
    pub request_goes_on: Cell<bool>,
    /// True if more of the response is to come.
    pub response_goes_on: Cell<bool>,
    arrived: Vec<u8>,
    held: RefCell<Vec<u8>>,
    facts: BTreeMap<Fact, FactValue>,
    bodies: Bodies,
    edits: RefCell<Vec<Edit>>,
}

impl<'a> FakeExchange<'a> {
    pub(super) fn new(proxy: &'a FakeProxy, headers: HeaderMap) -> Self {
        Self {
            proxy,
            headers,
            request: RefCell::default(),
            answer: HeaderMap::default(),
            trailers: HeaderMap::default(),
            response: RefCell::default(),
            request_goes_on: Cell::default(),
            response_goes_on: Cell::default(),
            arrived: Vec::new(),
            held: RefCell::default(),
            facts: BTreeMap::new(),
            bodies: Bodies::default(),
            edits: RefCell::default(),
        }
    }

    /// Delivers a chunk of the request body, the last one if `end`: scans it and calls `stream` as the adapter does.
    pub fn receive<F: Filter>(
        &mut self,
        filter: &F,
        stream: &mut F::Stream,
        chunk: &[u8],
        end: bool,
    ) -> Flow {
        self.arrive(chunk);
        self.request_goes_on.set(!end);
        let needs = (filter.scan(), self.proxy.fingerprinter());
        let bytes = || {
            self.proxy.calls.ask(Once::Arrived);
            self.arrived.as_slice()
        };
        self.bodies.read_request(needs, stream, bytes, end);
        match stream.on_request_body(self, chunk.len()) {
            Flow::Reply(reply) => Flow::Reply(reply),
            flow if !end => flow,
            flow => Some(stream.on_request_end(self)).filter(|end| *end != Flow::Keep).unwrap_or(flow),
        }
    }

    /// Makes these bytes of a body, appended to those already buffered, the subject of the next callback.
    pub fn arrive(&mut self, bytes: &[u8]) {
        self.arrived = bytes.to_vec();
        self.held.borrow_mut().extend_from_slice(bytes);
    }

    /// Returns the buffered bytes with all edits applied.
    pub fn held_now(&self) -> Vec<u8> {
        let held = self.held.borrow();
        rewrite::apply(&held, &mut self.edits.borrow().clone()).unwrap_or_default()
    }

    /// Ends the request and begins this response.
    pub fn respond(&mut self, headers: &[(&str, &str)]) {
        self.answer = headers.iter().copied().collect();
        let status =
            self.answer.only(b":status").and_then(|text| core::str::from_utf8(text).ok()?.parse().ok());
        self.know(Fact::ResponseStatus, &status.unwrap_or(0_u64).to_le_bytes());
        self.arrived.clear();
        self.held.borrow_mut().clear();
    }

    /// Does the same as [`respond`](Self::respond), and calls `stream` as the adapter does.
    pub fn begin_response<S: Stream>(
        &mut self,
        stream: &mut S,
        headers: &[(&str, &str)],
        goes_on: bool,
    ) -> Flow {
        self.proxy.calls.begin();
        self.respond(headers);
        self.response_goes_on.set(goes_on);
        let headers = || {
            self.proxy.calls.ask(Once::ResponseHeaders);
            &self.answer
        };
        self.bodies.begin_response(stream, Protocol::of(&self.headers), headers);
        let flow = stream.on_response_headers(self);
        self.bodies.narrow(stream);
        flow
    }

    /// Delivers a chunk of the response body, the last one unless `goes_on`: reads it and calls `stream` as the
    /// adapter does.
    pub fn send<S: Stream>(&mut self, stream: &mut S, chunk: &[u8], goes_on: bool) -> Flow {
        self.proxy.calls.begin();
        self.arrive(chunk);
        self.response_goes_on.set(goes_on);
        let bytes = || {
            self.proxy.calls.ask(Once::Arrived);
            self.arrived.as_slice()
        };
        self.bodies.read_response(chunk.len(), bytes, !goes_on);
        let flow = match stream.on_response_body(self, chunk.len()) {
            Flow::Reply(reply) => Flow::Reply(reply),
            flow if goes_on => flow,
            flow => Some(stream.on_response_end(self)).filter(|end| *end != Flow::Keep).unwrap_or(flow),
        };
        self.bodies.narrow(stream);
        flow
    }

    /// Ends the response with these trailers, and calls `stream` as the adapter does.
    pub fn end_response<S: Stream>(&mut self, stream: &mut S, trailers: &[(&str, &str)]) -> Flow {
        self.proxy.calls.begin();
        self.trail(trailers);
        self.response_goes_on.set(false);
        self.bodies.read_response(0, || &[], true);
        let trailers = || {
            self.proxy.calls.make();
            &self.trailers
        };
        self.bodies.end_response(trailers);
        let flow = stream.on_response_end(self);
        self.bodies.narrow(stream);
        flow
    }

    /// Sets the response trailers.
    pub fn trail(&mut self, trailers: &[(&str, &str)]) {
        self.trailers = trailers.iter().copied().collect();
    }

    /// Sets a fact that the proxy knows about the exchange.
    pub fn know(&mut self, fact: Fact, value: &[u8]) {
        self.facts.insert(fact, FactValue(value.to_vec()));
    }

    /// Returns the new value of a request header; `Some(None)` if it was removed.
    pub fn request_header(&self, name: &str) -> Option<Option<Vec<u8>>> {
        self.request.borrow().get(name).cloned()
    }

    /// Returns true if a response header was removed.
    pub fn response_header_removed(&self, name: &str) -> bool {
        self.response.borrow().get(name).is_some_and(Option::is_none)
    }

    /// Returns the new value of a response header.
    pub fn response_header(&self, name: &str) -> Option<String> {
        self.response.borrow().get(name).cloned().flatten()
    }
}

impl Exchange for FakeExchange<'_> {
    fn request_headers(&self) -> &HeaderMap {
        self.proxy.calls.ask(Once::RequestHeaders);
        &self.headers
    }

    fn protocol(&self) -> Protocol {
        Protocol::of(&self.headers)
    }

    fn dialect(&self) -> Dialect {
        Dialect::of(&self.headers.path())
    }

    fn request_goes_on(&self) -> bool {
        self.request_goes_on.get()
    }

    fn can_hold(&self) -> bool {
        true
    }

    fn set_request_header(&self, name: &str, value: &[u8]) {
        self.proxy.calls.make();
        self.request.borrow_mut().insert(name.to_owned(), Some(value.to_vec()));
    }

    fn remove_request_header(&self, name: &str) {
        self.proxy.calls.make();
        self.request.borrow_mut().insert(name.to_owned(), None);
    }

    fn arrived(&self) -> &[u8] {
        self.proxy.calls.ask(Once::Arrived);
        &self.arrived
    }

    fn scan(&self) -> Option<&Scan> {
        self.bodies.scan()
    }

    fn held(&self) -> Vec<u8> {
        self.proxy.calls.make();
        self.held.borrow().clone()
    }

    fn replace_held(&self, body: &[u8]) {
        self.proxy.calls.make();
        *self.held.borrow_mut() = body.to_vec();
    }

    fn edit_request(&self, edit: Edit) {
        self.edits.borrow_mut().push(edit);
    }

    fn can_edit_request(&self) -> bool {
        true
    }

    fn response_headers(&self) -> &HeaderMap {
        self.proxy.calls.ask(Once::ResponseHeaders);
        &self.answer
    }

    fn response_header(&self, name: &'static str) -> Option<Vec<u8>> {
        self.proxy.calls.make();
        self.answer.all(name.as_bytes()).next().map(<[u8]>::to_vec)
    }

    fn response_trailers(&self) -> &HeaderMap {
        self.proxy.calls.make();
        &self.trailers
    }

    fn response_goes_on(&self) -> bool {
        self.response_goes_on.get()
    }

    fn set_response_header(&self, name: &'static str, value: &str) {
        self.proxy.calls.make();
        self.response.borrow_mut().insert(name.to_owned(), Some(value.to_owned()));
    }

    fn remove_response_header(&self, name: &'static str) {
        self.proxy.calls.make();
        self.response.borrow_mut().insert(name.to_owned(), None);
    }

    fn response(&self) -> Option<&Response> {
        self.bodies.response()
    }

    fn fact(&self, fact: Fact) -> Option<FactValue> {
        self.proxy.calls.make();
        self.facts.get(&fact).cloned()
    }
}
