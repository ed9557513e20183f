//! One stream of a filter as a proxy-wasm context: translates the filter's verdicts into host calls and callback
//! results.
//!
//! A held request is paused at its headers. With `allow_on_headers_stop_iteration` Envoy still delivers body and
//! trailers, so those callbacks pause as well. Responses work the same way. An alarm fires outside of the stream's
//! own callbacks, and acts through the host's effective context.
//!
//! Filters never see the bytes of a tunnel: they see the handshake as a request without a body, and nothing after the
//! upstream has opened the tunnel.

use crate::exchange::{Callback, WasmExchange};
use crate::hostcalls;
use crate::hostcalls::http::{self, Body};
use crate::timer::Sleeper;
use crate::worker::Worker;
use core::cell::{Cell, RefCell};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};
use std::rc::Rc;
use tidegate_host::bodies::Bodies;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stream};
use tidegate_host::protocol::Protocol;
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_host::task::StreamId;
use tidegate_host::tunnel::Tunnel;
use tidegate_policy::api::Dialect;
use tidegate_policy::rewrite;
use tidegate_policy::timestamp::Timestamp;

const CONTENT_LENGTH: &str = "content-length";

/// The context that the SDK owns.
pub struct HttpStream<F: Filter + 'static> {
    inner: Rc<Inner<F>>,
}

struct Inner<F: Filter> {
    id: u32,
    filter: RefCell<F::Stream>,
    worker: Rc<Worker>,
    protocol: Cell<Protocol>,
    dialect: Cell<Option<Dialect>>,
    tunnel: Cell<Tunnel>,
    request: Direction,
    response: Direction,
    replied: Cell<bool>,
    alarm: Cell<Option<Timestamp>>,
    bodies: RefCell<Bodies>,
}

/// The state of a request or response at the host.
#[derive(Default)]
struct Direction {
    held: Cell<bool>,
    /// Bytes of the body that the host buffers, which it counts again in the next callback of that body.
    held_back: Cell<usize>,
}

impl<F: Filter + 'static> HttpStream<F> {
    /// Creates the context `id`.
    pub fn new(id: u32, filter: F::Stream, worker: Rc<Worker>) -> Self {
        let inner = Inner {
            id,
            filter: RefCell::new(filter),
            worker,
            protocol: Cell::default(),
            dialect: Cell::default(),
            tunnel: Cell::default(),
            request: Direction::default(),
            response: Direction::default(),
            replied: Cell::default(),
            alarm: Cell::default(),
            bodies: RefCell::default(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// Handles a body callback. `size` counts the bytes that the host buffers, including those buffered before.
    fn body(
        &self,
        body: Body,
        size: usize,
        end: bool,
        arrive: impl FnOnce(&mut F::Stream, &dyn Exchange, usize) -> Flow,
        finish: impl FnOnce(&mut F::Stream, &dyn Exchange) -> Flow,
    ) -> Action {
        if self.inner.flows_through_tunnel(body) {
            return self.inner.action(body);
        }
        let held_back = &self.inner.direction(body).held_back;
        let arrived = size.saturating_sub(held_back.get());
        let range = size.saturating_sub(arrived)..size;
        let callback = Callback { goes_on: !end, body: Some((body, range)), ..Callback::default() };
        let action =
            self.inner.ask(body, callback, |filter, exchange| match arrive(filter, exchange, arrived) {
                Flow::Reply(reply) => Flow::Reply(reply),
                flow if !end => flow,
                flow => Some(finish(filter, exchange)).filter(|end| *end != Flow::Keep).unwrap_or(flow),
            });
        held_back.set(if action == Action::Pause { size } else { 0 });
        action
    }

    fn trailers(&self, body: Body, finish: impl FnOnce(&mut F::Stream, &dyn Exchange) -> Flow) -> Action {
        if self.inner.flows_through_tunnel(body) {
            return self.inner.action(body);
        }
        let held_back = self.inner.direction(body).held_back.get();
        let body_so_far = Some((body, held_back..held_back));
        let callback = Callback { body: body_so_far, has_trailers: true, ..Callback::default() };
        self.inner.ask(body, callback, finish)
    }
}

impl<F: Filter + 'static> Inner<F> {
    fn ask(
        self: &Rc<Self>,
        side: Body,
        callback: Callback,
        question: impl FnOnce(&mut F::Stream, &dyn Exchange) -> Flow,
    ) -> Action {
        let alarm = Cell::new(self.alarm.get());
        let (protocol, dialect) = (self.protocol.get(), self.dialect.get());
        let callback = Callback { stream: Some(StreamId(self.id)), protocol, dialect, ..callback };
        let exchange = WasmExchange::new(&self.worker, callback, &alarm);
        if !self.replied.get()
            && let Ok(mut filter) = self.filter.try_borrow_mut()
            && let Ok(mut bodies) = self.bodies.try_borrow_mut()
        {
            exchange.read::<F>(&mut bodies, &mut *filter);
            let exchange = exchange.lend(&bodies);
            let flow = question(&mut filter, &exchange);
            self.dialect.set(exchange.known_dialect());
            let flow = if F::REWRITES { self.change(&exchange, flow) } else { flow };
            if let Flow::HoldUntil(at) = flow {
                alarm.set(Some(at));
            }
            self.follow(side, &flow);
            self.sleep_until(alarm.get().filter(|_| !self.replied.get()));
            if F::READS_RESPONSES {
                bodies.narrow(&*filter);
            }
        }
        self.action(side)
    }

    fn action(&self, side: Body) -> Action {
        let replied = side == Body::Request && self.replied.get();
        if replied || self.direction(side).held.get() { Action::Pause } else { Action::Continue }
    }

    const fn direction(&self, side: Body) -> &Direction {
        match side {
            Body::Request => &self.request,
            Body::Response => &self.response,
        }
    }

    /// Returns true if bytes in this direction belong to a tunnel and not to a body. A refused handshake has an
    /// ordinary response.
    fn flows_through_tunnel(&self, side: Body) -> bool {
        match side {
            Body::Request => self.tunnel.get().is_any(),
            Body::Response => self.tunnel.get().is_open(),
        }
    }

    /// Applies the filters' edits at the end of a request body. A request whose edits cannot be applied must not be
    /// sent upstream unchanged.
    fn change(&self, exchange: &WasmExchange<'_>, flow: Flow) -> Flow {
        let mut edits = exchange.take_edits();
        if edits.is_empty() || matches!(flow, Flow::Reply(_)) {
            return flow;
        }
        let Some(body) = rewrite::apply(&exchange.held(), &mut edits) else {
            return Flow::Reply(unchangeable());
        };
        exchange.replace_held(&body);
        if http::has_header(MapType::HttpRequestHeaders, CONTENT_LENGTH) {
            exchange.set_request_header(CONTENT_LENGTH, body.len().to_string().as_bytes());
        }
        flow
    }

    fn follow(&self, side: Body, flow: &Flow) {
        match flow {
            Flow::Keep => {}
            Flow::Continue => self.hold(side, false),
            Flow::Hold | Flow::HoldUntil(_) => self.hold(side, true),
            Flow::Reply(reply) => {
                self.hold(Body::Request, false);
                self.hold(Body::Response, false);
                self.replied.set(true);
                http::reply(&reply.for_asker(self.protocol.get(), self.dialect.get().unwrap_or_default()));
            }
        }
    }

    fn hold(&self, side: Body, hold: bool) {
        let before = self.direction(side).held.replace(hold);
        if side == Body::Request {
            let held = &self.worker.held;
            let others = held.get().saturating_sub(usize::from(before));
            held.set(others.saturating_add(usize::from(hold)));
        }
    }

    /// Resumes a paused request or response outside of its own callbacks, with the bytes that the host buffers.
    fn resume(&self, side: Body) {
        self.direction(side).held_back.set(0);
        http::resume(side);
    }

    fn sleep_until(self: &Rc<Self>, at: Option<Timestamp>) {
        if !F::SETS_ALARMS || at == self.alarm.get() {
            return;
        }
        if let Some(before) = self.alarm.replace(at) {
            self.worker.timer.clear(before, self.id);
        }
        if let Some(at) = at {
            self.worker.timer.set(at, self.id, Rc::<Self>::clone(self));
        }
    }
}

impl<F: Filter + 'static> Inner<F> {
    /// Calls the filter outside of the stream's own callbacks, and resumes what it no longer holds.
    fn ask_apart(
        self: &Rc<Self>,
        now: Timestamp,
        question: impl FnOnce(&mut F::Stream, &dyn Exchange) -> Flow,
    ) {
        if !hostcalls::act_for(self.id) {
            return;
        }
        let held = [Body::Response, Body::Request].map(|side| (side, self.direction(side).held.get()));
        let side = if self.response.held.get() { Body::Response } else { Body::Request };
        let callback = Callback { now: Some(now), goes_on: true, ..Callback::default() };
        self.ask(side, callback, question);
        if self.replied.get() {
            return;
        }
        for (side, was_held) in held {
            if was_held && !self.direction(side).held.get() {
                self.resume(side);
            }
        }
    }
}

impl<F: Filter + 'static> Sleeper for Inner<F> {
    fn wake(self: Rc<Self>, now: Timestamp) {
        self.alarm.set(None);
        self.ask_apart(now, |filter, exchange| filter.on_alarm(exchange));
    }

    fn ring(self: Rc<Self>, now: Timestamp) {
        if F::HAS_TASK {
            self.ask_apart(now, |filter, exchange| filter.on_ring(exchange));
        }
    }
}

fn unchangeable() -> Reply {
    let error = ErrorObject {
        message: "The request could not be changed as it has to be.",
        kind: "server_error",
        param: None,
        code: "request_not_changed",
    };
    Reply::error(500, error, "tidegate.request_not_changed".to_owned()).never_retry()
}

impl<F: Filter + 'static> Context for HttpStream<F> where F::Stream: 'static {}

impl<F: Filter + 'static> HttpContext for HttpStream<F> {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let headers = (!end).then(|| hostcalls::headers(MapType::HttpRequestHeaders));
        if let Some(headers) = &headers {
            self.inner.protocol.set(Protocol::of(headers));
            self.inner.tunnel.set(Tunnel::of(headers));
        }
        let callback = Callback {
            goes_on: !end && !self.inner.tunnel.get().is_any(),
            headers: headers.map(|headers| (Body::Request, headers)),
            ..Callback::default()
        };
        self.inner.ask(Body::Request, callback, |filter, exchange| filter.on_request_headers(exchange))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.body(Body::Request, size, end, F::Stream::on_request_body, F::Stream::on_request_end)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.trailers(Body::Request, F::Stream::on_request_end)
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let tunnel = &self.inner.tunnel;
        let headers = tunnel.get().is_any().then(|| hostcalls::headers(MapType::HttpResponseHeaders));
        if let Some(headers) = &headers {
            tunnel.set(tunnel.get().answered(headers));
        }
        let headers = headers.map(|headers| (Body::Response, headers));
        let callback = Callback { goes_on: !end, begins_response: true, headers, ..Callback::default() };
        let ask = |filter: &mut F::Stream, exchange: &dyn Exchange| filter.on_response_headers(exchange);
        let action = self.inner.ask(Body::Response, callback, ask);
        if !tunnel.get().is_open() {
            return action;
        }
        self.inner.hold(Body::Response, false);
        self.inner.action(Body::Response)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.body(Body::Response, size, end, F::Stream::on_response_body, F::Stream::on_response_end)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.trailers(Body::Response, F::Stream::on_response_end)
    }
}

impl<F: Filter + 'static> Drop for HttpStream<F> {
    fn drop(&mut self) {
        let no_alarm = Cell::default();
        let inner = &self.inner;
        let stream = Some(StreamId(inner.id));
        let callback = Callback { stream, protocol: inner.protocol.get(), ..Callback::default() };
        let exchange = WasmExchange::new(&inner.worker, callback, &no_alarm);
        if let (Ok(mut filter), Ok(bodies)) = (inner.filter.try_borrow_mut(), inner.bodies.try_borrow()) {
            filter.on_gone(&exchange.lend(&bodies));
        }
        inner.sleep_until(None);
        inner.hold(Body::Request, false);
    }
}
