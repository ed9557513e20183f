//! Wakes streams when their time has come, in order. Nothing turns while nobody waits: the proxy is asked for one
//! tick, at the earliest time that somebody waits for, rounded up to whole milliseconds, so that nobody is early.
//! An alarm that is taken back leaves its tick set, which saves a host call for each request that ends in time.

use crate::hostcalls;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use tidegate_policy::timestamp::Timestamp;

/// What can be woken.
pub trait Sleeper {
    /// Its alarm has gone off.
    fn wake(self: Rc<Self>, now: Timestamp);

    /// A task rings it.
    fn ring(self: Rc<Self>, _now: Timestamp) {}
}

/// The alarms of one worker, by time and context id.
#[derive(Default)]
pub struct Timer {
    alarms: RefCell<BTreeMap<(Timestamp, u32), Rc<dyn Sleeper>>>,
    tick_at: Cell<Option<Timestamp>>,
}

impl Timer {
    /// Wakes `sleeper`, the stream of the context `id`, at `at`.
    pub fn set(&self, at: Timestamp, id: u32, sleeper: Rc<dyn Sleeper>) {
        if let Ok(mut alarms) = self.alarms.try_borrow_mut() {
            alarms.insert((at, id), sleeper);
        }
        if self.tick_at.get().is_none_or(|tick| at < tick) {
            self.ask_for_tick(hostcalls::now());
        }
    }

    /// Takes an alarm back.
    pub fn clear(&self, at: Timestamp, id: u32) {
        if let Ok(mut alarms) = self.alarms.try_borrow_mut() {
            alarms.remove(&(at, id));
        }
    }

    /// Rings the stream of the context `id`, if it has an alarm.
    pub fn ring(&self, id: u32, now: Timestamp) {
        let alarms = self.alarms.try_borrow().ok();
        let found = alarms.and_then(|alarms| {
            let mut sleepers = alarms.iter();
            sleepers.find_map(|((_, sleeper), stream)| (*sleeper == id).then(|| Rc::clone(stream)))
        });
        if let Some(sleeper) = found {
            sleeper.ring(now);
        }
    }

    /// Wakes those whose time has come.
    pub fn tick(&self, now: Timestamp) {
        while let Some(sleeper) = self.next_due(now) {
            sleeper.wake(now);
        }
        self.ask_for_tick(now);
    }

    fn next_due(&self, now: Timestamp) -> Option<Rc<dyn Sleeper>> {
        let mut alarms = self.alarms.try_borrow_mut().ok()?;
        let due = alarms.first_entry().filter(|first| first.key().0 <= now)?;
        Some(due.remove())
    }

    fn ask_for_tick(&self, now: Timestamp) {
        let next =
            self.alarms.try_borrow().ok().and_then(|alarms| alarms.first_key_value().map(|((at, _), _)| *at));
        let millis = next.map_or(0, |at| at.nanos_since(now).div_ceil(1_000_000).max(1));
        if next.is_some() || self.tick_at.get().is_some() {
            hostcalls::tick_every(Duration::from_millis(millis));
        }
        self.tick_at.set(next);
    }
}
