//! A proxy made of plain values, for tests: its clock is set, its races are lost on purpose, and everything it
//! is told is kept.

use crate::connection::Link;
use crate::exchange::Exchange;
use crate::headers::HeaderMap;
use crate::plugin::{Plugin, Proxy};
use crate::store::{Store, Version};
use core::cell::{Cell, RefCell};
use core::net::IpAddr;
use std::collections::BTreeMap;
use tidegate_policy::fingerprint::Fingerprinter;
use tidegate_policy::timestamp::Timestamp;

type Entry = (Vec<u8>, u32);

/// A store in one map.
#[derive(Debug, Default)]
pub struct FakeStore {
    entries: RefCell<BTreeMap<Vec<u8>, Entry>>,
    writes: Cell<u32>,
    rival: RefCell<Option<Rival>>,
    loads: Cell<u32>,
    swaps: Cell<u32>,
}

#[derive(Debug)]
struct Rival {
    key: Vec<u8>,
    times: usize,
    value: Vec<u8>,
}

impl FakeStore {
    /// The next `times` swaps of `key` lose: a rival writes `value` there just before.
    pub fn lose_swap_of(&self, key: &[u8], times: usize, value: &[u8]) {
        *self.rival.borrow_mut() = Some(Rival { key: key.to_vec(), times, value: value.to_vec() });
    }

    /// How often it was read.
    pub fn loads(&self) -> u32 {
        self.loads.get()
    }

    /// How often a write was tried.
    pub fn swaps(&self) -> u32 {
        self.swaps.get()
    }

    /// The bytes of an entry; none if it is absent.
    pub fn load_entry(&self, key: &[u8]) -> Vec<u8> {
        self.entries.borrow().get(key).map(|(value, _)| value.clone()).unwrap_or_default()
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        self.entries.borrow().len()
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        self.writes.set(self.writes.get().wrapping_add(1));
        self.entries.borrow_mut().insert(key.to_vec(), (value.to_vec(), self.writes.get()));
    }
}

impl Store for FakeStore {
    fn load(&self, key: &[u8]) -> Option<(Vec<u8>, Version)> {
        self.loads.set(self.loads.get().wrapping_add(1));
        self.entries.borrow().get(key).map(|(value, version)| (value.clone(), Version(*version)))
    }

    fn swap(&self, key: &[u8], value: &[u8], expected: Option<Version>) -> bool {
        self.swaps.set(self.swaps.get().wrapping_add(1));
        if let Some(rival) = self.rival.borrow_mut().as_mut().filter(|rival| rival.key == key)
            && let Some(left) = rival.times.checked_sub(1)
        {
            rival.times = left;
            self.write(key, &rival.value);
            return false;
        }
        let found = self.entries.borrow().get(key).map(|(_, version)| Version(*version));
        if found == expected {
            self.write(key, value);
        }
        found == expected
    }
}

/// One worker of a proxy.
#[derive(Debug, Default)]
pub struct FakeProxy {
    /// What its clock says.
    pub now: Cell<u64>,
    /// What its random source says next.
    pub random: Cell<u64>,
    /// What all workers share.
    pub store: FakeStore,
    /// The other end of its connections.
    pub peer: Option<IpAddr>,
    /// Whether no request can be held.
    pub cannot_hold: bool,
    /// The alarm that was set last.
    pub alarm: Cell<Option<Timestamp>>,
    names: Vec<String>,
    counts: RefCell<BTreeMap<usize, u32>>,
}

impl FakeProxy {
    /// One that runs `plugin`.
    pub fn running<P: Plugin>(plugin: &P) -> Self {
        Self { names: plugin.metrics(), ..Self::default() }
    }

    /// A new exchange that starts with these headers.
    pub fn exchange(&self, headers: &[(&str, &str)]) -> FakeExchange<'_> {
        self.exchange_of(headers.iter().copied().collect())
    }

    /// A new exchange that starts with these headers, whatever their bytes.
    pub fn exchange_of(&self, headers: HeaderMap) -> FakeExchange<'_> {
        FakeExchange { proxy: self, headers, response: RefCell::default(), request_goes_on: Cell::default() }
    }

    /// A new connection of which nothing has come.
    pub fn link(&self) -> FakeLink<'_> {
        FakeLink { proxy: self, buffer: RefCell::default() }
    }

    /// Lets time pass.
    pub fn advance(&self, nanos: u64) {
        self.now.set(self.now.get().saturating_add(nanos));
    }

    /// The counter of this name.
    pub fn counter(&self, name: &str) -> u32 {
        let place = self.names.iter().position(|known| known == name);
        place.and_then(|place| self.counts.borrow().get(&place).copied()).unwrap_or(0)
    }
}

/// One exchange.
#[derive(Debug)]
pub struct FakeExchange<'a> {
    proxy: &'a FakeProxy,
    headers: HeaderMap,
    response: RefCell<BTreeMap<String, String>>,
    /// Whether more of its request is to come.
    pub request_goes_on: Cell<bool>,
}

impl FakeExchange<'_> {
    /// A header that was set on the response.
    pub fn response_header(&self, name: &str) -> Option<String> {
        self.response.borrow().get(name).cloned()
    }
}

/// One connection, whose read buffer is what was put there.
#[derive(Debug)]
pub struct FakeLink<'a> {
    proxy: &'a FakeProxy,
    /// What lies in the read buffer.
    pub buffer: RefCell<Vec<u8>>,
}

impl Link for FakeLink<'_> {
    fn bytes(&self, offset: usize, most: usize) -> Option<Vec<u8>> {
        let buffer = self.buffer.borrow();
        let rest = buffer.get(offset..)?;
        Some(rest.get(..most).unwrap_or(rest).to_vec())
    }
}

impl Exchange for FakeExchange<'_> {
    fn request_headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn request_goes_on(&self) -> bool {
        self.request_goes_on.get()
    }

    fn can_hold(&self) -> bool {
        !self.proxy.cannot_hold
    }

    fn set_response_header(&self, name: &str, value: &str) {
        self.response.borrow_mut().insert(name.to_owned(), value.to_owned());
    }
}

impl Proxy for FakeProxy {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now.get())
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
        self.peer
    }

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(metric).or_default();
        *count = count.saturating_add(by);
    }
}

/// What is looked at lies on a worker, which answers for it.
macro_rules! on_its_proxy {
    ($type:ident) => {
        impl Proxy for $type<'_> {
            fn now(&self) -> Timestamp {
                self.proxy.now()
            }

            fn random(&self) -> u64 {
                self.proxy.random()
            }

            fn store(&self) -> &dyn Store {
                self.proxy.store()
            }

            fn fingerprinter(&self) -> Fingerprinter {
                self.proxy.fingerprinter()
            }

            fn peer(&self) -> Option<IpAddr> {
                self.proxy.peer()
            }

            fn set_alarm(&self, at: Option<Timestamp>) {
                self.proxy.set_alarm(at);
            }

            fn count(&self, metric: usize, by: u32) {
                self.proxy.count(metric, by);
            }
        }
    };
}

on_its_proxy!(FakeExchange);
on_its_proxy!(FakeLink);
