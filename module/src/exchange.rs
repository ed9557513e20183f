//! The exchange that a filter sees, on Envoy. Each fact is read from the host when it is first needed, at most once
//! per callback.

use crate::hostcalls;
use crate::hostcalls::http::{self, Body};
use crate::proxy::WasmProxy;
use crate::worker::Worker;
use core::cell::{Cell, OnceCell, RefCell};
use core::ops::Range;
use proxy_wasm::types::MapType;
use tidegate_host::bodies::{Bodies, Response};
use tidegate_host::exchange::{Exchange, Fact, FactValue, Filter};
use tidegate_host::headers::HeaderMap;
use tidegate_host::protocol::Protocol;
use tidegate_host::proxy_by;
use tidegate_host::scan::Scan;
use tidegate_host::task::StreamId;
use tidegate_policy::api::Dialect;
use tidegate_policy::rewrite::Edit;
use tidegate_policy::timestamp::Timestamp;

/// The subject of a callback.
#[derive(Default)]
pub struct Callback {
    /// Id of the stream.
    pub stream: Option<StreamId>,
    /// Kind of the exchange.
    pub protocol: Protocol,
    /// API dialect, if it is known.
    pub dialect: Option<Dialect>,
    /// Request or response headers that the callback is about, if they have been read.
    pub headers: Option<(Body, HeaderMap)>,
    /// Time at which the callback began, if it is known.
    pub now: Option<Timestamp>,
    /// True if more of the request, or of the response, is to come.
    pub goes_on: bool,
    /// True if the callback is about the response headers.
    pub begins_response: bool,
    /// True if trailers have arrived.
    pub has_trailers: bool,
    /// Body that the callback is about, and the range of the bytes in it that have arrived.
    pub body: Option<(Body, Range<usize>)>,
}

/// One exchange during one callback.
pub struct WasmExchange<'a> {
    proxy: WasmProxy<'a>,
    callback: Callback,
    request_headers: OnceCell<HeaderMap>,
    response_headers: OnceCell<HeaderMap>,
    response_trailers: OnceCell<HeaderMap>,
    arrived: OnceCell<Vec<u8>>,
    bodies: Option<&'a Bodies>,
    edits: RefCell<Vec<Edit>>,
    facts: RefCell<Vec<(Fact, Option<FactValue>)>>,
}

impl<'a> WasmExchange<'a> {
    /// Creates the exchange on `worker`. `alarm` contains the alarm that is set, if any.
    pub fn new(worker: &'a Worker, mut callback: Callback, alarm: &'a Cell<Option<Timestamp>>) -> Self {
        let (request_headers, response_headers) = match callback.headers.take() {
            Some((Body::Request, headers)) => (headers.into(), OnceCell::new()),
            Some((Body::Response, headers)) => (OnceCell::new(), headers.into()),
            None => (OnceCell::new(), OnceCell::new()),
        };
        Self {
            proxy: WasmProxy::new(worker, callback.stream, alarm, callback.now),
            callback,
            request_headers,
            response_headers,
            response_trailers: OnceCell::new(),
            arrived: OnceCell::new(),
            bodies: None,
            edits: RefCell::new(Vec::new()),
            facts: RefCell::new(Vec::new()),
        }
    }

    /// Lets `bodies` read the bytes that this callback is about.
    pub fn read<F: Filter>(&self, bodies: &mut Bodies, stream: &mut F::Stream) {
        let is_last = !self.callback.goes_on;
        match &self.callback.body {
            Some((Body::Request, _)) if F::SCANS => {
                let worker = self.proxy.worker;
                let needs = (worker.scan, worker.fingerprinter);
                bodies.read_request(needs, stream, || self.arrived(), is_last);
            }
            Some((Body::Response, range)) if F::READS_RESPONSES => {
                bodies.read_response(range.len(), || self.arrived(), is_last);
                if self.callback.has_trailers {
                    bodies.end_response(|| self.response_trailers());
                }
            }
            None if self.callback.begins_response && (F::SCANS || F::READS_RESPONSES) => {
                bodies.begin_response(stream, self.callback.protocol, || self.response_headers());
            }
            _ => {}
        }
    }

    /// Gives the filter access to what has been read.
    pub fn lend(self, bodies: &'a Bodies) -> Self {
        Self { bodies: Some(bodies), ..self }
    }

    /// Returns the API dialect, if the headers read so far determine it.
    pub fn known_dialect(&self) -> Option<Dialect> {
        let by_path = || self.request_headers.get().map(|headers| Dialect::of(&headers.path()));
        self.callback.dialect.or_else(by_path)
    }

    /// Returns true if this callback is about the request body.
    pub fn is_about_request_body(&self) -> bool {
        self.callback.body.as_ref().is_some_and(|(body, _)| *body == Body::Request)
    }

    /// Removes and returns the edits of the request body.
    pub fn take_edits(&self) -> Vec<Edit> {
        self.edits.take()
    }
}

proxy_by!(WasmExchange<'_>, proxy);

impl Exchange for WasmExchange<'_> {
    fn request_headers(&self) -> &HeaderMap {
        self.request_headers.get_or_init(|| hostcalls::headers(MapType::HttpRequestHeaders))
    }

    fn protocol(&self) -> Protocol {
        self.callback.protocol
    }

    fn dialect(&self) -> Dialect {
        self.known_dialect().unwrap_or_default()
    }

    fn set_request_header(&self, name: &str, value: &[u8]) {
        http::set_header(MapType::HttpRequestHeaders, name, value);
    }

    fn remove_request_header(&self, name: &str) {
        http::remove_header(MapType::HttpRequestHeaders, name);
    }

    fn request_goes_on(&self) -> bool {
        self.callback.goes_on
    }

    fn can_hold(&self) -> bool {
        self.proxy.worker.held.get() < self.proxy.worker.max_held
    }

    fn arrived(&self) -> &[u8] {
        self.arrived.get_or_init(|| {
            let Some((body, range)) = &self.callback.body else { return Vec::new() };
            if range.is_empty() { Vec::new() } else { http::body(*body, range.start, range.len()) }
        })
    }

    fn scan(&self) -> Option<&Scan> {
        self.bodies.and_then(Bodies::scan)
    }

    fn held(&self) -> Vec<u8> {
        let all = self.callback.body.as_ref().filter(|(_, range)| range.end > 0);
        all.map(|(body, range)| http::body(*body, 0, range.end)).unwrap_or_default()
    }

    fn replace_held(&self, bytes: &[u8]) {
        if let Some((body, _)) = &self.callback.body {
            http::replace_body(*body, bytes);
        }
    }

    fn edit_request(&self, edit: Edit) {
        self.edits.borrow_mut().push(edit);
    }

    fn can_edit_request(&self) -> bool {
        self.is_about_request_body()
    }

    fn response_headers(&self) -> &HeaderMap {
        self.response_headers.get_or_init(|| hostcalls::headers(MapType::HttpResponseHeaders))
    }

    fn response_header(&self, name: &'static str) -> Option<Vec<u8>> {
        match self.response_headers.get() {
            Some(headers) => headers.all(name.as_bytes()).next().map(<[u8]>::to_vec),
            None => http::header(MapType::HttpResponseHeaders, name),
        }
    }

    fn response_trailers(&self) -> &HeaderMap {
        self.response_trailers.get_or_init(|| match self.callback.has_trailers {
            true => hostcalls::headers(MapType::HttpResponseTrailers),
            false => HeaderMap::default(),
        })
    }

    fn response_goes_on(&self) -> bool {
        self.callback.goes_on
    }

    fn set_response_header(&self, name: &'static str, value: &str) {
        http::set_header(MapType::HttpResponseHeaders, name, value.as_bytes());
    }

    fn remove_response_header(&self, name: &'static str) {
        http::remove_header(MapType::HttpResponseHeaders, name);
    }

    fn response(&self) -> Option<&Response> {
        self.bodies.and_then(Bodies::response)
    }

    fn fact(&self, fact: Fact) -> Option<FactValue> {
        let mut facts = self.facts.borrow_mut();
        if let Some((_, known)) = facts.iter().find(|(known, _)| *known == fact) {
            return known.clone();
        }
        let path: &[&[u8]] = match fact {
            Fact::HttpVersion => &[b"request", b"protocol"],
            Fact::Cluster => &[b"xds", b"cluster_name"],
            Fact::ResponseStatus => &[b"response", b"code"],
            Fact::ResponseDetails => &[b"response", b"code_details"],
            Fact::ResponseFlags => &[b"response", b"flags"],
            Fact::Attempts => &[b"upstream", b"request_attempt_count"],
        };
        let value = hostcalls::property(path).map(FactValue);
        facts.push((fact, value.clone()));
        value
    }
}
