//! Lets workers read, decide and swap in any order, and checks what must be true whatever the order.

use super::*;
use proptest::prelude::*;

const WORKERS: usize = 4;
const CLIENTS: u64 = 5;

#[derive(Clone, Debug)]
enum Step {
    Begin { worker: usize, client: u64, is_short: bool, ill: bool },
    Report { worker: usize, which: usize, outcome: Outcome },
    Swap { worker: usize },
    Die { worker: usize },
    Wait { nanos: u64 },
}

fn steps(back: u64) -> impl Strategy<Value = Vec<Step>> {
    use Outcome::{Broken, Failure, GivenUp, Ignored, Overload, Success};
    let outcomes = vec![Success, Success, Success, Success, Overload, Ignored, GivenUp, Failure, Broken];
    let outcome = prop::sample::select(outcomes);
    let ask = (0..WORKERS, 0..CLIENTS, prop::bool::weighted(0.8), prop::bool::weighted(0.2));
    let step = prop_oneof![
        4 => ask.prop_map(|(worker, client, is_short, ill)| Step::Begin { worker, client, is_short, ill }),
        3 => (0..WORKERS, 0..8_usize, outcome)
            .prop_map(|(worker, which, outcome)| Step::Report { worker, which, outcome }),
        6 => (0..WORKERS).prop_map(|worker| Step::Swap { worker }),
        1 => (0..WORKERS).prop_map(|worker| Step::Die { worker }),
        3 => (0..3 * SECOND).prop_map(|nanos| Step::Wait { nanos }),
        (back as u32).min(1) => (0..=back).prop_map(|nanos| Step::Wait { nanos: nanos.wrapping_neg() }),
    ];
    prop::collection::vec(step, 1..150)
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Ask(Asker, Signals),
    Tell(Probe, u64, Outcome),
}

/// A worker's decision between its read and its swap.
#[derive(Clone, Debug)]
struct Pending {
    job: Job,
    now: u64,
    seen: (BreakerRecord, u64),
}

struct World {
    now: u64,
    stored: (BreakerRecord, u64),
    pending: [Option<Pending>; WORKERS],
    probes: Vec<(Probe, u64)>,
    /// The probes under way since the breaker became half-open, with their client and time.
    under_way: Vec<(Probe, u64, u64)>,
}

impl World {
    fn new(now: u64) -> Self {
        let stored = (BreakerRecord::default(), 0);
        Self { now, stored, pending: [const { None }; WORKERS], probes: vec![], under_way: vec![] }
    }

    fn look(&mut self, worker: usize, job: Job) {
        self.pending[worker] = Some(Pending { job, now: self.now, seen: self.stored.clone() });
    }

    fn swap(&mut self, worker: usize) {
        let Some(pending) = self.pending[worker].take() else { return };
        let (new, said) = match pending.job {
            Job::Ask(asker, signals) => {
                let (new, ruling) = breaker().judge(&pending.seen.0, &asker, |_| signals, at(pending.now));
                (new, Some((ruling, asker)))
            }
            Job::Tell(probe, client, outcome) => {
                let told = ((probe, who(client)), (outcome, false));
                (breaker().report(&pending.seen.0, told.0, told.1, at(pending.now)), None)
            }
        };
        let Some(new) = new else { return };
        if pending.seen.1 != self.stored.1 {
            self.pending[worker] = Some(Pending { seen: self.stored.clone(), ..pending });
            return;
        }
        self.stored = (new, self.stored.1 + 1);
        match (pending.job, said) {
            (Job::Tell(probe, ..), _) => self.under_way.retain(|(known, ..)| *known != probe),
            (_, Some((Ruling::Probe(probe), asker))) => {
                let client = (asker.who.address >> 32) - 1;
                self.probes.push((probe, client));
                self.under_way.push((probe, client, pending.now));
            }
            _ => {}
        }
        if self.stored.0.phase() != Phase::HalfOpen {
            self.under_way.clear();
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Begin { worker, client, is_short, ill } => {
                let asker = Asker { who: who(client), is_short };
                self.look(worker, Job::Ask(asker, if ill { super::ill() } else { well() }));
            }
            Step::Report { worker, which, outcome } => {
                let recent = self.probes.len().saturating_sub(1 + which);
                if let Some((probe, client)) = self.probes.get(recent).copied() {
                    self.look(worker, Job::Tell(probe, client, outcome));
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
    fn probes_under_way_are_never_more_than_the_round_has(steps in steps(0)) {
        let mut world = World::new(0);
        for step in steps {
            world.run(step);
            let now = world.now;
            let live = world.under_way.iter().filter(|(_, _, sent)| now < sent + RULE.probe_ttl).count();
            prop_assert!(live <= RULE.probes as usize * 4, "{live} under way");
            prop_assert!(world.stored.0.probes.under_way.len() <= RULE.probes as usize * 4);
        }
    }

    #[test]
    fn a_healthy_cluster_recovers_whatever_happened_before(
        steps in steps(1_000),
        step_back in 0..1_u64 << 40,
        clients in 1..CLIENTS,
        is_short: bool,
    ) {
        let mut world = World::new(1 << 40);
        steps.into_iter().for_each(|step| world.run(step));
        let mut kept = Kept { record: world.stored.0 };
        let mut now = world.now.saturating_sub(step_back);
        let latest = now + RULE.max_open_for + 20 * SECOND;
        for n in 0.. {
            if kept.record.phase() == Phase::Closed {
                break;
            }
            let client = n % clients;
            match kept.asks(Asker { who: who(client), is_short }, well(), now) {
                Ruling::Admit => {}
                Ruling::Probe(probe) => prop_assert!(kept.tells(client, probe, Outcome::Success, now)),
                Ruling::Refuse { wait } => now += wait,
            }
            prop_assert!(now <= latest);
        }
    }

    #[test]
    fn any_bytes_are_readable_as_a_record(bytes: Vec<u8>, number: u32, now: u64, address: u64, key: u64) {
        let record = BreakerRecord::from_bytes(&bytes);
        let asker = Asker { who: Who { address, key }, is_short: true };
        let (new, ruling) = breaker().judge(&record, &asker, |_| ill(), at(now));
        if let Ruling::Refuse { wait } = ruling {
            prop_assert!((1..=RULE.max_open_for).contains(&wait) || now > u64::MAX - 100 * SECOND);
        }
        let new = new.unwrap_or(record);
        breaker().report(&new, (Probe { number }, asker.who), (Outcome::Success, true), at(now));
        prop_assert_eq!(BreakerRecord::from_bytes(&new.to_bytes()), new);
    }
}
