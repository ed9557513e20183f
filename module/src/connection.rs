//! One downstream connection of a network filter as a proxy-wasm context. Bytes are never withheld from Envoy's
//! codec. Envoy may show the same bytes twice; the filter skips those it has already read. An alarm acts through the
//! host's effective context, as in [`crate::stream`].

use crate::hostcalls::{self, network};
use crate::proxy::WasmProxy;
use crate::timer::Sleeper;
use crate::worker::Worker;
use core::cell::{Cell, RefCell};
use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::Action;
use std::rc::Rc;
use tidegate_host::connection::{Connection, Fate, Link};
use tidegate_host::proxy_by;
use tidegate_host::task::StreamId;
use tidegate_policy::timestamp::Timestamp;

/// The context that the SDK owns.
pub struct NetworkStream<C: Connection + 'static> {
    inner: Rc<Inner<C>>,
}

struct Inner<C> {
    id: u32,
    guard: RefCell<C>,
    worker: Rc<Worker>,
    closed: Cell<bool>,
    alarm: Cell<Option<Timestamp>>,
}

struct WasmLink<'a> {
    proxy: WasmProxy<'a>,
}

impl<C: Connection + 'static> NetworkStream<C> {
    /// Creates the context `id`.
    pub fn new(id: u32, guard: C, worker: Rc<Worker>) -> Self {
        let guard = RefCell::new(guard);
        Self { inner: Rc::new(Inner { id, guard, worker, closed: Cell::default(), alarm: Cell::default() }) }
    }
}

impl<C: Connection + 'static> Inner<C> {
    fn ask(
        self: &Rc<Self>,
        now: Option<Timestamp>,
        question: impl FnOnce(&mut C, &dyn Link) -> Fate,
    ) -> Action {
        if self.closed.get() {
            return Action::Pause;
        }
        let alarm = Cell::new(self.alarm.get());
        let link = WasmLink { proxy: WasmProxy::new(&self.worker, Some(StreamId(self.id)), &alarm, now) };
        let fate = self.guard.try_borrow_mut().map_or(Fate::Keep, |mut guard| question(&mut guard, &link));
        if fate == Fate::Close {
            self.closed.set(true);
            network::close_downstream();
        }
        self.sleep_until(alarm.get().filter(|_| fate == Fate::Keep));
        if fate == Fate::Keep { Action::Continue } else { Action::Pause }
    }

    fn sleep_until(self: &Rc<Self>, at: Option<Timestamp>) {
        if at == self.alarm.get() {
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

proxy_by!(WasmLink<'_>, proxy);

impl Link for WasmLink<'_> {
    fn bytes(&self, offset: usize, most: usize) -> Option<Vec<u8>> {
        Some(network::downstream_data(offset, most))
    }
}

impl<C: Connection + 'static> Sleeper for Inner<C> {
    fn wake(self: Rc<Self>, now: Timestamp) {
        self.alarm.set(None);
        if hostcalls::act_for(self.id) {
            self.ask(Some(now), |guard, link| guard.on_alarm(link));
        }
    }
}

impl<C: Connection + 'static> Context for NetworkStream<C> {}

impl<C: Connection + 'static> StreamContext for NetworkStream<C> {
    fn on_new_connection(&mut self) -> Action {
        self.inner.ask(None, |guard, link| guard.on_open(link))
    }

    fn on_downstream_data(&mut self, length: usize, _: bool) -> Action {
        self.inner.ask(None, |guard, link| guard.on_data(link, length))
    }
}

impl<C: Connection + 'static> Drop for NetworkStream<C> {
    fn drop(&mut self) {
        let no_alarm = Cell::default();
        let link = WasmLink {
            proxy: WasmProxy::new(&self.inner.worker, Some(StreamId(self.inner.id)), &no_alarm, None),
        };
        if let Ok(mut guard) = self.inner.guard.try_borrow_mut() {
            guard.on_close(&link);
        }
        self.inner.sleep_until(None);
    }
}
