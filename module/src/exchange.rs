//! The port that a filter sees, on Envoy: every fact is asked of the host when it is first needed, and once a callback.

use crate::hostcalls::{self, SharedData};
use crate::worker::Worker;
use core::cell::{Cell, OnceCell};
use core::net::IpAddr;
use tidegate_host::exchange::Exchange;
use tidegate_host::headers::HeaderMap;
use tidegate_host::plugin::Proxy;
use tidegate_host::store::Store;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

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

impl Proxy for WasmExchange<'_> {
    fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(hostcalls::now)
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
        *self.peer.get_or_init(hostcalls::peer)
    }

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        self.worker.count(metric, by);
    }
}

impl Exchange for WasmExchange<'_> {
    fn request_headers(&self) -> &HeaderMap {
        self.headers.get_or_init(hostcalls::request_headers)
    }

    fn request_goes_on(&self) -> bool {
        self.request_goes_on
    }

    fn can_hold(&self) -> bool {
        self.worker.held.get() < self.worker.max_held
    }

    fn set_response_header(&self, name: &str, value: &str) {
        hostcalls::set_response_header(name, value);
    }
}
