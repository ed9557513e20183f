//! Simulates how many honest requests are served after a cluster has recovered, beside hostile ones: arrivals,
//! durations and counting in steps of five milliseconds.

use super::*;
use crate::health::{Health, HealthRule, Sample};
use core::time::Duration;

const RECOVERED: u64 = 5 * SECOND;
const END: u64 = 40 * SECOND;

/// A cheap generator that makes runs reproducible.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Copy)]
struct Job {
    client: u64,
    sent: u64,
    ends: u64,
    outcome: Outcome,
    probe: Option<Probe>,
}

/// Returns the ratio of honest requests served after the recovery. Eight clients send eight requests a second, a
/// quarter of which take 20 s. Beside them an attacker sends `rate` a second, which end as `attack` says.
fn served(seed: u64, rate: u64, attack: (Outcome, u64)) -> f64 {
    let health_rule = HealthRule::new(Duration::from_secs(10), Duration::from_secs(60)).unwrap();
    let rule = BreakerRule { slow_ratio: None, open_for: SECOND, ..RULE };
    let breaker = Breaker::new(rule).unwrap();
    let (mut health, mut record) = (Health::default(), BreakerRecord::default());
    let (mut random, mut jobs) = (Random(seed), Vec::<Job>::new());
    let (mut asked, mut served) = (0_u64, 0_u64);
    for now in (0..END).step_by(5 * MILLISECOND as usize) {
        let (over, left): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.ends <= now);
        jobs = left;
        for job in over {
            let total = Some(now - job.sent);
            let sample = Sample { who: who(job.client), outcome: job.outcome, first_byte: None, total };
            health = health.record(&health_rule, &sample, at(now)).unwrap_or(health);
            if let Some(probe) = job.probe {
                let told = breaker.report(&record, (probe, who(job.client)), (job.outcome, false), at(now));
                record = told.unwrap_or(record);
            }
        }
        let is_attack = random.below(200) < rate;
        let is_honest = random.below(200) < 8;
        for (comes, client) in [(is_attack, 99), (is_honest, random.below(8))] {
            if !comes {
                continue;
            }
            let is_long = client != 99 && random.below(4) == 0;
            let asker = Asker { who: who(client), is_short: client != 99 && !is_long };
            let signals = |since| health.signals_since(&health_rule, since, at(now));
            let (new, ruling) = breaker.judge(&record, &asker, signals, at(now));
            record = new.unwrap_or(record);
            let counts = client != 99 && now >= RECOVERED;
            asked += u64::from(counts);
            let probe = match ruling {
                Ruling::Refuse { .. } => continue,
                Ruling::Probe(probe) => Some(probe),
                Ruling::Admit => None,
            };
            served += u64::from(counts);
            let (outcome, takes) = match client {
                _ if now < RECOVERED => (Outcome::Failure, 5 * MILLISECOND),
                99 => attack,
                _ if is_long => (Outcome::Success, 20 * SECOND),
                _ => (Outcome::Success, 500 * MILLISECOND),
            };
            jobs.push(Job { client, sent: now, ends: now + takes, outcome, probe });
        }
    }
    served as f64 / asked as f64
}

fn mean_served(rate: u64, attack: (Outcome, u64)) -> f64 {
    const SEEDS: u64 = 6;
    let runs = (1..=SEEDS).map(|seed| {
        let part = served(seed, rate, attack);
        assert!(part >= 0.9, "seed {seed}, {attack:?}: {part}");
        part
    });
    runs.sum::<f64>() / SEEDS as f64
}

#[test]
fn the_honest_are_served_after_recovery_though_a_quarter_of_their_jobs_are_long() {
    assert!(mean_served(0, (Outcome::Success, 1)) >= 0.95);
}

#[test]
fn the_honest_are_served_beside_one_whose_jobs_fail_outlast_the_timeout_or_hang() {
    for attack in [
        (Outcome::Failure, MILLISECOND),
        (Outcome::Failure, 6 * SECOND),
        (Outcome::Success, 25 * SECOND),
        (Outcome::Ignored, 100 * SECOND),
    ] {
        assert!(mean_served(9, attack) >= 0.95, "{attack:?}");
    }
}
