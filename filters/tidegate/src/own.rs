//! What a filter has for itself on one worker, though it shares all else with the others.

use core::cell::Cell;

/// What a filter has for itself on one worker.
#[derive(Debug, Default)]
pub struct Own {
    /// Where its counters begin among those of all.
    pub counters: usize,
    /// Where its gauges begin.
    pub gauges: usize,
    /// Whether it asks for scans.
    pub scans: bool,
    /// How many requests it may hold.
    pub max_held: usize,
    /// How many it holds.
    pub held: Cell<usize>,
}

impl Own {
    /// Whether it may hold one request more.
    pub fn can_hold(&self) -> bool {
        self.held.get() < self.max_held
    }

    /// It holds a request, or does not, after it did or did not.
    pub fn hold(&self, before: bool, now: bool) {
        let others = self.held.get().saturating_sub(usize::from(before));
        self.held.set(others.saturating_add(usize::from(now)));
    }
}
