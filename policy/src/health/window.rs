//! A sliding window as a ring of slots. Each slot counts its part of the window, and the oldest is cleared when a new
//! one begins. The sum therefore covers at most one slot less than the window's length.
//!
//! A time that is late by less than a window counts in its own slot. An earlier time means that the clock stepped back:
//! the window starts over, as it does when its length is reconfigured.

use crate::timestamp::Timestamp;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// Slots of a window.
pub const SLOTS: u64 = 10;

/// The counts of a slot or of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that say something about the cluster.
    pub requests: u32,
    /// Failed requests.
    pub errors: u32,
    /// Slow requests, failed or not.
    pub slow: u32,
    /// Requests that the cluster refused as overload.
    pub overloads: u32,
}

impl Counts {
    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            slow: self.slow.saturating_add(other.slow),
            overloads: self.overloads.saturating_add(other.overloads),
        }
    }
}

/// The sum of some slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The counts of its slots.
    pub counts: Counts,
    /// The time that the slots cover, in nanoseconds.
    pub covered: u64,
    /// The slots in the sum, one bit for each place in the ring.
    pub slots: u16,
}

/// The ring of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    slot: u64,
    newest: u64,
    ring: [Counts; 10],
}

/// A window in a record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Stored {
    slot: U64,
    newest: U64,
    ring: [StoredCounts; 10],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredCounts {
    requests: U32,
    errors: U32,
    slow: U32,
    overloads: U32,
}

impl From<&Stored> for Window {
    fn from(stored: &Stored) -> Self {
        let ring = stored.ring.map(|counts| Counts {
            requests: counts.requests.get(),
            errors: counts.errors.get(),
            slow: counts.slow.get(),
            overloads: counts.overloads.get(),
        });
        Self { slot: stored.slot.get(), newest: stored.newest.get(), ring }
    }
}

impl From<&Window> for Stored {
    fn from(window: &Window) -> Self {
        let ring = window.ring.map(|counts| StoredCounts {
            requests: counts.requests.into(),
            errors: counts.errors.into(),
            slow: counts.slow.into(),
            overloads: counts.overloads.into(),
        });
        Self { slot: window.slot.into(), newest: window.newest.into(), ring }
    }
}

impl Window {
    /// Returns true if [`advance`](Self::advance) would change nothing.
    pub fn is_at(&self, slot: u64, now: Timestamp) -> bool {
        let number = number(now, slot);
        self.holds(slot, number) && number <= self.newest
    }

    /// Advances to `now` with slots of `slot` nanoseconds. `clear` is called with the place of each slot that begins
    /// anew, so that data beside the window can be dropped. Returns true if the previous newest slot is over.
    pub fn advance(&mut self, slot: u64, now: Timestamp, mut clear: impl FnMut(usize)) -> bool {
        let number = number(now, slot);
        if self.is_at(slot, now) {
            return false;
        }
        if !self.holds(slot, number) {
            *self = Self { slot, newest: number, ..Self::default() };
            (0..SLOTS).map(place).for_each(clear);
            return false;
        }
        let begun = number.saturating_sub(self.newest).min(SLOTS);
        for back in 0..begun {
            let place = place(number.saturating_sub(back));
            if let Some(slot) = self.ring.get_mut(place) {
                *slot = Counts::default();
            }
            clear(place);
        }
        self.newest = number;
        true
    }

    /// Returns the place of the slot of `now` and true if it is the newest. The window must have been advanced to
    /// `now`.
    pub fn place(&self, now: Timestamp) -> (usize, bool) {
        let number = number(now, self.slot);
        (place(number), number >= self.newest)
    }

    /// Returns the place of the newest slot.
    pub fn newest(&self) -> usize {
        place(self.newest)
    }

    /// Adds counts to the slot of `now`. The window must have been advanced to `now`.
    pub fn add(&mut self, counts: Counts, now: Timestamp) {
        if let Some(slot) = self.ring.get_mut(place(number(now, self.slot))) {
            *slot = slot.plus(counts);
        }
    }

    /// Turns an earlier success into a failure, in the slot of `now`. The window must have been advanced to `now`.
    pub fn withdraw(&mut self, now: Timestamp) {
        if let Some(slot) = self.ring.get_mut(place(number(now, self.slot))) {
            slot.errors = slot.errors.saturating_add(1);
        }
    }

    /// Returns the sum of the slots that began at `since` or later and are in the window at `now`, with slots of `slot`
    /// nanoseconds.
    pub fn sum(&self, slot: u64, since: Timestamp, now: Timestamp) -> Sum {
        let number = number(now, slot);
        if !self.holds(slot, number) {
            return Sum::default();
        }
        let last = number.max(self.newest);
        let first = last.saturating_add(1).saturating_sub(SLOTS).max(since.as_nanos().div_ceil(slot.max(1)));
        let places = (first..=self.newest).map(place);
        let counts = places
            .clone()
            .filter_map(|place| self.ring.get(place))
            .fold(Counts::default(), |sum, slot| sum.plus(*slot));
        let slots = places.fold(0, |slots, place| slots | 1 << place);
        Sum { counts, covered: now.as_nanos().saturating_sub(first.saturating_mul(slot)), slots }
    }

    fn holds(&self, slot: u64, number: u64) -> bool {
        self.slot == slot && self.newest.saturating_sub(number) < SLOTS
    }
}

fn number(now: Timestamp, slot: u64) -> u64 {
    now.as_nanos().checked_div(slot).unwrap_or(0)
}

fn place(number: u64) -> usize {
    usize::try_from(number % SLOTS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::record::Fixed;
    use proptest::prelude::*;

    const ONE: Counts = Counts { requests: 1, errors: 0, slow: 0, overloads: 0 };

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn count(window: &mut Window, slot: u64, now: u64) {
        window.advance(slot, at(now), |_| {});
        window.add(ONE, at(now));
    }

    #[test]
    fn a_count_leaves_the_window_at_the_age_of_the_window() {
        let mut window = Window::default();
        count(&mut window, 10, 5);
        assert_eq!(window.sum(10, at(0), at(99)).counts.requests, 1);
        assert_eq!(window.sum(10, at(0), at(100)).counts.requests, 0);
    }

    #[test]
    fn only_slots_that_began_later_are_summed() {
        let mut window = Window::default();
        count(&mut window, 10, 15);
        count(&mut window, 10, 25);
        assert_eq!(window.sum(10, at(10), at(29)), Sum { counts: ONE.plus(ONE), covered: 19, slots: 0b110 });
        assert_eq!(window.sum(10, at(11), at(29)), Sum { counts: ONE, covered: 9, slots: 0b100 });
        assert_eq!(window.sum(10, at(21), at(29)).counts, Counts::default());
    }

    #[test]
    fn a_slot_ends_once_and_new_slots_are_reported() {
        let mut window = Window::default();
        count(&mut window, 10, 5);
        let mut advance = |now| {
            let mut cleared = Vec::new();
            (window.advance(10, at(now), |place| cleared.push(place)), cleared)
        };
        assert_eq!(advance(9), (false, vec![]));
        assert_eq!(advance(32), (true, vec![3, 2, 1]));
        assert_eq!(advance(32), (false, vec![]));
        assert_eq!(advance(25), (false, vec![]));
        assert_eq!(advance(1_000).1.len(), 10);
    }

    #[test]
    fn another_length_or_a_clock_that_stepped_back_starts_over() {
        let mut window = Window::default();
        count(&mut window, 10, 1_000);
        assert_eq!(window.sum(20, at(0), at(1_000)), Sum::default());
        assert_eq!(window.sum(10, at(0), at(909)), Sum::default());
        assert_eq!(window.sum(10, at(0), at(910)).counts, ONE);
        count(&mut window, 10, 890);
        assert_eq!(window.sum(10, at(0), at(890)).counts, ONE);
    }

    proptest! {
        #[test]
        fn the_sum_covers_exactly_the_slots_of_the_window(
            slot in 1_u64..20,
            steps in prop::collection::vec((0_u64..40, 0_u64..5), 1..200),
            since in 0_u64..2_000,
        ) {
            let (mut window, mut came, mut now) = (Window::default(), Vec::new(), 0_u64);
            for (step, late) in steps {
                now += step;
                let late = now.saturating_sub(late);
                count(&mut window, slot, late);
                came.push(late);
                let newest = came.iter().max().unwrap() / slot;
                let first = (now / slot).max(newest) as i128 - 9;
                let expected = came.iter().filter(|time| {
                    let number = *time / slot;
                    number as i128 >= first && number * slot >= since
                });
                let sum = window.sum(slot, at(since), at(now));
                prop_assert_eq!(sum.counts.requests as usize, expected.count());
                prop_assert!(sum.covered <= 10 * slot);
            }
        }

        #[test]
        fn any_bytes_are_a_window(bytes: Vec<u8>, slot: u64, since: u64, now: u64) {
            let mut window = Window::from(&Stored::first_of(&bytes));
            window.sum(slot, at(since), at(now));
            window.advance(slot, at(now), |_| {});
            window.add(ONE, at(now));
            prop_assert_eq!(Window::from(&Stored::from(&window)), window);
        }
    }
}
