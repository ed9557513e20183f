//! A proxy made of plain values, for tests: tests set its clock, make it lose races on purpose, and inspect every
//! call made to it.

use crate::connection::Link;
use crate::headers::HeaderMap;
use crate::plugin::{Plugin, Proxy};
use crate::proxy_by;
use crate::store::Store;
use crate::task::{MAX_MESSAGE, StreamId, WorkerId, Workers};
use calls::Once;
use core::cell::{Cell, RefCell};
use core::net::IpAddr;
use std::collections::BTreeMap;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;
use worker::Post;

pub use calls::Calls;
pub use exchange::FakeExchange;
pub use store::FakeStore;
pub use worker::{FakeWorker, Made};

mod calls;
mod exchange;
mod store;
mod worker;

/// One worker of a fake proxy.
#[derive(Debug, Default)]
pub struct FakeProxy {
    /// Time on the monotonic clock, in nanoseconds.
    pub now: Cell<u64>,
    /// Wall-clock time, in nanoseconds since 1970.
    pub wall_clock: Cell<u64>,
    /// Next value of the random source.
    pub random: Cell<u64>,
    /// The store that all workers share.
    pub store: FakeStore,
    /// Remote address of its connections.
    pub peer: Option<IpAddr>,
    /// The host calls made so far, except those on the store.
    pub calls: Calls,
    /// The alarm that was set last.
    pub alarm: Cell<Option<Timestamp>>,
    /// Id of its exchanges' and connections' stream.
    pub stream: Cell<Option<StreamId>>,
    /// The earlier tick that was requested, if any.
    pub tick_by: Cell<Option<Timestamp>>,
    /// Messages in transit between workers.
    pub post: Post,
    id: Cell<Option<WorkerId>>,
    names: Vec<String>,
    counts: RefCell<BTreeMap<usize, u32>>,
    gauge_names: Vec<String>,
    gauges: RefCell<BTreeMap<usize, u64>>,
}

impl FakeProxy {
    /// Returns a worker that runs `plugin`.
    pub fn running<P: Plugin>(plugin: &P) -> Self {
        Self { names: plugin.metrics(), gauge_names: plugin.gauges(), ..Self::default() }
    }

    /// Returns another worker of the same proxy, at the same time.
    pub fn beside(&self) -> Self {
        Self {
            now: self.now.clone(),
            wall_clock: self.wall_clock.clone(),
            store: self.store.clone(),
            post: self.post.clone(),
            names: self.names.clone(),
            gauge_names: self.gauge_names.clone(),
            ..Self::default()
        }
    }

    /// Returns a new exchange whose request has these headers.
    pub fn exchange(&self, headers: &[(&str, &str)]) -> FakeExchange<'_> {
        self.exchange_of(headers.iter().copied().collect())
    }

    /// Returns a new exchange whose request has these headers, which may contain any bytes.
    pub fn exchange_of(&self, headers: HeaderMap) -> FakeExchange<'_> {
        FakeExchange::new(self, headers)
    }

    /// Returns a new connection on which nothing has arrived.
    pub fn link(&self) -> FakeLink<'_> {
        FakeLink { proxy: self, buffer: RefCell::default() }
    }

    /// Advances the clock.
    pub fn advance(&self, nanos: u64) {
        self.now.set(self.now.get().saturating_add(nanos));
    }

    /// Returns the value of the counter of this name.
    pub fn counter(&self, name: &str) -> u32 {
        let place = self.names.iter().position(|known| known == name);
        place.and_then(|place| self.counts.borrow().get(&place).copied()).unwrap_or(0)
    }

    /// Returns the value of the gauge of this name, if it was set.
    pub fn gauge(&self, name: &str) -> Option<u64> {
        let place = self.gauge_names.iter().position(|known| known == name)?;
        self.gauges.borrow().get(&place).copied()
    }
}

/// One connection, with a read buffer that the test fills.
#[derive(Debug)]
pub struct FakeLink<'a> {
    proxy: &'a FakeProxy,
    /// Contents of the read buffer.
    pub buffer: RefCell<Vec<u8>>,
}

impl Link for FakeLink<'_> {
    fn bytes(&self, offset: usize, most: usize) -> Option<Vec<u8>> {
        self.proxy.calls.make();
        let buffer = self.buffer.borrow();
        let rest = buffer.get(offset..)?;
        Some(rest.get(..most).unwrap_or(rest).to_vec())
    }
}

impl Proxy for FakeProxy {
    fn now(&self) -> Timestamp {
        self.calls.ask(Once::Now);
        Timestamp::from_nanos(self.now.get())
    }

    fn clock(&self) -> Timestamp {
        self.calls.make();
        Timestamp::from_nanos(self.now.get())
    }

    fn wall_clock(&self) -> u64 {
        self.calls.make();
        self.wall_clock.get()
    }

    fn random(&self) -> u64 {
        self.random.get()
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn fingerprinter(&self) -> Fingerprinter {
        Fingerprinter::new([0; 16])
    }

    fn peer(&self) -> Option<IpAddr> {
        self.calls.ask(Once::Peer);
        self.peer
    }

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        self.calls.make();
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(metric).or_default();
        *count = count.saturating_add(by);
    }

    fn set_gauge(&self, gauge: usize, value: u64) {
        self.calls.make();
        self.gauges.borrow_mut().insert(gauge, value);
    }

    fn stream(&self) -> Option<StreamId> {
        self.stream.get()
    }

    fn workers(&self) -> &dyn Workers {
        self
    }
}

impl Workers for FakeProxy {
    fn id(&self) -> Option<WorkerId> {
        if self.id.get().is_none() {
            self.calls.make();
            self.calls.make();
            self.id.set(Some(self.post.new_worker()));
        }
        self.id.get()
    }

    fn wake(&self, worker: WorkerId, message: &[u8]) -> bool {
        if message.len() > MAX_MESSAGE {
            return false;
        }
        self.calls.make();
        self.post.send(worker, message)
    }

    fn tick_by(&self, at: Timestamp) {
        self.tick_by.set(Some(self.tick_by.get().map_or(at, |before| before.min(at))));
    }
}

proxy_by!(FakeExchange<'_>, proxy);
proxy_by!(FakeLink<'_>, proxy);
