//! The port that a filter sees, on Envoy: every fact is asked of the host when it is first needed, and once a callback.

use crate::hostcalls::{self, SharedData};
use crate::timer::Timer;
use core::cell::{Cell, OnceCell};
use core::net::IpAddr;
use tidegate_host::exchange::Exchange;
use tidegate_host::headers::HeaderMap;
use tidegate_host::store::Store;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

/// What all streams of one worker have in common.
pub struct Worker {
    /// Its alarms.
    pub timer: Timer,
    /// How many requests it holds.
    pub held: Cell<usize>,
    /// How many it may hold.
    pub max_held: usize,
    /// How names become keys.
    pub fingerprinter: Fingerprinter,
    /// Its counters, in the order of the filter's list.
    pub metrics: Vec<Option<u32>>,
    /// Where its random numbers come from.
    pub random: Cell<u64>,
}

/// One exchange during one callback.
pub struct WasmExchange<'a> {
    worker: &'a Worker,
    request_goes_on: bool,
    now: Option<Timestamp>,
    alarm: &'a Cell<Option<Timestamp>>,
    headers: OnceCell<HeaderMap>,
    peer: OnceCell<Option<IpAddr>>,
}

impl<'a> WasmExchange<'a> {
    /// On this worker; `now` if it is known, and `alarm` for the alarm that is set.
    pub const fn new(
        worker: &'a Worker,
        request_goes_on: bool,
        now: Option<Timestamp>,
        alarm: &'a Cell<Option<Timestamp>>,
    ) -> Self {
        Self { worker, request_goes_on, now, alarm, headers: OnceCell::new(), peer: OnceCell::new() }
    }
}

impl Exchange for WasmExchange<'_> {
    fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(hostcalls::now)
    }

    fn random(&self) -> u64 {
        let mut random = fastrand::Rng::with_seed(self.worker.random.get());
        let bits = random.u64(..);
        self.worker.random.set(random.get_seed());
        bits
    }

    fn store(&self) -> &dyn Store {
        &SharedData
    }

    fn fingerprinter(&self) -> Fingerprinter {
        self.worker.fingerprinter
    }

    fn request_headers(&self) -> &HeaderMap {
        self.headers.get_or_init(hostcalls::request_headers)
    }

    fn peer(&self) -> Option<IpAddr> {
        *self.peer.get_or_init(hostcalls::peer)
    }

    fn request_goes_on(&self) -> bool {
        self.request_goes_on
    }

    fn can_hold(&self) -> bool {
        self.worker.held.get() < self.worker.max_held
    }

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        if let Some(id) = self.worker.metrics.get(metric).copied().flatten() {
            hostcalls::count(id, by);
        }
    }

    fn set_response_header(&self, name: &str, value: &str) {
        hostcalls::set_response_header(name, value);
    }
}
