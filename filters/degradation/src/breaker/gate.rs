//! The state of the cluster as all workers share it, and the decision on each request. While the cluster is healthy,
//! a request needs no access to the store: a worker that has seen the breaker closed trusts that for [`TRUST`], and
//! stores its successes in one batch at its next read. Failures, slow responses, overload and probe results are
//! stored at once, and a breaker that is not closed is read for every request.

use crate::breaker::condition::Condition;
use crate::config::Config;
use core::cell::RefCell;
use std::collections::BTreeMap;
use tidegate_host::store::{Contended, Store, update};
use tidegate_policy::breaker::probes::Asker;
use tidegate_policy::breaker::{Phase, Probe, Ruling};
use tidegate_policy::health::Sample;
use tidegate_policy::health::outcome::Outcome;
use tidegate_policy::slot_key::SlotKey;
use tidegate_policy::tier::Tiers;
use tidegate_policy::timestamp::MILLISECOND;
use tidegate_policy::timestamp::Timestamp;

/// Time for which a worker trusts that a breaker it has seen closed still is, in nanoseconds: 20 ms.
pub const TRUST: u64 = 20_000_000;

const MOST_PENDING: usize = 256;
const MOST_PLACES: usize = 256;
const CLUSTERS: u64 = 1_024;

/// The place of the condition of a cluster, or of a model on it, in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    cluster: u16,
    model: u16,
}

/// The decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the request may go to the cluster.
    pub ruling: Ruling,
    /// Tiers that are on.
    pub tiers: Tiers<bool>,
    /// New phase of the breaker, if it has changed.
    pub turned: Option<Phase>,
    /// True if every race was lost, so that the decision rests on the state seen last.
    pub contended: bool,
}

/// The state that one worker knows.
#[derive(Debug, Default)]
pub struct Gate {
    known: RefCell<BTreeMap<Place, Known>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    looked_at: Option<Timestamp>,
    phase: Phase,
    tiers: Tiers<bool>,
    pending: Vec<(Sample, Timestamp)>,
}

impl Place {
    /// Returns the place for a cluster, by the hash of its name, and a model, by its position in the configuration
    /// from 1; 0 for any other model.
    pub fn new(cluster: u64, model: usize) -> Self {
        let cluster = u16::try_from(cluster % CLUSTERS).unwrap_or(0);
        Self { cluster, model: u16::try_from(model).unwrap_or(0) }
    }

    fn key(self) -> SlotKey {
        SlotKey::numbered(b"tidegate.dg.c", u32::from(self.model) << 16 | u32::from(self.cluster))
    }
}

impl Gate {
    /// Decides whether a request may go to the cluster.
    pub fn enter(
        &self,
        store: &dyn Store,
        config: &Config,
        (place, asker): (Place, &Asker),
        now: Timestamp,
    ) -> Standing {
        if let Some(tiers) = self.trusted(place, now) {
            return Standing { ruling: Ruling::Admit, tiers, turned: None, contended: false };
        }
        let known = self.take(place);
        let judged = update(store, &place.key(), |mut condition: Condition| {
            let before = condition.breaker.phase();
            let mut changed = record(&mut condition, config, &known.pending);
            let (breaker, ruling) = config.breaker.judge(
                &condition.breaker,
                asker,
                |since| condition.health.signals_since(&config.health, since, now),
                now,
            );
            changed |= breaker.is_some();
            condition.breaker = breaker.unwrap_or(condition.breaker);
            let phase = condition.breaker.phase();
            let signals = condition.health.signals(&config.health, now);
            let (record, tiers) = config.switches.judge(&condition.tiers, &signals, phase, now);
            changed |= record.is_some();
            condition.tiers = record.unwrap_or(condition.tiers);
            let turned = Some(phase).filter(|phase| *phase != before);
            (changed.then_some(condition), (ruling, tiers, phase, turned))
        });
        match judged {
            Ok((ruling, tiers, phase, turned)) => {
                self.put(place, Known { looked_at: Some(now), phase, tiers, pending: Vec::new() });
                Standing { ruling, tiers, turned, contended: false }
            }
            Err(Contended) => {
                let closed = known.phase == Phase::Closed;
                let ruling = if closed { Ruling::Admit } else { Ruling::Refuse { wait: 100 * MILLISECOND } };
                let tiers = known.tiers;
                self.put(place, known);
                Standing { ruling, tiers, turned: None, contended: true }
            }
        }
    }

    /// Records the outcome of a request, and of its probe if it was one. Returns the new phase of the breaker, if it
    /// has changed.
    pub fn report(
        &self,
        store: &dyn Store,
        config: &Config,
        place: Place,
        (sample, probe): (Sample, Option<Probe>),
        now: Timestamp,
    ) -> Result<Option<Phase>, Contended> {
        let slow = config.health.is_slow(&sample);
        let is_usual = matches!(sample.outcome, Outcome::Success | Outcome::Ignored) && !slow;
        if is_usual && probe.is_none() && self.set_aside(place, (sample, now)) {
            return Ok(None);
        }
        let mut known = self.take(place);
        known.pending.push((sample, now));
        let told = update(store, &place.key(), |mut condition: Condition| {
            let before = condition.breaker.phase();
            let mut changed = record(&mut condition, config, &known.pending);
            let reported = probe.and_then(|probe| {
                let told = (sample.outcome, slow);
                config.breaker.report(&condition.breaker, (probe, sample.who), told, now)
            });
            changed |= reported.is_some();
            condition.breaker = reported.unwrap_or(condition.breaker);
            let turned = Some(condition.breaker.phase()).filter(|phase| *phase != before);
            (changed.then_some(condition), turned)
        });
        known.looked_at = None;
        known.pending.clear();
        self.put(place, known);
        told
    }

    /// Returns the tiers of a place whose state can be trusted.
    fn trusted(&self, place: Place, now: Timestamp) -> Option<Tiers<bool>> {
        let known = self.known.try_borrow().ok()?;
        let known = known.get(&place).filter(|known| known.phase == Phase::Closed)?;
        let age = now.as_nanos().checked_sub(known.looked_at?.as_nanos())?;
        (age < TRUST).then_some(known.tiers)
    }

    /// Queues a sample for the next read. Returns false if the queue is full.
    fn set_aside(&self, place: Place, sample: (Sample, Timestamp)) -> bool {
        let Ok(mut known) = self.known.try_borrow_mut() else { return false };
        let pending = known.get_mut(&place).map(|known| &mut known.pending);
        let Some(pending) = pending.filter(|pending| pending.len() < MOST_PENDING) else { return false };
        pending.push(sample);
        true
    }

    fn take(&self, place: Place) -> Known {
        self.known.try_borrow_mut().ok().and_then(|mut known| known.remove(&place)).unwrap_or_default()
    }

    fn put(&self, place: Place, seen: Known) {
        if let Ok(mut known) = self.known.try_borrow_mut() {
            if known.len() >= MOST_PLACES {
                known.clear();
            }
            known.insert(place, seen);
        }
    }
}

/// Records the samples of a worker. Returns false if they change nothing.
fn record(condition: &mut Condition, config: &Config, pending: &[(Sample, Timestamp)]) -> bool {
    let Some(health) = condition.health.record_all(&config.health, pending) else { return false };
    condition.health = health;
    true
}

#[cfg(test)]
mod tests;
