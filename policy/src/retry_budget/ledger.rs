//! The state of a budget: 72 bytes, however many requests there were. First attempts and retries are counted in slots
//! of a tenth of the ttl. First attempts count while their whole slot lies within the ttl (10 slots), retries until
//! their whole slot lies outside (11), so both err on the side of fewer retries, by at most a slot. A count saturates
//! at 65,535 per slot: further first attempts earn nothing, and further retries are not admitted.
//!
//! A time further ahead than two of its windows (the clock stepped back) is replaced by now, so it locks nobody out,
//! and no count is dropped for it.

use crate::timestamp::Timestamp;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The slots in a ttl.
pub(super) const EARNING_SLOTS: u64 = 10;

const EARNING: usize = 10;

const SLOTS: usize = EARNING + 1;

/// The state of a budget. The default is an unused budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub(super) begin: Timestamp,
    pub(super) reserve: Timestamp,
    pub(super) expected: Timestamp,
    pub(super) debt: u32,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    deposits: u16,
    withdrawals: u16,
}

/// A ledger in the store's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Stored {
    /// The time at which the newest slot began.
    begin: U64,
    /// The TAT of the reserve.
    reserve: U64,
    /// The time until which the client is expected.
    expected: U64,
    debt: U32,
    /// The slots, the newest first.
    slots: [StoredSlot; SLOTS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredSlot {
    deposits: U16,
    withdrawals: U16,
}

impl From<&Ledger> for Stored {
    fn from(ledger: &Ledger) -> Self {
        let nanos = |time: Timestamp| time.as_nanos().into();
        Self {
            begin: nanos(ledger.begin),
            reserve: nanos(ledger.reserve),
            expected: nanos(ledger.expected),
            debt: ledger.debt.into(),
            slots: ledger.slots.map(|slot| StoredSlot {
                deposits: slot.deposits.into(),
                withdrawals: slot.withdrawals.into(),
            }),
        }
    }
}

impl From<&Stored> for Ledger {
    fn from(stored: &Stored) -> Self {
        let time = |nanos: U64| Timestamp::from_nanos(nanos.get());
        Self {
            begin: time(stored.begin),
            reserve: time(stored.reserve),
            expected: time(stored.expected),
            debt: stored.debt.get(),
            slots: stored
                .slots
                .map(|slot| Slot { deposits: slot.deposits.get(), withdrawals: slot.withdrawals.get() }),
        }
    }
}

impl Ledger {
    /// Returns the ledger at `now`, with slots of `slot` nanoseconds.
    pub(super) fn rolled(mut self, slot: u64, now: Timestamp) -> Self {
        let furthest = now.plus(slot.saturating_mul(2 * (EARNING_SLOTS + 1)));
        if self.begin > furthest {
            self.begin = now;
        }
        if self.reserve > furthest {
            self.reserve = now;
        }
        let passed = now.nanos_since(self.begin).checked_div(slot).unwrap_or(0);
        self.begin = self.begin.plus(passed.saturating_mul(slot));
        let passed = usize::try_from(passed).unwrap_or(SLOTS).min(SLOTS);
        self.slots.rotate_right(passed);
        self.slots.iter_mut().take(passed).for_each(|slot| *slot = Slot::default());
        self
    }

    pub(super) fn deposit(&mut self) {
        let [newest, ..] = &mut self.slots;
        newest.deposits = newest.deposits.saturating_add(1);
    }

    /// Returns the time until which the client is expected. An implausible time counts as `now`.
    pub(super) fn expected(&self, now: Timestamp) -> Timestamp {
        let plausible = self.expected.nanos_since(now) <= super::MOST_EXPECTED;
        if plausible { self.expected } else { now }
    }

    /// Removes one first attempt from the slot of `made_at`, if that slot still counts.
    pub(super) fn take_back(&mut self, made_at: Timestamp, slot: u64) {
        let age = self.begin.nanos_since(made_at).div_ceil(slot);
        if let Some(slot) = usize::try_from(age).ok().and_then(|age| self.slots.get_mut(age)) {
            slot.deposits = slot.deposits.saturating_sub(1);
        }
    }

    /// Withdraws up to `retries`, as far as the counter has room, and returns their number.
    pub(super) fn withdraw(&mut self, retries: u64) -> u64 {
        let [newest, ..] = &mut self.slots;
        let room = u16::MAX.saturating_sub(newest.withdrawals);
        let counted = u16::try_from(retries).unwrap_or(u16::MAX).min(room);
        newest.withdrawals = newest.withdrawals.saturating_add(counted);
        u64::from(counted)
    }

    /// Removes one retry from the slot that began at `begin`, if that slot still counts.
    pub(super) fn give_back(&mut self, begin: Timestamp, slot: u64) {
        let age = self.begin.nanos_since(begin).checked_div(slot).and_then(|age| usize::try_from(age).ok());
        if let Some(slot) = age.and_then(|age| self.slots.get_mut(age)) {
            slot.withdrawals = slot.withdrawals.saturating_sub(1);
        }
    }

    /// Repays up to `retries` of the debt and returns their number.
    pub(super) fn pay(&mut self, retries: u64) -> u64 {
        let paid = u32::try_from(retries).unwrap_or(u32::MAX).min(self.debt);
        self.debt = self.debt.saturating_sub(paid);
        u64::from(paid)
    }

    /// Returns the number of first attempts that earn.
    pub(super) fn deposits(&self) -> u64 {
        self.slots.iter().take(EARNING).map(|slot| u64::from(slot.deposits)).sum()
    }

    /// Returns the number of remembered first attempts.
    pub(super) fn all_deposits(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.deposits)).sum()
    }

    /// Returns the number of retries that count.
    pub(super) fn withdrawals(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.withdrawals)).sum()
    }
}
