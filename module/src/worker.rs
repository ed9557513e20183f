//! What all streams of one plugin on one worker have in common.

use crate::hostcalls;
use crate::timer::Timer;
use core::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};
use tidegate_host::scan::ScanNeeds;
use tidegate_host::task::Workers;
use tidegate_policy::fingerprint::Fingerprinter;

/// One worker.
pub struct Worker {
    /// Its alarms.
    pub timer: Timer,
    /// How many requests it holds.
    pub held: Cell<usize>,
    /// How many it may hold.
    pub max_held: usize,
    /// What is to be read out of requests' bodies.
    pub scan: Option<ScanNeeds>,
    /// How names become keys.
    pub fingerprinter: Fingerprinter,
    counters: Vec<Option<u32>>,
    gauges: Vec<Option<u32>>,
    random: Cell<u64>,
    /// Its task holds the worker, so the worker only knows of it.
    workers: OnceCell<Weak<dyn Workers>>,
}

impl Worker {
    /// With these counters and gauges. The error is for the operator.
    pub fn new(counters: &[String], gauges: &[String]) -> Result<Self, String> {
        let key = hostcalls::hash_key().ok_or("the host gives no random bytes or keeps no shared data")?;
        Ok(Self {
            timer: Timer::default(),
            held: Cell::default(),
            max_held: 0,
            scan: None,
            fingerprinter: Fingerprinter::new(key),
            counters: counters.iter().map(|name| hostcalls::define_counter(name)).collect(),
            gauges: gauges.iter().map(|name| hostcalls::define_gauge(name)).collect(),
            random: Cell::new(hostcalls::random_seed()),
            workers: OnceCell::new(),
        })
    }

    /// Lets its streams reach other workers.
    pub fn join(&self, workers: Weak<dyn Workers>) {
        let _ = self.workers.set(workers);
    }

    /// Other workers, if there is a task that they can reach.
    pub fn workers(&self) -> Option<Rc<dyn Workers>> {
        self.workers.get()?.upgrade()
    }

    /// 64 random bits.
    pub fn random(&self) -> u64 {
        let mut random = fastrand::Rng::with_seed(self.random.get());
        let bits = random.u64(..);
        self.random.set(random.get_seed());
        bits
    }

    /// Adds `by` to the counter at this place of the list.
    pub fn count(&self, metric: usize, by: u32) {
        if let Some(id) = self.counters.get(metric).copied().flatten() {
            hostcalls::count(id, by);
        }
    }

    /// Sets the gauge at this place of the list.
    pub fn set_gauge(&self, gauge: usize, value: u64) {
        if let Some(id) = self.gauges.get(gauge).copied().flatten() {
            hostcalls::set_gauge(id, value);
        }
    }
}
