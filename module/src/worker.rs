//! The state that all streams of one plugin on one worker share.

use crate::hostcalls;
use crate::timer::Timer;
use core::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};
#[cfg(feature = "http")]
use tidegate_host::scan::ScanNeeds;
use tidegate_host::task::Workers;
use tidegate_policy::fingerprint::Fingerprinter;

/// One worker.
pub struct Worker {
    /// The alarms of its streams.
    pub timer: Timer,
    /// Number of requests that it holds.
    #[cfg(feature = "http")]
    pub held: Cell<usize>,
    /// Maximum number of requests that it may hold.
    #[cfg(feature = "http")]
    pub max_held: usize,
    /// The facts to scan request bodies for.
    #[cfg(feature = "http")]
    pub scan: Option<ScanNeeds>,
    /// The hasher that turns names into store keys.
    pub fingerprinter: Fingerprinter,
    counters: Vec<Option<u32>>,
    gauges: Vec<Option<u32>>,
    random: Cell<u64>,
    /// The task owns the worker, so the worker has only a weak reference to it.
    workers: OnceCell<Weak<dyn Workers>>,
}

impl Worker {
    /// Creates a worker with these counters and gauges. The error is for the operator.
    pub fn new(counters: &[String], gauges: &[String]) -> Result<Self, String> {
        let key = hostcalls::hash_key().ok_or("the host gives no random bytes or keeps no shared data")?;
        Ok(Self {
            timer: Timer::default(),
            #[cfg(feature = "http")]
            held: Cell::default(),
            #[cfg(feature = "http")]
            max_held: 0,
            #[cfg(feature = "http")]
            scan: None,
            fingerprinter: Fingerprinter::new(key),
            counters: counters.iter().map(|name| hostcalls::define_counter(name)).collect(),
            gauges: gauges.iter().map(|name| hostcalls::define_gauge(name)).collect(),
            random: Cell::new(hostcalls::random_seed()),
            workers: OnceCell::new(),
        })
    }

    /// Gives the worker's streams access to other workers.
    pub fn join(&self, workers: Weak<dyn Workers>) {
        let _ = self.workers.set(workers);
    }

    /// Returns the other workers, if there is a task that they can reach.
    pub fn workers(&self) -> Option<Rc<dyn Workers>> {
        self.workers.get()?.upgrade()
    }

    /// Returns 64 random bits.
    pub fn random(&self) -> u64 {
        let mut random = fastrand::Rng::with_seed(self.random.get());
        let bits = random.u64(..);
        self.random.set(random.get_seed());
        bits
    }

    /// Adds `by` to the counter at this index of the list.
    pub fn count(&self, metric: usize, by: u32) {
        if let Some(id) = self.counters.get(metric).copied().flatten() {
            hostcalls::count(id, by);
        }
    }

    /// Sets the gauge at this index of the list.
    pub fn set_gauge(&self, gauge: usize, value: u64) {
        if let Some(id) = self.gauges.get(gauge).copied().flatten() {
            hostcalls::set_gauge(id, value);
        }
    }
}
