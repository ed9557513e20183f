//! A store in one map, which loses races on purpose.

use crate::store::{Store, Version};
use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

type Entry = (Vec<u8>, u32);

/// A store in one map. A clone shares its entries, as another worker does.
#[derive(Clone, Debug, Default)]
pub struct FakeStore(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
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
    /// Makes the next `times` swaps of `key` lose: a rival writes `value` just before each.
    pub fn lose_swap_of(&self, key: &[u8], times: usize, value: &[u8]) {
        *self.0.rival.borrow_mut() = Some(Rival { key: key.to_vec(), times, value: value.to_vec() });
    }

    /// Returns the number of reads.
    pub fn loads(&self) -> u32 {
        self.0.loads.get()
    }

    /// Returns the number of attempted writes.
    pub fn swaps(&self) -> u32 {
        self.0.swaps.get()
    }

    /// Returns the bytes of an entry; empty if it is absent.
    pub fn load_entry(&self, key: &[u8]) -> Vec<u8> {
        self.0.entries.borrow().get(key).map(|(value, _)| value.clone()).unwrap_or_default()
    }

    /// Returns the number of entries.
    pub fn entries(&self) -> usize {
        self.0.entries.borrow().len()
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        self.0.writes.set(self.0.writes.get().wrapping_add(1));
        self.0.entries.borrow_mut().insert(key.to_vec(), (value.to_vec(), self.0.writes.get()));
    }
}

impl Store for FakeStore {
    fn load(&self, key: &[u8]) -> Option<(Vec<u8>, Version)> {
        self.0.loads.set(self.0.loads.get().wrapping_add(1));
        self.0.entries.borrow().get(key).map(|(value, version)| (value.clone(), Version(*version)))
    }

    fn swap(&self, key: &[u8], value: &[u8], expected: Option<Version>) -> bool {
        self.0.swaps.set(self.0.swaps.get().wrapping_add(1));
        if let Some(rival) = self.0.rival.borrow_mut().as_mut().filter(|rival| rival.key == key)
            && let Some(left) = rival.times.checked_sub(1)
        {
            rival.times = left;
            self.write(key, &rival.value);
            return false;
        }
        let found = self.0.entries.borrow().get(key).map(|(_, version)| Version(*version));
        if found == expected {
            self.write(key, value);
        }
        found == expected
    }
}
