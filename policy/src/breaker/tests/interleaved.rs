//! Workers that look, decide and swap in any order, against the breaker's definition written down naively, and against
//! what must hold whatever the definition says.

use super::*;
use proptest::prelude::*;

const WORKERS: usize = 4;

/// The definition: no packing, no table of leases, no shortcuts.
#[derive(Clone, Debug)]
struct Definition {
    phase: Now,
    last_open: Option<u64>,
    sent: u32,
}

#[derive(Clone, Debug, PartialEq)]
enum Now {
    Closed { since: u64 },
    Open { until: u64 },
    HalfOpen { passed: u32, probes: Vec<(u32, u64)> },
}

impl Definition {
    fn open(&mut self, now: u64) -> Ruling {
        let length = self.last_open.map_or(RULE.open_for, |last| (2 * last).min(RULE.max_open_for));
        self.last_open = Some(length);
        self.phase = Now::Open { until: now + length };
        Ruling::Refuse { wait: length }
    }

    fn ask(&mut self, counts: Counts, now: u64) -> Ruling {
        match self.phase.clone() {
            Now::Closed { since } if since > now => {
                self.phase = Now::Closed { since: now };
                Ruling::Admit
            }
            Now::Closed { since } => {
                let enough = counts.requests >= RULE.min_requests;
                if !enough || (counts.errors * 2 < counts.requests && counts.slow * 2 < counts.requests) {
                    return Ruling::Admit;
                }
                if now >= since + RULE.max_open_for {
                    self.last_open = None;
                }
                self.open(now)
            }
            Now::Open { until } if until > now + RULE.max_open_for => {
                self.phase = Now::Open { until: now + RULE.max_open_for };
                Ruling::Refuse { wait: RULE.max_open_for }
            }
            Now::Open { until } if until > now => Ruling::Refuse { wait: until - now },
            Now::Open { .. } => {
                self.phase = Now::HalfOpen { passed: 0, probes: Vec::new() };
                self.ask(counts, now)
            }
            Now::HalfOpen { passed, mut probes } => {
                probes.retain(|(_, expires)| *expires > now && *expires <= now + 2 * RULE.probe_ttl);
                if passed as usize + probes.len() >= RULE.probes as usize {
                    let first = probes.iter().map(|(_, expires)| expires - now).min();
                    return Ruling::Refuse { wait: first.unwrap() };
                }
                self.sent += 1;
                probes.push((self.sent, now + RULE.probe_ttl));
                self.phase = Now::HalfOpen { passed, probes };
                Ruling::Probe(Probe { number: self.sent })
            }
        }
    }

    fn tell(&mut self, probe: Probe, outcome: Outcome, now: u64) -> bool {
        let Now::HalfOpen { passed, probes } = &mut self.phase else { return false };
        let live = |(number, expires): &(u32, u64)| {
            *number == probe.number && *expires > now && *expires <= now + 2 * RULE.probe_ttl
        };
        let Some(at) = probes.iter().position(live) else { return false };
        probes.remove(at);
        match outcome {
            Outcome::Ignored => {}
            Outcome::Failure | Outcome::Broken => {
                self.open(now);
            }
            Outcome::Success | Outcome::Overload => {
                *passed += 1;
                if *passed == RULE.probes {
                    self.phase = Now::Closed { since: now };
                }
            }
        }
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin { worker: usize, ill: bool },
    Report { worker: usize, which: usize, outcome: Outcome },
    Swap { worker: usize },
    Die { worker: usize },
    Wait { nanos: u64 },
}

fn steps(back: u64) -> impl Strategy<Value = Vec<Step>> {
    use Outcome::{Broken, Failure, Ignored, Overload, Success};
    let outcome = prop::sample::select(vec![Success, Success, Success, Overload, Ignored, Failure, Broken]);
    let step = prop_oneof![
        4 => (0..WORKERS, prop::bool::weighted(0.2)).prop_map(|(worker, ill)| Step::Begin { worker, ill }),
        3 => (0..WORKERS, 0..8_usize, outcome)
            .prop_map(|(worker, which, outcome)| Step::Report { worker, which, outcome }),
        6 => (0..WORKERS).prop_map(|worker| Step::Swap { worker }),
        1 => (0..WORKERS).prop_map(|worker| Step::Die { worker }),
        3 => (0..8_u64).prop_map(|nanos| Step::Wait { nanos }),
        (back as u32).min(1) => (0..=back).prop_map(|nanos| Step::Wait { nanos: nanos.wrapping_neg() }),
    ];
    prop::collection::vec(step, 1..150)
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Ask(Counts),
    Tell(Probe, Outcome),
}

/// Between looking and swapping, which takes less than a lease lasts.
#[derive(Clone, Debug)]
struct Pending {
    job: Job,
    now: u64,
    seen: (BreakerRecord, u64),
    defined: Definition,
}

struct World {
    now: u64,
    stored: (BreakerRecord, u64),
    defined: Definition,
    pending: [Option<Pending>; WORKERS],
    probes: Vec<Probe>,
    /// Probes under way, as an outsider counts them: when each was sent.
    under_way: Vec<(Probe, u64)>,
    passed: u32,
}

impl World {
    fn new(now: u64) -> Self {
        let defined = Definition { phase: Now::Closed { since: 0 }, last_open: None, sent: 0 };
        let stored = (BreakerRecord::default(), 0);
        Self {
            now,
            stored,
            defined,
            pending: [const { None }; WORKERS],
            probes: vec![],
            under_way: vec![],
            passed: 0,
        }
    }

    fn look(&mut self, worker: usize, job: Job) {
        let (seen, defined) = (self.stored.clone(), self.defined.clone());
        self.pending[worker] = Some(Pending { job, now: self.now, seen, defined });
    }

    fn swap(&mut self, worker: usize) {
        let Some(mut pending) = self.pending[worker].take() else { return };
        if self.now.saturating_sub(pending.now) >= RULE.probe_ttl {
            return;
        }
        let (new, said) = match pending.job {
            Job::Ask(counts) => {
                let (new, ruling) = breaker().judge(&pending.seen.0, |_| counts, at(pending.now));
                assert_eq!(ruling, pending.defined.ask(counts, pending.now));
                (new, Some(ruling))
            }
            Job::Tell(probe, outcome) => {
                let new = breaker().report(&pending.seen.0, probe, outcome, false, at(pending.now));
                assert_eq!(new.is_some(), pending.defined.tell(probe, outcome, pending.now));
                (new, None)
            }
        };
        let Some(new) = new else { return };
        if pending.seen.1 != self.stored.1 {
            let (seen, defined) = (self.stored.clone(), self.defined.clone());
            self.pending[worker] = Some(Pending { seen, defined, ..pending });
            return;
        }
        self.stored = (new, self.stored.1 + 1);
        self.defined = pending.defined;
        self.note(pending.job, said, pending.now);
    }

    fn note(&mut self, job: Job, said: Option<Ruling>, sent: u64) {
        if let (Job::Tell(probe, outcome), None) = (job, said) {
            self.under_way.retain(|(known, _)| *known != probe);
            self.passed += u32::from(matches!(outcome, Outcome::Success | Outcome::Overload));
        }
        if let Some(Ruling::Probe(probe)) = said {
            self.probes.push(probe);
            self.under_way.push((probe, sent));
        }
        let open = matches!(self.defined.phase, Now::Open { .. });
        let closed = matches!(self.defined.phase, Now::Closed { .. });
        if open || closed {
            (self.passed, self.under_way) = (0, vec![]);
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Begin { worker, ill } => self.look(worker, Job::Ask(if ill { ILL } else { WELL })),
            Step::Report { worker, which, outcome } => {
                let recent = self.probes.len().saturating_sub(1 + which);
                if let Some(probe) = self.probes.get(recent).copied() {
                    self.look(worker, Job::Tell(probe, outcome));
                }
            }
            Step::Swap { worker } => self.swap(worker),
            Step::Die { worker } => self.pending[worker] = None,
            Step::Wait { nanos } => self.now = self.now.wrapping_add(nanos),
        }
    }
}

proptest! {
    #[test]
    fn workers_in_any_order_agree_with_the_definition(steps in steps(0)) {
        let mut world = World::new(0);
        for step in steps {
            world.run(step);
            let phase = match world.defined.phase {
                Now::Closed { .. } => Phase::Closed,
                Now::Open { .. } => Phase::Open,
                Now::HalfOpen { .. } => Phase::HalfOpen,
            };
            prop_assert_eq!(world.stored.0.phase(), phase);
        }
    }

    #[test]
    fn a_clock_that_steps_changes_nothing_of_that(steps in steps(1_000)) {
        let mut world = World::new(1 << 40);
        steps.into_iter().for_each(|step| world.run(step));
    }

    #[test]
    fn probes_under_way_and_passed_are_never_more_than_configured(steps in steps(0)) {
        let mut world = World::new(0);
        for step in steps {
            world.run(step);
            let now = world.now;
            let live = world.under_way.iter().filter(|(_, sent)| now < sent + RULE.probe_ttl).count();
            let passed = world.passed as usize;
            prop_assert!(live + passed <= RULE.probes as usize, "{live} under way, {passed} passed");
        }
    }

    #[test]
    fn whatever_happened_a_well_cluster_is_asked_again_and_recovers(
        steps in steps(1_000),
        step_back in 0..1_u64 << 40,
    ) {
        let mut world = World::new(1 << 40);
        steps.into_iter().for_each(|step| world.run(step));
        let mut kept = Kept { record: world.stored.0 };
        let mut now = world.now.saturating_sub(step_back);
        let latest = now + RULE.max_open_for + 2 * RULE.probe_ttl;
        while kept.record.phase() != Phase::Closed {
            match kept.ask(WELL, now) {
                Ruling::Admit => {}
                Ruling::Probe(probe) => prop_assert!(kept.tell(probe, Outcome::Success, now)),
                Ruling::Refuse { wait } => now += wait,
            }
            prop_assert!(now <= latest);
        }
    }

    #[test]
    fn any_bytes_are_a_record_and_say_something(bytes: Vec<u8>, number: u32, now: u64) {
        let record = BreakerRecord::from_bytes(&bytes);
        let (new, ruling) = breaker().judge(&record, |_| ILL, at(now));
        if let Ruling::Refuse { wait } = ruling {
            prop_assert!((1..=RULE.max_open_for).contains(&wait) || now > u64::MAX - 100);
        }
        let new = new.unwrap_or(record);
        breaker().report(&new, Probe { number }, Outcome::Success, true, at(now));
        prop_assert_eq!(new.state().pack(), new);
    }
}
