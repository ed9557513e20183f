//! One stream of a filter as a proxy-wasm context: what the filter says becomes what the proxy is told.
//!
//! A request that is held is paused at its headers and, should the host go on with the body all the same (it does
//! where `allow_on_headers_stop_iteration` is set), at its body and trailers too. An alarm reaches it outside of
//! its own callbacks, and then acts through the host's effective context.

use crate::exchange::WasmExchange;
use crate::hostcalls;
use crate::timer::Sleeper;
use crate::worker::Worker;
use core::cell::{Cell, RefCell};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::rc::Rc;
use tidegate_host::exchange::{Exchange, Flow, Stream};
use tidegate_policy::timestamp::Timestamp;

/// The context that the SDK owns.
pub struct HttpStream<S: Stream + 'static> {
    inner: Rc<Inner<S>>,
    buffered: usize,
}

struct Inner<S> {
    id: u32,
    filter: RefCell<S>,
    worker: Rc<Worker>,
    state: Cell<State>,
    alarm: Cell<Option<Timestamp>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    Held,
    Replied,
}

impl<S: Stream + 'static> HttpStream<S> {
    /// For the context `id`.
    pub fn new(id: u32, filter: S, worker: Rc<Worker>) -> Self {
        let inner = Inner {
            id,
            filter: RefCell::new(filter),
            worker,
            state: Cell::new(State::Flowing),
            alarm: Cell::default(),
        };
        Self { inner: Rc::new(inner), buffered: 0 }
    }

    fn ask(&self, request_goes_on: bool, question: impl FnOnce(&mut S, &dyn Exchange) -> Flow) -> Action {
        let inner = &self.inner;
        let alarm = Cell::new(inner.alarm.get());
        if let Some(flow) = inner.answer(request_goes_on, None, &alarm, question) {
            inner.follow(&flow);
            self.set_alarm(alarm.get());
        }
        inner.action()
    }

    fn set_alarm(&self, at: Option<Timestamp>) {
        let at = at.filter(|_| self.inner.state.get() != State::Replied);
        if at == self.inner.alarm.get() {
            return;
        }
        self.inner.clear_alarm();
        if let Some(at) = at {
            Rc::clone(&self.inner).sleep_until(at);
        }
    }
}

impl<S: Stream + 'static> Inner<S> {
    fn answer(
        &self,
        request_goes_on: bool,
        now: Option<Timestamp>,
        alarm: &Cell<Option<Timestamp>>,
        question: impl FnOnce(&mut S, &dyn Exchange) -> Flow,
    ) -> Option<Flow> {
        if self.state.get() == State::Replied {
            return None;
        }
        let exchange = WasmExchange::new(&self.worker, request_goes_on, now, alarm);
        Some(question(&mut *self.filter.try_borrow_mut().ok()?, &exchange))
    }

    fn follow(&self, flow: &Flow) {
        self.enter(match flow {
            Flow::Keep => self.state.get(),
            Flow::Continue => State::Flowing,
            Flow::Hold => State::Held,
            Flow::Reply(reply) => {
                hostcalls::reply(reply);
                State::Replied
            }
        });
    }

    fn enter(&self, state: State) {
        let held = &self.worker.held;
        let others = held.get().saturating_sub(usize::from(self.state.get() == State::Held));
        held.set(others.saturating_add(usize::from(state == State::Held)));
        self.state.set(state);
    }

    fn sleep_until(self: Rc<Self>, at: Timestamp) {
        let (worker, id) = (Rc::clone(&self.worker), self.id);
        self.alarm.set(Some(at));
        worker.timer.set(at, id, self);
    }

    fn clear_alarm(&self) {
        if let Some(at) = self.alarm.take() {
            self.worker.timer.clear(at, self.id);
        }
    }

    fn action(&self) -> Action {
        if self.state.get() == State::Flowing { Action::Continue } else { Action::Pause }
    }
}

impl<S: Stream + 'static> Sleeper for Inner<S> {
    fn wake(self: Rc<Self>, now: Timestamp) {
        self.alarm.set(None);
        if !hostcalls::act_for(self.id) {
            return;
        }
        let alarm = Cell::new(None);
        let was_held = self.state.get() == State::Held;
        let flow = self.answer(true, Some(now), &alarm, |filter, exchange| filter.on_alarm(exchange));
        self.follow(flow.as_ref().unwrap_or(&Flow::Keep));
        if was_held && self.state.get() == State::Flowing {
            hostcalls::resume_request();
        }
        if let Some(at) = alarm.get().filter(|_| self.state.get() != State::Replied) {
            self.sleep_until(at);
        }
    }
}

impl<S: Stream + 'static> Context for HttpStream<S> {}

impl<S: Stream + 'static> HttpContext for HttpStream<S> {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.ask(!end_of_stream, |filter, exchange| filter.on_request_headers(exchange))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let arrived = size.saturating_sub(self.buffered);
        let action =
            self.ask(!end_of_stream, |filter, exchange| match filter.on_request_body(exchange, arrived) {
                Flow::Reply(reply) => Flow::Reply(reply),
                flow if !end_of_stream => flow,
                flow => {
                    Some(filter.on_request_end(exchange)).filter(|end| *end != Flow::Keep).unwrap_or(flow)
                }
            });
        self.buffered = if action == Action::Pause { size } else { 0 };
        action
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.ask(false, |filter, exchange| filter.on_request_end(exchange))
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let no_alarm = Cell::default();
        self.inner.answer(false, None, &no_alarm, |filter, exchange| {
            filter.on_response_headers(exchange);
            Flow::Keep
        });
        Action::Continue
    }
}

impl<S: Stream + 'static> Drop for HttpStream<S> {
    fn drop(&mut self) {
        self.inner.clear_alarm();
        self.inner.enter(State::Flowing);
    }
}
