//! Chooses the requests that probe whether a cluster has recovered, and evaluates them.
//!
//! If the breaker stays open for longer than `open_for`, one request in every half of that time is a scout, and a
//! successful scout begins the rounds at once. If one client caused the whole trip, the first other client is a scout.
//! There are three rounds of 1, 2 and 4 times `probes`. That many may be under way at a time, and two more for each
//! success. When as many have ended, the mean of the clients' failure ratios without the highest decides.
//!
//! Among others, a client has one probe of the first round at a time, pauses after a failed or late one, and has at
//! most half of a later round. A lone client has all probes. In the first round, requests that will probably be
//! answered soon take precedence. A late probe frees its place, and counts when it ends.

use super::{BreakerRule, Probe};
use crate::health::Who;
use crate::record::{Fixed, take};
use crate::timestamp::Timestamp;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The maximum number of probes in a round.
pub const MOST: usize = 32;

/// The number of rounds that must succeed.
const ROUNDS: u8 = 3;

/// The time in nanoseconds after which a probe of a later round makes room for another. It is short because the earlier
/// rounds succeeded.
const LATER_TTL: u64 = 500_000_000;

/// The time in nanoseconds for which a free place waits for a request that will probably be answered soon: 250 ms.
const PREFERENCE: u64 = 250_000_000;

/// A request that may become a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The client that sends it.
    pub who: Who,
    /// True if it will probably be answered soon: it has arrived completely, and is small or streams.
    pub is_short: bool,
}

/// The result of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pending,
    Failed,
    Recovered,
}

/// The clients that asked and the results of their probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Probes {
    sent: u32,
    before: u32,
    began: Timestamp,
    free_since: Timestamp,
    next_scout: Timestamp,
    pub(super) round: u8,
    first: Option<Mark>,
    has_company: bool,
    /// True if one client caused all of the cluster's trouble.
    is_of_one: bool,
    pub(super) results: Vec<(Mark, bool)>,
    late: Vec<Mark>,
    pub(super) under_way: Vec<Lease>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    address: u32,
    key: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    number: u32,
    mark: Mark,
    expires: Timestamp,
}

impl Mark {
    fn of(who: &Who) -> Self {
        let [address, key] = [who.address, who.key].map(|mark| u32::try_from(mark >> 32).unwrap_or(0).max(1));
        Self { address, key }
    }

    const fn is_of_the_same(&self, other: &Self) -> bool {
        self.address == other.address || self.key == other.key
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    /// The numbers of the last probe, and of the last one before the breaker opened.
    sent: U32,
    before: U32,
    began: U64,
    free_since: U64,
    next_scout: U64,
    round: u8,
    /// The client that asked first; zeros for none.
    first: StoredMark,
    /// Bit 0: another client has asked. Bit 1: one client caused all of the cluster's trouble.
    company: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredMark {
    address: U32,
    key: U32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredResult {
    mark: StoredMark,
    failed: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct StoredLease {
    number: U32,
    mark: StoredMark,
    expires: U64,
}

impl From<Mark> for StoredMark {
    fn from(mark: Mark) -> Self {
        Self { address: mark.address.into(), key: mark.key.into() }
    }
}

impl From<StoredMark> for Mark {
    fn from(stored: StoredMark) -> Self {
        Self { address: stored.address.get(), key: stored.key.get() }
    }
}

/// Reads up to [`MOST`] records after a one-byte count.
fn take_list<T: Fixed>(rest: &mut &[u8]) -> impl Iterator<Item = T> {
    let count = usize::from(take::<u8>(rest)).min(MOST);
    (0..count).map(move |_| take(rest))
}

fn put_list<T: Fixed>(bytes: &mut Vec<u8>, records: impl ExactSizeIterator<Item = T>) {
    bytes.push(u8::try_from(records.len()).unwrap_or(u8::MAX));
    records.for_each(|record| bytes.extend_from_slice(record.as_bytes()));
}

impl Probes {
    pub(super) fn from_bytes(stored: &[u8]) -> Self {
        let mut rest = stored;
        let head: Head = take(&mut rest);
        let first = Mark::from(head.first);
        let result = |StoredResult { mark, failed }| (Mark::from(mark), failed == 1);
        let lease = |StoredLease { number, mark, expires }| Lease {
            number: number.get(),
            mark: mark.into(),
            expires: Timestamp::from_nanos(expires.get()),
        };
        Self {
            sent: head.sent.get(),
            before: head.before.get(),
            began: Timestamp::from_nanos(head.began.get()),
            free_since: Timestamp::from_nanos(head.free_since.get()),
            next_scout: Timestamp::from_nanos(head.next_scout.get()),
            round: head.round.min(ROUNDS.saturating_sub(1)),
            first: (first != Mark { address: 0, key: 0 }).then_some(first),
            has_company: head.company & 1 == 1,
            is_of_one: head.company & 2 == 2,
            results: take_list(&mut rest).map(result).collect(),
            late: take_list::<StoredMark>(&mut rest).map(Mark::from).collect(),
            under_way: take_list(&mut rest).map(lease).collect(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            sent: self.sent.into(),
            before: self.before.into(),
            began: self.began.as_nanos().into(),
            free_since: self.free_since.as_nanos().into(),
            next_scout: self.next_scout.as_nanos().into(),
            round: self.round,
            first: self.first.unwrap_or(Mark { address: 0, key: 0 }).into(),
            company: u8::from(self.has_company) | u8::from(self.is_of_one) << 1,
        };
        let mut bytes = head.as_bytes().to_vec();
        let result =
            |(mark, failed): &(Mark, bool)| StoredResult { mark: (*mark).into(), failed: u8::from(*failed) };
        let lease = |lease: &Lease| StoredLease {
            number: lease.number.into(),
            mark: lease.mark.into(),
            expires: lease.expires.as_nanos().into(),
        };
        put_list(&mut bytes, self.results.iter().map(result));
        put_list(&mut bytes, self.late.iter().map(|mark| StoredMark::from(*mark)));
        put_list(&mut bytes, self.under_way.iter().map(lease));
        bytes
    }

    /// Records that a client asks. The limits on its probes depend on whether others ask too. If one client caused all
    /// of the cluster's trouble, the first other client becomes a scout at once.
    pub(super) fn note(&mut self, who: &Who) {
        let mark = Mark::of(who);
        let is_another = self.first.is_some_and(|first| !first.is_of_the_same(&mark));
        if is_another && core::mem::take(&mut self.is_of_one) {
            self.next_scout = Timestamp::default();
        }
        self.has_company |= is_another;
        self.first = self.first.or(Some(mark));
    }

    /// Records that this client caused all of the cluster's trouble.
    pub(super) fn blame(&mut self, client: &Who) {
        (self.first, self.is_of_one) = (Some(Mark::of(client)), true);
    }

    /// Begins the first round.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.next_round(0, now);
    }

    /// Starts over when the breaker opens: results of earlier probes no longer count.
    pub(super) fn begin_anew(&mut self, rule: &BreakerRule, open_for: u64, now: Timestamp) {
        let next_scout = now.plus(if open_for > rule.open_for { rule.open_for / 2 } else { open_for });
        let one = self.results.first().map(|(mark, _)| *mark);
        let is_of_one = one.is_some_and(|one| self.results.iter().all(|(mark, _)| mark.is_of_the_same(&one)));
        *self = Self { sent: self.sent, before: self.sent, next_scout, is_of_one, ..Self::default() };
        self.first = one.filter(|_| is_of_one);
    }

    /// Sends a request as a scout, if one is due.
    pub(super) fn scout(&mut self, rule: &BreakerRule, asker: &Asker, now: Timestamp) -> Option<Probe> {
        let is_due = |at: Timestamp| at <= now || at > now.plus(rule.open_for.saturating_mul(2));
        self.give_back_late(rule, now);
        let mark = Mark::of(&asker.who);
        let due = self.next_scout.plus(if self.goes_first(asker, &mark) { 0 } else { PREFERENCE });
        let has_gone = self.under_way.iter().any(|lease| lease.mark.is_of_the_same(&mark));
        if !is_due(due) || (has_gone && self.has_company) || self.under_way.len() >= MOST {
            return None;
        }
        self.next_scout = now.plus(rule.open_for / 2);
        Some(self.lease(mark, now.plus(rule.probe_ttl)))
    }

    /// Sends a probe, or returns the nanoseconds until a retry may succeed.
    pub(super) fn send(&mut self, rule: &BreakerRule, asker: &Asker, now: Timestamp) -> Result<Probe, u64> {
        self.give_back_late(rule, now);
        let mark = Mark::of(&asker.who);
        let next = self.under_way.iter().map(|lease| lease.expires.nanos_since(now)).min();
        let wait = next.unwrap_or(PREFERENCE).min(PREFERENCE);
        let waited = now.nanos_since(self.free_since);
        let is_full = self.under_way.len() >= self.most_under_way(rule);
        if is_full || (self.has_company && self.has_its_share(rule, &mark, now)) {
            Err(wait)
        } else if self.round == 0 && !self.goes_first(asker, &mark) && waited < PREFERENCE {
            Err(PREFERENCE.saturating_sub(waited))
        } else {
            let ttl = if self.round == 0 { rule.probe_ttl } else { rule.probe_ttl.min(LATER_TTL) };
            Ok(self.lease(mark, now.plus(ttl)))
        }
    }

    /// Returns true if a client among others has all the probes that it may have.
    fn has_its_share(&self, rule: &BreakerRule, mark: &Mark, now: Timestamp) -> bool {
        let under_way = self.under_way.iter().filter(|lease| lease.mark.is_of_the_same(mark)).count();
        if self.round > 0 {
            return under_way >= self.quota(rule).div_ceil(2);
        }
        let others = || self.under_way.iter().any(|lease| self.is_doubtful(&lease.mark));
        under_way > 0 || (self.is_doubtful(mark) && (self.is_young(rule, now) || others()))
    }

    /// Returns true if a request takes precedence for a moment: it will probably be answered soon, and no probe of its
    /// client has failed, unless the client is alone.
    fn goes_first(&self, asker: &Asker, mark: &Mark) -> bool {
        asker.is_short && !(self.has_company && self.is_doubtful(mark))
    }

    /// Returns true if a probe of this client has failed or is late.
    fn is_doubtful(&self, mark: &Mark) -> bool {
        let failed = self.results.iter().filter(|(_, failed)| *failed).map(|(mark, _)| mark);
        failed.chain(&self.late).any(|other| other.is_of_the_same(mark))
    }

    const fn is_young(&self, rule: &BreakerRule, now: Timestamp) -> bool {
        now.nanos_since(self.began) < rule.probe_ttl
    }

    fn lease(&mut self, mark: Mark, expires: Timestamp) -> Probe {
        self.sent = self.sent.wrapping_add(1);
        self.under_way.push(Lease { number: self.sent, mark, expires });
        Probe { number: self.sent }
    }

    /// Records that a probe has ended: `failed` or not, or without a result. Returns false if the probe does not belong
    /// to these rounds.
    pub(super) fn come_back(
        &mut self,
        rule: &BreakerRule,
        probe: Probe,
        (who, failed): (Who, Option<bool>),
        now: Timestamp,
    ) -> bool {
        let age = self.sent.wrapping_sub(probe.number);
        if age >= self.sent.wrapping_sub(self.before) {
            return false;
        }
        self.give_back_late(rule, now);
        let under_way = self.under_way.len();
        self.under_way.retain(|lease| lease.number != probe.number);
        if self.under_way.len() < under_way {
            self.free_since = now;
        }
        let mark = Mark::of(&who);
        if let Some(failed) = failed.filter(|failed| self.has_room_of(rule, (&mark, *failed), now)) {
            self.results.push((mark, failed));
        }
        failed.is_some() || self.under_way.len() < under_way
    }

    /// Returns true if a further result counts. If others ask, failures of one client fill at most half of a round,
    /// unless the others send nothing.
    fn has_room_of(&self, rule: &BreakerRule, (mark, failed): (&Mark, bool), now: Timestamp) -> bool {
        let own = self.results.iter().filter(|(other, failed)| *failed && other.is_of_the_same(mark)).count();
        let is_bounded = failed && self.has_company && self.is_young(rule, now);
        self.results.len() < MOST && !(is_bounded && own >= self.quota(rule).div_ceil(2))
    }

    /// Records that a scout of this client has failed.
    pub(super) fn doubt(&mut self, who: &Who) {
        self.note_late(Mark::of(who));
    }

    fn note_late(&mut self, mark: Mark) {
        if self.late.len() < MOST && !self.late.contains(&mark) {
            self.late.push(mark);
        }
    }

    /// Returns the result of the round, and begins the next one if this one succeeded.
    pub(super) fn verdict(&mut self, rule: &BreakerRule, now: Timestamp) -> Verdict {
        if self.results.len() < self.quota(rule) {
            return Verdict::Pending;
        }
        if self.failures() >= rule.error_ratio.millionths() {
            return Verdict::Failed;
        }
        let next = self.round.saturating_add(1);
        if next >= ROUNDS {
            return Verdict::Recovered;
        }
        self.next_round(next, now);
        Verdict::Pending
    }

    fn next_round(&mut self, round: u8, now: Timestamp) {
        self.round = round;
        self.results.clear();
        self.late.clear();
        (self.began, self.free_since) = (now, now);
    }

    /// Returns the limit of probes under way: the size of the round, and two more for each success, since probes after
    /// a success reveal no less.
    fn most_under_way(&self, rule: &BreakerRule) -> usize {
        let passed = self.results.iter().filter(|(_, failed)| !*failed).count();
        self.quota(rule).saturating_add(passed.saturating_mul(2)).min(MOST)
    }

    fn quota(&self, rule: &BreakerRule) -> usize {
        let probes = rule.probes.checked_shl(u32::from(self.round)).unwrap_or(rule.probes);
        usize::try_from(probes).unwrap_or(MOST).min(MOST)
    }

    fn give_back_late(&mut self, rule: &BreakerRule, now: Timestamp) {
        let held = |lease: &Lease| {
            let left = lease.expires.nanos_since(now);
            left > 0 && left <= rule.probe_ttl.saturating_mul(2)
        };
        let (held, late): (Vec<Lease>, Vec<Lease>) = self.under_way.iter().partition(|lease| held(lease));
        if !late.is_empty() {
            self.free_since = now;
            self.under_way = held;
            late.into_iter().for_each(|lease| self.note_late(lease.mark));
        }
        for time in [&mut self.began, &mut self.free_since] {
            *time = (*time).min(now);
        }
    }

    /// Returns the ratio of failed probes in this round, in millionths, as a mean over clients: by address or by key,
    /// whichever is lower.
    fn failures(&self) -> u32 {
        let by_address = self.by(|mark| mark.address);
        by_address.min(self.by(|mark| mark.key))
    }

    fn by(&self, name: impl Fn(&Mark) -> u32) -> u32 {
        let mut clients: Vec<(u32, u64, u64)> = Vec::with_capacity(self.results.len());
        for (mark, failed) in &self.results {
            let failed = u64::from(*failed);
            match clients.iter_mut().find(|(known, ..)| *known == name(mark)) {
                Some((_, all, part)) => {
                    *all = all.saturating_add(1);
                    *part = part.saturating_add(failed);
                }
                None => clients.push((name(mark), 1, failed)),
            }
        }
        let ratio = |(_, all, part): &(u32, u64, u64)| part.saturating_mul(1_000_000).div_ceil((*all).max(1));
        let mean = crate::health::clients::without_the_highest(clients.iter().map(ratio));
        u32::try_from(mean).unwrap_or(u32::MAX)
    }
}
