//! What a budget remembers: 72 bytes, however many requests there were. First attempts and retries are counted by
//! slots of a tenth of the ttl. First attempts count while their whole slot lies within the ttl (10 slots), retries
//! until their whole slot lies outside (11), so both err on the side of fewer retries, by at most a slot. A count that
//! has reached its end, 65,535 in a slot, stays there: what comes on top earns nothing, and is not admitted.
//!
//! Little-endian: when the newest slot began (8), TAT of the reserve (8), until when its client is expected (8), debt
//! (4), first attempts and retries of each slot (2 + 2), newest first. A time that lies further ahead than two of its windows (the clock stepped back)
//! is replaced by now, so it locks nobody out, and no count is dropped for it.

use crate::timestamp::Timestamp;

/// Slots in a ttl.
pub(super) const EARNING_SLOTS: u64 = 10;

const EARNING: usize = 10;

const SLOTS: usize = EARNING + 1;

/// Bytes of a ledger.
pub(super) const BYTES: usize = HEAD + 4 * SLOTS;

const HEAD: usize = 28;

/// What a budget remembers. The default is one that nobody has used.
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

impl Ledger {
    /// From the store's bytes. What is too short is a ledger that nobody has used; what is beyond, is dropped.
    pub fn from_bytes(stored: &[u8]) -> Self {
        Self::read(stored).unwrap_or_default()
    }

    /// For the store.
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let (head, slots) = bytes.split_at_mut(HEAD);
        let times = [self.begin, self.reserve, self.expected].map(|time| time.as_nanos().to_le_bytes());
        head.iter_mut()
            .zip(times.into_iter().flatten().chain(self.debt.to_le_bytes()))
            .for_each(|(place, byte)| *place = byte);
        for (place, slot) in slots.chunks_exact_mut(4).zip(&self.slots) {
            let both = u32::from(slot.withdrawals) << 16 | u32::from(slot.deposits);
            place.copy_from_slice(&both.to_le_bytes());
        }
        bytes
    }

    fn read(stored: &[u8]) -> Option<Self> {
        let (begin, rest) = stored.split_first_chunk()?;
        let (reserve, rest) = rest.split_first_chunk()?;
        let (expected, rest) = rest.split_first_chunk()?;
        let (debt, mut rest) = rest.split_first_chunk()?;
        let mut slots = [Slot::default(); SLOTS];
        for slot in &mut slots {
            let (deposits, more) = rest.split_first_chunk()?;
            let (withdrawals, more) = more.split_first_chunk()?;
            *slot = Slot {
                deposits: u16::from_le_bytes(*deposits),
                withdrawals: u16::from_le_bytes(*withdrawals),
            };
            rest = more;
        }
        Some(Self {
            begin: Timestamp::from_nanos(u64::from_le_bytes(*begin)),
            reserve: Timestamp::from_nanos(u64::from_le_bytes(*reserve)),
            expected: Timestamp::from_nanos(u64::from_le_bytes(*expected)),
            debt: u32::from_le_bytes(*debt),
            slots,
        })
    }

    /// As it is at `now`, with slots of so many nanoseconds.
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

    /// Returns the first attempts that earn.
    pub(super) fn deposits(&self) -> u64 {
        self.slots.iter().take(EARNING).map(|slot| u64::from(slot.deposits)).sum()
    }

    /// Returns the first attempts that are remembered.
    pub(super) fn all_deposits(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.deposits)).sum()
    }

    /// Returns the retries that count.
    pub(super) fn withdrawals(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.withdrawals)).sum()
    }
}
