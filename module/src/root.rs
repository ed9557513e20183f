//! Turns a filter into proxy-wasm contexts, once for all filters. The state of a worker lives here and not in
//! statics, which all plugins of a VM share.
//!
//! A held request is paused at its headers and, should the host go on with the body all the same (it does where
//! `allow_on_headers_stop_iteration` is set), at its body and trailers too.

use crate::exchange::{WasmExchange, Worker};
use crate::hostcalls;
use crate::timer::Timer;
use core::cell::Cell;
use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;
use tidegate_host::exchange::{Filter, Flow, Stream};
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

/// One plugin on one worker.
pub struct Root<F> {
    configured: Option<(F, Rc<Worker>)>,
}

impl<F> Default for Root<F> {
    fn default() -> Self {
        Self { configured: None }
    }
}

impl<F: Filter> Root<F> {
    fn configure(&mut self, document: &[u8]) -> Result<(), String> {
        let filter = F::configure(document).map_err(|error| error.to_string())?;
        let key = hostcalls::hash_key().ok_or("the host gives no random bytes or keeps no shared data")?;
        let worker = Worker {
            timer: Timer::default(),
            max_held: filter.max_held(),
            fingerprinter: Fingerprinter::new(key),
            metrics: filter.metrics().iter().map(|name| hostcalls::define_counter(name)).collect(),
            random: Cell::new(hostcalls::random_seed()),
        };
        self.configured = Some((filter, Rc::new(worker)));
        Ok(())
    }
}

impl<F: Filter> Context for Root<F> {}

impl<F: Filter + 'static> RootContext for Root<F>
where
    F::Stream: 'static,
{
    fn on_configure(&mut self, size: usize) -> bool {
        let configured = self.configure(&hostcalls::configuration(size));
        if let Err(reason) = &configured {
            error!("{} configuration refused: {reason}", F::ROOT_ID);
        }
        configured.is_ok()
    }

    fn on_tick(&mut self) {
        if let Some((_, worker)) = &self.configured {
            worker.timer.release(hostcalls::now());
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let (filter, worker) = self.configured.as_ref()?;
        let worker = Rc::clone(worker);
        Some(Box::new(HttpStream { id, filter: filter.stream(), worker, state: State::Flowing }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    Held(Timestamp),
    Replied,
}

struct HttpStream<S> {
    id: u32,
    filter: S,
    worker: Rc<Worker>,
    state: State,
}

impl<S> HttpStream<S> {
    fn action(&self) -> Action {
        match self.state {
            State::Flowing => Action::Continue,
            State::Held(due) if !self.worker.timer.holds(self.id, due) => Action::Continue,
            State::Held(_) | State::Replied => Action::Pause,
        }
    }
}

impl<S> Context for HttpStream<S> {}

impl<S: Stream> HttpContext for HttpStream<S> {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let exchange = WasmExchange::new(&self.worker);
        match self.filter.on_request_headers(&exchange) {
            Flow::Continue => {}
            Flow::Hold(due) => {
                self.worker.timer.hold(self.id, due, hostcalls::now());
                self.state = State::Held(due);
            }
            Flow::Reply(reply) => {
                hostcalls::reply(&reply);
                self.state = State::Replied;
            }
        }
        self.action()
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.action()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.action()
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.state != State::Replied {
            self.filter.on_response_headers(&WasmExchange::new(&self.worker));
        }
        Action::Continue
    }
}

impl<S> Drop for HttpStream<S> {
    fn drop(&mut self) {
        if let State::Held(due) = self.state {
            self.worker.timer.forget(self.id, due);
        }
    }
}
