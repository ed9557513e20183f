//! The questions that any plugin may ask, on Envoy, during one callback. Each fact is read from the host when it is
//! first needed.

use crate::hostcalls::{self, SharedData};
use crate::worker::Worker;
use core::cell::{Cell, OnceCell};
use core::net::IpAddr;
use std::rc::Rc;
use tidegate_host::plugin::Proxy;
use tidegate_host::store::Store;
use tidegate_host::task::{Alone, StreamId, Workers};
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

/// One worker during one callback.
pub struct WasmProxy<'a> {
    /// The worker.
    pub worker: &'a Worker,
    stream: Option<StreamId>,
    alarm: &'a Cell<Option<Timestamp>>,
    now: OnceCell<Timestamp>,
    peer: OnceCell<Option<IpAddr>>,
    workers: OnceCell<Option<Rc<dyn Workers>>>,
}

impl<'a> WasmProxy<'a> {
    /// Creates the view of `worker` for a stream, or for none. `alarm` contains the alarm that is set, `now` the time
    /// at which the callback began, if it is known.
    pub fn new(
        worker: &'a Worker,
        stream: Option<StreamId>,
        alarm: &'a Cell<Option<Timestamp>>,
        now: Option<Timestamp>,
    ) -> Self {
        let now = now.map_or_else(OnceCell::new, OnceCell::from);
        Self { worker, stream, alarm, now, peer: OnceCell::new(), workers: OnceCell::new() }
    }
}

impl Proxy for WasmProxy<'_> {
    fn now(&self) -> Timestamp {
        *self.now.get_or_init(hostcalls::now)
    }

    fn clock(&self) -> Timestamp {
        hostcalls::now()
    }

    fn wall_clock(&self) -> u64 {
        hostcalls::wall_clock()
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
        *self.peer.get_or_init(|| self.stream.and_then(|_| hostcalls::peer()))
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

    fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    fn workers(&self) -> &dyn Workers {
        self.workers.get_or_init(|| self.worker.workers()).as_deref().unwrap_or(&Alone)
    }
}
