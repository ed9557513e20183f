//! One downstream connection of a network filter as a proxy-wasm context. The proxy's codec always gets its bytes:
//! what is shown twice is only then shown as the filter expects it. An alarm acts through the host's effective
//! context, as for [`crate::stream`].

use crate::hostcalls::{self, SharedData};
use crate::timer::Sleeper;
use crate::worker::Worker;
use core::cell::{Cell, OnceCell, RefCell};
use core::net::IpAddr;
use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::Action;
use std::rc::Rc;
use tidegate_host::connection::{Connection, Fate, Link};
use tidegate_host::plugin::Proxy;
use tidegate_host::store::Store;
use tidegate_policy::fingerprint::Fingerprinter;
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
    worker: &'a Worker,
    now: OnceCell<Timestamp>,
    alarm: &'a Cell<Option<Timestamp>>,
}

impl<C: Connection + 'static> NetworkStream<C> {
    /// For the context `id`.
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
        let link = WasmLink {
            worker: &self.worker,
            now: now.map_or_else(OnceCell::new, OnceCell::from),
            alarm: &alarm,
        };
        let fate = self.guard.try_borrow_mut().map_or(Fate::Keep, |mut guard| question(&mut guard, &link));
        if fate == Fate::Close {
            self.closed.set(true);
            hostcalls::close_downstream();
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

impl Proxy for WasmLink<'_> {
    fn now(&self) -> Timestamp {
        *self.now.get_or_init(hostcalls::now)
    }

    fn clock(&self) -> Timestamp {
        hostcalls::now()
    }

    fn random(&self) -> u64 {
        self.worker.random()
    }

    fn store(&self) -> &dyn Store {
        &SharedData
    }

    fn fingerprinter(&self) -> Fingerprinter {
        self.worker.fingerprinter
    }

    fn peer(&self) -> Option<IpAddr> {
        hostcalls::peer()
    }

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        self.worker.count(metric, by);
    }

    fn set_gauge(&self, gauge: usize, value: u64) {
        self.worker.set_gauge(gauge, value);
    }
}

impl Link for WasmLink<'_> {
    fn bytes(&self, offset: usize, most: usize) -> Option<Vec<u8>> {
        Some(hostcalls::downstream_data(offset, most))
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
        let link = WasmLink { worker: &self.inner.worker, now: OnceCell::new(), alarm: &Cell::default() };
        if let Ok(mut guard) = self.inner.guard.try_borrow_mut() {
            guard.on_close(&link);
        }
        self.inner.sleep_until(None);
    }
}
