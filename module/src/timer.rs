//! Wakes streams at their alarms, in order. The proxy is asked for one tick at the earliest alarm, rounded up to
//! whole milliseconds so that no stream is woken early, and for none while no alarm is set. Clearing an alarm leaves
//! the tick in place, which saves a host call for every request that ends in time.

use crate::hostcalls;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use tidegate_policy::timestamp::Timestamp;

/// A stream or task that can be woken.
pub trait Sleeper {
    /// Called when the alarm fires.
    fn wake(self: Rc<Self>, now: Timestamp);

    /// Called when a task rings the stream.
    fn ring(self: Rc<Self>, _now: Timestamp) {}
}

/// The alarms of one worker, by time and context id.
#[derive(Default)]
pub struct Timer {
    alarms: RefCell<BTreeMap<(Timestamp, u32), Rc<dyn Sleeper>>>,
    tick_at: Cell<Option<Timestamp>>,
}

impl Timer {
    /// Sets an alarm that wakes `sleeper`, the stream of the context `id`, at `at`.
    pub fn set(&self, at: Timestamp, id: u32, sleeper: Rc<dyn Sleeper>) {
        if let Ok(mut alarms) = self.alarms.try_borrow_mut() {
            alarms.insert((at, id), sleeper);
        }
        if self.tick_at.get().is_none_or(|tick| at < tick) {
            self.ask_for_tick(hostcalls::now());
        }
    }

    /// Clears an alarm.
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

    /// Wakes every sleeper whose alarm has come due.
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
