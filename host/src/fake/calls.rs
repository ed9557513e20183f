//! Host-call counts as the adapter makes them: a fact that cannot change within a callback is read once per callback.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// A question that is asked at most once per callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Once {
    Now,
    Peer,
    RequestHeaders,
    ResponseHeaders,
    Arrived,
}

/// The host calls of one worker, except those on its store.
#[derive(Debug, Default)]
pub struct Calls {
    made: Cell<u32>,
    asked: RefCell<BTreeSet<Once>>,
}

impl Calls {
    /// Begins a callback, in which nothing has been asked yet.
    pub fn begin(&self) {
        self.asked.borrow_mut().clear();
    }

    /// Returns the number of host calls made.
    pub fn made(&self) -> u32 {
        self.made.get()
    }

    /// Counts a host call.
    pub fn make(&self) {
        self.made.set(self.made.get().saturating_add(1));
    }

    pub(super) fn ask(&self, fact: Once) {
        if self.asked.borrow_mut().insert(fact) {
            self.make();
        }
    }
}
