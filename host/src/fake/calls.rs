//! Counts host calls as the adapter makes them: a fact that holds for a whole callback is read once in it.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// What is asked at most once a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Once {
    Now,
    Peer,
    RequestHeaders,
    ResponseHeaders,
    Arrived,
}

/// The host calls of one worker, but for those on its store.
#[derive(Debug, Default)]
pub struct Calls {
    made: Cell<u32>,
    asked: RefCell<BTreeSet<Once>>,
}

impl Calls {
    /// A callback begins: nothing was asked in it yet.
    pub fn begin(&self) {
        self.asked.borrow_mut().clear();
    }

    /// How many were made.
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
