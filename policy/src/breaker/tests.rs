#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::health::clients::Shares;
use crate::health::window::Counts;
use crate::timestamp::MILLISECOND;

mod interleaved;
mod recovery;

const SECOND: u64 = 1_000 * MILLISECOND;

const RULE: BreakerRule = BreakerRule {
    min_requests: 20,
    error_ratio: HALF,
    slow_ratio: Some(HALF),
    open_for: 5 * SECOND,
    max_open_for: 60 * SECOND,
    probes: 3,
    probe_ttl: 2 * SECOND,
};

const HALF: Ratio = match Ratio::from_millionths(500_000) {
    Some(half) => half,
    None => panic!(),
};

fn shares(errors: u32, slow: u32) -> Signals {
    let counts = Counts { requests: 20, ..Counts::default() };
    Signals { counts, shares: Shares { errors, slow, overloads: 1_000_000 }, ..Signals::default() }
}

fn well() -> Signals {
    shares(0, 0)
}

fn ill() -> Signals {
    shares(500_000, 0)
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn breaker() -> Breaker {
    Breaker::new(RULE).unwrap()
}

fn who(client: u64) -> Who {
    Who { address: (client + 1) << 32, key: (client + 1) << 33 }
}

fn short(client: u64) -> Asker {
    Asker { who: who(client), is_short: true }
}

fn long(client: u64) -> Asker {
    Asker { who: who(client), is_short: false }
}

/// A breaker's record and the decisions on successive requests.
#[derive(Clone, Default)]
struct Kept {
    record: BreakerRecord,
}

impl Kept {
    fn asks(&mut self, asker: Asker, signals: Signals, now: u64) -> Ruling {
        let (new, ruling) = breaker().judge(&self.record, &asker, |_| signals, at(now));
        self.record = new.unwrap_or(self.record.clone());
        self.record = BreakerRecord::from_bytes(&self.record.to_bytes());
        ruling
    }

    fn ask(&mut self, signals: Signals, now: u64) -> Ruling {
        self.asks(short(0), signals, now)
    }

    fn probe_of(&mut self, asker: Asker, now: u64) -> Probe {
        match self.asks(asker, well(), now) {
            Ruling::Probe(probe) => probe,
            other => panic!("{other:?} at {now}"),
        }
    }

    fn probe(&mut self, now: u64) -> Probe {
        self.probe_of(short(0), now)
    }

    fn tells(&mut self, client: u64, probe: Probe, outcome: Outcome, now: u64) -> bool {
        let new = breaker().report(&self.record, (probe, who(client)), (outcome, false), at(now));
        let heard = new.is_some();
        self.record = new.unwrap_or(self.record.clone());
        heard
    }

    fn tell(&mut self, probe: Probe, outcome: Outcome, now: u64) -> bool {
        self.tells(0, probe, outcome, now)
    }

    fn tripped_at(now: u64) -> Self {
        let mut kept = Self::default();
        assert_eq!(kept.ask(ill(), now), Ruling::Refuse { wait: 5 * SECOND });
        kept
    }

    /// Lets all rounds succeed.
    fn close(&mut self, now: u64) {
        for _ in 0..21 {
            let probe = self.probe(now);
            assert!(self.tell(probe, Outcome::Success, now));
        }
        assert_eq!(self.record.phase(), Phase::Closed);
    }

    fn is_refused(&mut self, asker: Asker, now: u64) -> bool {
        matches!(self.asks(asker, well(), now), Ruling::Refuse { .. })
    }
}

#[test]
fn a_rule_that_cannot_be_enforced_is_refused() {
    let none = Ratio::default();
    for (rule, why) in [
        (BreakerRule { min_requests: 0, ..RULE }, InvalidBreaker::ZeroRequests),
        (BreakerRule { error_ratio: none, ..RULE }, InvalidBreaker::ZeroRatio),
        (BreakerRule { slow_ratio: Some(none), ..RULE }, InvalidBreaker::ZeroRatio),
        (BreakerRule { open_for: 0, ..RULE }, InvalidBreaker::ZeroOpen),
        (BreakerRule { max_open_for: 4, ..RULE }, InvalidBreaker::CapBelowFirst),
        (BreakerRule { probes: 0, ..RULE }, InvalidBreaker::Probes),
        (BreakerRule { probes: 9, ..RULE }, InvalidBreaker::Probes),
        (BreakerRule { probe_ttl: 0, ..RULE }, InvalidBreaker::ZeroTtl),
    ] {
        assert_eq!(Breaker::new(rule), Err(why));
    }
}

#[test]
fn a_cold_start_does_not_open_it_and_neither_do_too_few_requests() {
    let mut kept = Kept::default();
    assert_eq!(kept.ask(Signals::default(), 0), Ruling::Admit);
    let few =
        Signals { counts: Counts { requests: 19, ..Counts::default() }, ..shares(1_000_000, 1_000_000) };
    assert_eq!(kept.ask(few, 0), Ruling::Admit);
    assert_eq!(kept.record, BreakerRecord::default());
}

#[test]
fn errors_and_slow_responses_trip_it_but_overload_does_not() {
    assert_eq!(Kept::default().ask(shares(499_999, 499_999), 0), Ruling::Admit);
    let refused = Ruling::Refuse { wait: 5 * SECOND };
    assert_eq!(Kept::default().ask(shares(500_000, 0), 0), refused);
    assert_eq!(Kept::default().ask(shares(0, 500_000), 0), refused);
}

#[test]
fn only_responses_since_it_closed_count() {
    let mut kept = Kept::tripped_at(0);
    kept.close(7 * SECOND);
    let mut asked = None;
    let signals = |since| {
        asked = Some(since);
        well()
    };
    assert_eq!(breaker().judge(&kept.record, &short(0), signals, at(9 * SECOND)), (None, Ruling::Admit));
    assert_eq!(asked, Some(at(7 * SECOND)));
}

#[test]
fn each_failed_round_doubles_the_time_open_up_to_the_cap() {
    let (mut kept, mut now) = (Kept::tripped_at(0), 0);
    for open_for in [5, 10, 20, 40, 60, 60] {
        assert_eq!(kept.ask(well(), now), Ruling::Refuse { wait: open_for * SECOND });
        now += open_for * SECOND;
        for probe in [kept.probe(now), kept.probe(now), kept.probe(now)] {
            kept.tell(probe, Outcome::Failure, now);
        }
        assert_eq!(kept.record.phase(), Phase::Open);
    }
}

#[test]
fn a_breaker_that_trips_again_soon_opens_for_longer_and_one_that_lasted_starts_over() {
    let mut kept = Kept::tripped_at(0);
    kept.close(5 * SECOND);
    assert_eq!(kept.clone().ask(ill(), 64 * SECOND), Ruling::Refuse { wait: 10 * SECOND });
    assert_eq!(kept.ask(ill(), 65 * SECOND), Ruling::Refuse { wait: 5 * SECOND });
}

#[test]
fn a_clock_that_stepped_back_opens_it_for_no_longer_than_the_cap() {
    let mut kept = Kept::tripped_at(1_000 * SECOND);
    assert_eq!(kept.ask(well(), 500 * SECOND), Ruling::Refuse { wait: 60 * SECOND });
    kept.probe(501 * SECOND);
    assert_eq!(kept.ask(well(), 502 * SECOND), Ruling::Refuse { wait: 58 * SECOND });
    kept.probe(560 * SECOND);
    assert_eq!(kept.record.phase(), Phase::HalfOpen);
}

#[test]
fn a_clock_that_stepped_back_while_closed_does_not_blind_it() {
    let mut kept = Kept::tripped_at(1_000 * SECOND);
    kept.close(1_005 * SECOND);
    assert_eq!(kept.ask(ill(), 10), Ruling::Admit);
    assert!(matches!(kept.ask(ill(), 11), Ruling::Refuse { .. }));
}

#[test]
fn a_closed_breaker_takes_few_bytes() {
    let mut kept = Kept::tripped_at(0);
    kept.close(5 * SECOND);
    assert_eq!(kept.record.to_bytes().len(), 17);
}

mod probing {
    use super::*;

    const HALF_OPEN: u64 = 5 * SECOND;

    #[test]
    fn a_client_that_is_alone_has_all_probes_in_rounds_that_grow_and_then_it_closes() {
        let (mut kept, mut now) = (Kept::tripped_at(0), HALF_OPEN);
        assert_eq!(kept.ask(well(), now - 1), Ruling::Refuse { wait: 1 });
        for round in [3, 6, 12] {
            let probes: Vec<_> = (0..round).map(|_| kept.probe(now)).collect();
            assert!(kept.is_refused(short(0), now));
            now += MILLISECOND;
            for probe in probes {
                assert!(kept.tell(probe, Outcome::Success, now));
                assert!(!kept.tell(probe, Outcome::Ignored, now), "it has come back");
            }
        }
        assert_eq!((kept.record.phase(), kept.ask(well(), now)), (Phase::Closed, Ruling::Admit));
    }

    #[test]
    fn among_others_a_client_has_one_probe_at_a_time_and_waits_after_a_failure() {
        let mut kept = Kept::tripped_at(0);
        kept.asks(short(1), well(), 1);
        let one = kept.probe_of(short(0), HALF_OPEN);
        assert!(kept.is_refused(short(0), HALF_OPEN));
        let same_address = Who { key: 99 << 32, ..who(0) };
        assert!(kept.is_refused(Asker { who: same_address, is_short: true }, HALF_OPEN));
        let other = kept.probe_of(short(1), HALF_OPEN);
        kept.tells(0, one, Outcome::Failure, HALF_OPEN);
        assert!(kept.is_refused(short(0), HALF_OPEN + SECOND));
        kept.tells(1, other, Outcome::Success, HALF_OPEN);
        kept.probe_of(short(1), HALF_OPEN + SECOND);
        kept.probe_of(short(0), HALF_OPEN + 2 * SECOND);
    }

    #[test]
    fn one_client_whose_probes_fail_does_not_decide_for_the_others() {
        let (mut kept, mut now) = (Kept::tripped_at(0), HALF_OPEN);
        kept.asks(short(1), well(), 1);
        for _ in 0..200 {
            now += 10 * MILLISECOND;
            for (client, outcome) in [(0, Outcome::Failure), (1, Outcome::Success), (2, Outcome::Success)] {
                if let Ruling::Probe(probe) = kept.asks(short(client), well(), now) {
                    kept.tells(client, probe, outcome, now);
                }
            }
        }
        assert_eq!(kept.record.phase(), Phase::Closed);
    }

    #[test]
    fn one_client_whose_probes_fail_does_not_end_a_round_before_others_have_come() {
        let mut kept = Kept::tripped_at(0);
        kept.asks(short(1), well(), 1);
        for client in 1..=3 {
            let probe = kept.probe_of(short(client), HALF_OPEN);
            kept.tells(client, probe, Outcome::Success, HALF_OPEN);
        }
        assert_eq!(kept.record.probes.round, 1);
        for n in 0..20 {
            let now = HALF_OPEN + n * 90 * MILLISECOND;
            let probe = kept.probe_of(short(0), now);
            assert!(kept.tells(0, probe, Outcome::Failure, now));
        }
        assert_eq!((kept.record.phase(), kept.record.probes.results.len()), (Phase::HalfOpen, 3));
        for n in 0..3 {
            let probe = kept.probe_of(short(0), HALF_OPEN + 2 * SECOND + n);
            kept.tells(0, probe, Outcome::Failure, HALF_OPEN + 2 * SECOND + n);
        }
        assert_eq!(kept.record.phase(), Phase::Open, "nobody else came");
    }

    #[test]
    fn clients_whose_probes_failed_share_one_place_and_yield_it_for_a_moment() {
        let mut kept = Kept::tripped_at(0);
        let late = (0..3).map(|client| kept.probe_of(short(client), HALF_OPEN)).count();
        assert_eq!(late, 3);
        let now = HALF_OPEN + 2 * SECOND;
        assert!(kept.is_refused(short(0), now) && kept.is_refused(short(2), now + 249 * MILLISECOND));
        kept.probe_of(short(0), now + 250 * MILLISECOND);
        assert!(kept.is_refused(short(1), now + 251 * MILLISECOND));
        kept.probe_of(short(3), now + 251 * MILLISECOND);
    }

    #[test]
    fn after_a_trip_by_one_client_the_first_other_client_is_a_scout_at_once() {
        let alone = Signals { alone: Some(who(0)), ..ill() };
        assert!(
            matches!(Kept::default().asks(short(1), alone, SECOND), Ruling::Probe(_)),
            "even if it opens it"
        );
        let mut kept = Kept::default();
        kept.asks(short(0), alone, 0);
        assert!(kept.is_refused(short(0), 1));
        let scout = kept.probe_of(long(1), 300 * MILLISECOND);
        assert!(kept.is_refused(short(2), 300 * MILLISECOND), "one is enough");
        assert!(kept.tells(1, scout, Outcome::Success, 400 * MILLISECOND));
        assert_eq!(kept.record.phase(), Phase::HalfOpen);
        let mut kept = Kept::default();
        kept.asks(short(0), ill(), 0);
        assert!(kept.is_refused(short(1), SECOND));
    }

    #[test]
    fn after_failed_probes_of_one_client_the_first_other_client_is_a_scout_at_once() {
        let mut kept = Kept::tripped_at(0);
        for probe in [(); 3].map(|()| kept.probe(HALF_OPEN)) {
            kept.tell(probe, Outcome::Failure, HALF_OPEN);
        }
        assert!(kept.is_refused(short(0), HALF_OPEN + 1));
        kept.probe_of(short(1), HALF_OPEN + 1);
    }

    #[test]
    fn a_client_whose_scout_failed_leaves_the_next_to_another() {
        let mut kept = Kept::tripped_at(0);
        kept.asks(short(1), well(), 1);
        for client in 0..3 {
            let probe = kept.probe_of(short(client), HALF_OPEN);
            kept.tells(client, probe, Outcome::Failure, HALF_OPEN);
        }
        kept.asks(short(1), well(), HALF_OPEN);
        kept.asks(short(0), well(), HALF_OPEN);
        let (first, second) = (HALF_OPEN + 2_500 * MILLISECOND, HALF_OPEN + 5 * SECOND);
        let scout = kept.probe_of(short(0), first);
        assert!(kept.tells(0, scout, Outcome::Failure, first));
        assert!(kept.is_refused(short(0), second));
        kept.probe_of(short(1), second);
    }

    #[test]
    fn a_cluster_that_fails_for_all_clients_reopens_the_breaker() {
        let mut kept = Kept::tripped_at(0);
        kept.asks(short(1), well(), 1);
        for client in 0..3 {
            let probe = kept.probe_of(short(client), HALF_OPEN);
            kept.tells(client, probe, Outcome::Failure, HALF_OPEN);
        }
        assert_eq!(kept.ask(well(), HALF_OPEN), Ruling::Refuse { wait: 10 * SECOND });
    }

    #[test]
    fn a_scout_detects_recovery_however_long_the_open_time() {
        let mut kept = Kept::tripped_at(0);
        for probe in [(); 3].map(|()| kept.probe(HALF_OPEN)) {
            kept.tell(probe, Outcome::Failure, HALF_OPEN);
        }
        let next = HALF_OPEN + 2_500 * MILLISECOND;
        assert!(kept.is_refused(short(0), next - 1));
        let scout = kept.probe(next);
        assert!(kept.is_refused(short(0), next) && kept.record.phase() == Phase::Open);
        assert!(kept.tell(scout, Outcome::Failure, next));
        assert_eq!(kept.ask(well(), next), Ruling::Refuse { wait: 7_500 * MILLISECOND });
        let mut back = Kept::tripped_at(0);
        for probe in [(); 3].map(|()| back.probe(HALF_OPEN)) {
            back.tell(probe, Outcome::Failure, HALF_OPEN);
        }
        let scout = back.probe(next);
        assert!(back.tell(scout, Outcome::Success, next));
        assert_eq!((back.record.phase(), back.record.probes.results.len()), (Phase::HalfOpen, 1));
    }

    #[test]
    fn short_requests_take_precedence_for_a_moment() {
        let mut kept = Kept::tripped_at(0);
        assert!(kept.is_refused(long(0), HALF_OPEN));
        kept.probe_of(short(0), HALF_OPEN);
        assert!(kept.is_refused(long(0), HALF_OPEN + 249 * MILLISECOND));
        kept.probe_of(long(0), HALF_OPEN + 250 * MILLISECOND);
    }

    #[test]
    fn a_late_probe_frees_its_place_and_counts_when_it_ends() {
        let mut kept = Kept::tripped_at(0);
        let late = [(); 3].map(|()| kept.probe(HALF_OPEN));
        let soon = HALF_OPEN + 2 * SECOND;
        assert!(kept.is_refused(short(0), soon - 1));
        let next = kept.probe(soon);
        assert!(late.into_iter().all(|probe| kept.tell(probe, Outcome::Success, soon + SECOND)));
        assert!(kept.tell(next, Outcome::Success, soon + SECOND), "in the next round");
    }

    #[test]
    fn a_probe_from_before_the_breaker_reopened_does_not_count() {
        let mut kept = Kept::tripped_at(0);
        let old = kept.probe(HALF_OPEN);
        for probe in [(); 3].map(|()| kept.probe(HALF_OPEN + 2 * SECOND)) {
            kept.tell(probe, Outcome::Failure, HALF_OPEN + 3 * SECOND);
        }
        assert_eq!(kept.record.phase(), Phase::Open);
        let now = HALF_OPEN + 13 * SECOND;
        kept.probe(now);
        assert!(!kept.tell(old, Outcome::Failure, now));
    }

    #[test]
    fn a_probe_whose_client_left_makes_room_and_one_that_was_given_up_late_has_failed() {
        let mut kept = Kept::tripped_at(0);
        let [one, two, three] = [(); 3].map(|()| kept.probe(HALF_OPEN));
        assert!(kept.tell(one, Outcome::Ignored, HALF_OPEN));
        assert!(kept.tell(two, Outcome::GivenUp, HALF_OPEN));
        assert_eq!(kept.record.probes.results.len(), 0);
        let report = |slow| {
            let told =
                breaker().report(&kept.record, (three, who(0)), (Outcome::GivenUp, slow), at(HALF_OPEN));
            told.unwrap().probes.results.len()
        };
        assert_eq!((report(false), report(true)), (0, 1));
    }

    #[test]
    fn a_slow_probe_fails_if_slowness_counts() {
        let mut kept = Kept::tripped_at(0);
        let probe = kept.probe(HALF_OPEN);
        let failed = |breaker: Breaker| {
            let told = breaker.report(&kept.record, (probe, who(0)), (Outcome::Success, true), at(HALF_OPEN));
            told.unwrap().probes.results[0].1
        };
        let patient = Breaker::new(BreakerRule { slow_ratio: None, ..RULE }).unwrap();
        assert_eq!((failed(breaker()), failed(patient)), (true, false));
    }

    #[test]
    fn fewer_probes_after_a_reload_do_not_leave_it_half_open() {
        let mut kept = Kept::tripped_at(0);
        let probe = kept.probe(HALF_OPEN);
        kept.tell(probe, Outcome::Success, HALF_OPEN);
        let fewer = Breaker::new(BreakerRule { probes: 1, ..RULE }).unwrap();
        let (new, ruling) = fewer.judge(&kept.record, &short(0), |_| well(), at(HALF_OPEN));
        assert!(matches!(ruling, Ruling::Probe(_)));
        assert_eq!(new.unwrap().probes.round, 1);
    }
}
