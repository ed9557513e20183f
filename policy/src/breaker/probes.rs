//! Which requests find out whether a cluster is back, and what they show.
//!
//! While the breaker is open for longer than `open_for`, one request in every half of that time is a scout: one that is
//! answered well begins the rounds at once. Where all that is held against the cluster is of one client, the first other
//! that comes is one. Rounds of 3, 6 and 12 (of `probes`, twice and four times as many) go one after the other: so many may
//! be under way at a time, and two more for each that went well. When so many have come back, the part of them that failed
//! decides, by clients: the mean of the clients' own ratios without the highest.
//!
//! Where others ask too, a client has one probe of the first round under way at a time, and one that failed or is late is
//! not asked again for a while; of later rounds it has at most half. A client that is alone has all of them. In the first
//! round a request that is likely to be answered soon goes before others. A probe that is late gives its place back, and
//! counts when it comes.
//!
//! Little-endian: number of the last probe and of the last before the breaker opened (4 each), when the round began, when a
//! place became free and when the next scout goes (8 each), round (1), who asked first (8), whether anybody else did and
//! whether all that is held against the cluster is of one client (bits 0 and 1 of 1); then, each behind their number (1), at
//! most [`MOST`] results of the round (9 each), late clients (8 each) and probes under way (20 each).

use super::{BreakerRule, Probe};
use crate::health::Who;
use crate::packed::{Reader, Writer};
use crate::timestamp::Timestamp;

/// The most probes of a round.
pub const MOST: usize = 32;

/// The number of rounds that must succeed.
const ROUNDS: u8 = 3;

/// The time in nanoseconds after which a probe of a later round makes room for another. It is short because the earlier
/// rounds succeeded.
const LATER_TTL: u64 = 500_000_000;

/// The time for which a free place waits for a request that will probably be answered soon, in nanoseconds: 250 ms.
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
    /// True if one client caused everything that is held against the cluster.
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

impl Probes {
    pub(super) fn from_bytes(stored: &[u8]) -> Self {
        let mut from = Reader::new(stored);
        let mut probes = Self {
            sent: from.u32(),
            before: from.u32(),
            began: Timestamp::from_nanos(from.u64()),
            free_since: Timestamp::from_nanos(from.u64()),
            next_scout: Timestamp::from_nanos(from.u64()),
            round: from.u8().min(ROUNDS.saturating_sub(1)),
            ..Self::default()
        };
        let first = mark(&mut from);
        probes.first = (first != Mark { address: 0, key: 0 }).then_some(first);
        let company = from.u8();
        (probes.has_company, probes.is_of_one) = (company & 1 == 1, company & 2 == 2);
        probes.results = (0..count(&mut from)).map(|_| (mark(&mut from), from.u8() == 1)).collect();
        probes.late = (0..count(&mut from)).map(|_| mark(&mut from)).collect();
        let lease = |from: &mut Reader<'_>| Lease {
            number: from.u32(),
            mark: mark(from),
            expires: Timestamp::from_nanos(from.u64()),
        };
        probes.under_way = (0..count(&mut from)).map(|_| lease(&mut from)).collect();
        probes
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut into = Writer::<42>::default();
        into.put(self.sent.to_le_bytes()).put(self.before.to_le_bytes());
        for time in [self.began, self.free_since, self.next_scout] {
            into.put(time.as_nanos().to_le_bytes());
        }
        let first = self.first.unwrap_or(Mark { address: 0, key: 0 });
        into.put([self.round]).put(first.address.to_le_bytes()).put(first.key.to_le_bytes());
        into.put([u8::from(self.has_company) | u8::from(self.is_of_one) << 1]);
        let mut bytes = into.finish().to_vec();
        let length = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        bytes.push(length(self.results.len()));
        for (mark, failed) in &self.results {
            bytes.extend(mark.address.to_le_bytes());
            bytes.extend(mark.key.to_le_bytes());
            bytes.push(u8::from(*failed));
        }
        bytes.push(length(self.late.len()));
        for mark in &self.late {
            bytes.extend(mark.address.to_le_bytes());
            bytes.extend(mark.key.to_le_bytes());
        }
        bytes.push(length(self.under_way.len()));
        for lease in &self.under_way {
            bytes.extend(lease.number.to_le_bytes());
            bytes.extend(lease.mark.address.to_le_bytes());
            bytes.extend(lease.mark.key.to_le_bytes());
            bytes.extend(lease.expires.as_nanos().to_le_bytes());
        }
        bytes
    }

    /// Records that a client asks. The limits on its probes depend on whether others ask too. If one client caused
    /// everything that is held against the cluster, the first other client becomes a scout at once.
    pub(super) fn note(&mut self, who: &Who) {
        let mark = Mark::of(who);
        let is_another = self.first.is_some_and(|first| !first.is_of_the_same(&mark));
        if is_another && core::mem::take(&mut self.is_of_one) {
            self.next_scout = Timestamp::default();
        }
        self.has_company |= is_another;
        self.first = self.first.or(Some(mark));
    }

    /// Records that this client caused everything that is held against the cluster.
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
        match () {
            () if self.under_way.len() >= self.most_under_way(rule) => Err(wait),
            () if self.has_company && self.has_its_share(rule, &mark, now) => Err(wait),
            () if self.round == 0 && !self.goes_first(asker, &mark) && waited < PREFERENCE => {
                Err(PREFERENCE.saturating_sub(waited))
            }
            () => {
                let ttl = if self.round == 0 { rule.probe_ttl } else { rule.probe_ttl.min(LATER_TTL) };
                Ok(self.lease(mark, now.plus(ttl)))
            }
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

fn mark(from: &mut Reader<'_>) -> Mark {
    Mark { address: from.u32(), key: from.u32() }
}

fn count(from: &mut Reader<'_>) -> usize {
    usize::from(from.u8()).min(MOST)
}
