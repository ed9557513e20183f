//! Lets held requests go when their time has come, in order. There is no wheel that turns while nothing is
//! held: the proxy is asked for one tick, at the earliest time that somebody waits for, rounded up to whole
//! milliseconds, so that nobody goes early.

use crate::hostcalls;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeSet;
use tidegate_policy::timestamp::Timestamp;

/// The requests that one worker holds.
#[derive(Debug, Default)]
pub struct Timer {
    held: RefCell<BTreeSet<(Timestamp, u32)>>,
    set_for: Cell<Option<Timestamp>>,
}

impl Timer {
    /// How many are held.
    pub fn held(&self) -> usize {
        self.held.try_borrow().map_or(usize::MAX, |held| held.len())
    }

    /// Whether the request of the context `id` is held until `due`.
    pub fn holds(&self, id: u32, due: Timestamp) -> bool {
        self.held.try_borrow().is_ok_and(|held| held.contains(&(due, id)))
    }

    /// Holds the request of the context `id` until `due`.
    pub fn hold(&self, id: u32, due: Timestamp, now: Timestamp) {
        if let Ok(mut held) = self.held.try_borrow_mut() {
            held.insert((due, id));
        }
        if self.set_for.get().is_none_or(|set| due < set) {
            self.set(now);
        }
    }

    /// Forgets a request that is gone.
    pub fn forget(&self, id: u32, due: Timestamp) {
        if let Ok(mut held) = self.held.try_borrow_mut() {
            held.remove(&(due, id));
        }
    }

    /// Lets those go whose time has come.
    pub fn release(&self, now: Timestamp) {
        while let Some((_, id)) = self.next_due(now) {
            hostcalls::resume_request(id);
        }
        self.set(now);
    }

    fn next_due(&self, now: Timestamp) -> Option<(Timestamp, u32)> {
        let mut held = self.held.try_borrow_mut().ok()?;
        held.first().filter(|(due, _)| *due <= now)?;
        held.pop_first()
    }

    fn set(&self, now: Timestamp) {
        let next = self.held.try_borrow().ok().and_then(|held| held.first().map(|(due, _)| *due));
        let millis = next.map_or(0, |due| due.nanos_since(now).div_ceil(1_000_000).max(1));
        if next.is_some() || self.set_for.get().is_some() {
            hostcalls::tick_every(Duration::from_millis(millis));
        }
        self.set_for.set(next);
    }
}
