//! The part of a worker that a filter of the composite does not share with the others: its metrics and its held requests.

use core::cell::Cell;

/// One filter's own part of a worker.
#[derive(Debug, Default)]
pub struct Own {
    /// The place of the filter in the list, by which the messages of its workers find it.
    pub place: u8,
    /// The index of its first counter among those of all filters.
    pub counters: usize,
    /// The index of its first gauge among those of all filters.
    pub gauges: usize,
    /// True if it asks for request bodies to be scanned.
    pub scans: bool,
    /// The most requests that it may hold at a time.
    pub max_held: usize,
    /// The number of requests that it holds now.
    pub held: Cell<usize>,
}

impl Own {
    /// Returns true if it may hold one more request.
    pub fn can_hold(&self) -> bool {
        self.held.get() < self.max_held
    }

    /// Updates the number of held requests when the held state of one changes from `before` to `now`.
    pub fn hold(&self, before: bool, now: bool) {
        let others = self.held.get().saturating_sub(usize::from(before));
        self.held.set(others.saturating_add(usize::from(now)));
    }
}
