#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;

mod interleaved;

const RULE: BreakerRule = BreakerRule {
    min_requests: 20,
    error_ratio: HALF,
    slow_ratio: Some(HALF),
    open_for: 5,
    max_open_for: 60,
    probes: 3,
    probe_ttl: 10,
};

const HALF: Ratio = match Ratio::from_millionths(500_000) {
    Some(half) => half,
    None => panic!(),
};

const WELL: Counts = Counts { requests: 100, errors: 0, slow: 0, overloads: 0, first_byte: 0 };
const ILL: Counts = Counts { requests: 20, errors: 10, ..WELL };

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn breaker() -> Breaker {
    Breaker::new(RULE).unwrap()
}

/// A breaker's record, and what is said to one request after the other.
#[derive(Default)]
struct Kept {
    record: BreakerRecord,
}

impl Kept {
    fn ask(&mut self, counts: Counts, now: u64) -> Ruling {
        let (new, ruling) = breaker().judge(&self.record, |_| counts, at(now));
        self.record = new.unwrap_or(self.record.clone());
        ruling
    }

    fn probe(&mut self, now: u64) -> Probe {
        match self.ask(WELL, now) {
            Ruling::Probe(probe) => probe,
            other => panic!("{other:?} at {now}"),
        }
    }

    fn tell(&mut self, probe: Probe, outcome: Outcome, now: u64) -> bool {
        let new = breaker().report(&self.record, probe, outcome, false, at(now));
        let heard = new.is_some();
        self.record = new.unwrap_or(self.record.clone());
        heard
    }

    fn tripped_at(now: u64) -> Self {
        let mut kept = Self::default();
        assert_eq!(kept.ask(ILL, now), Ruling::Refuse { wait: 5 });
        kept
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
    assert_eq!(kept.ask(Counts::default(), 0), Ruling::Admit);
    assert_eq!(kept.ask(Counts { requests: 19, errors: 19, slow: 19, ..WELL }, 0), Ruling::Admit);
    assert_eq!(kept.record, BreakerRecord::default());
}

#[test]
fn errors_trip_it_and_so_do_slow_answers_but_not_overload() {
    assert_eq!(
        Kept::default().ask(Counts { errors: 49, slow: 49, overloads: 100, ..WELL }, 0),
        Ruling::Admit
    );
    assert_eq!(Kept::default().ask(Counts { errors: 50, ..WELL }, 0), Ruling::Refuse { wait: 5 });
    assert_eq!(Kept::default().ask(Counts { slow: 50, ..WELL }, 0), Ruling::Refuse { wait: 5 });
}

#[test]
fn only_answers_since_it_closed_are_asked_for() {
    let mut kept = Kept::tripped_at(0);
    let probes = [kept.probe(5), kept.probe(5), kept.probe(5)];
    for probe in probes {
        assert!(kept.tell(probe, Outcome::Success, 7));
    }
    let mut asked = None;
    let counts = |since| {
        asked = Some(since);
        WELL
    };
    assert_eq!(breaker().judge(&kept.record, counts, at(9)), (None, Ruling::Admit));
    assert_eq!(asked, Some(at(7)));
}

#[test]
fn as_many_probes_go_as_are_configured_and_when_all_pass_it_closes() {
    let mut kept = Kept::tripped_at(0);
    assert_eq!(kept.ask(WELL, 4), Ruling::Refuse { wait: 1 });
    let (one, two, three) = (kept.probe(5), kept.probe(5), kept.probe(6));
    assert_eq!(kept.ask(WELL, 6), Ruling::Refuse { wait: 9 });
    kept.tell(one, Outcome::Success, 7);
    assert_eq!(kept.ask(WELL, 7), Ruling::Refuse { wait: 8 });
    kept.tell(two, Outcome::Overload, 7);
    assert!(!kept.tell(two, Outcome::Success, 7));
    assert_eq!(kept.record.phase(), Phase::HalfOpen);
    kept.tell(three, Outcome::Success, 8);
    assert_eq!((kept.record.phase(), kept.ask(WELL, 8)), (Phase::Closed, Ruling::Admit));
}

#[test]
fn each_failed_probe_doubles_the_time_open_up_to_the_cap() {
    let (mut kept, mut now) = (Kept::tripped_at(0), 0);
    for open_for in [5, 10, 20, 40, 60, 60] {
        assert_eq!(kept.ask(WELL, now), Ruling::Refuse { wait: open_for });
        now += open_for;
        let probe = kept.probe(now);
        kept.tell(probe, Outcome::Failure, now);
        assert_eq!(kept.record.phase(), Phase::Open);
    }
}

#[test]
fn one_that_trips_soon_after_it_closed_opens_for_longer_and_one_that_lasted_begins_anew() {
    let close = |kept: &mut Kept| {
        for probe in [kept.probe(5), kept.probe(5), kept.probe(5)] {
            kept.tell(probe, Outcome::Success, 5);
        }
    };
    let mut kept = Kept::tripped_at(0);
    close(&mut kept);
    assert_eq!(kept.ask(ILL, 64), Ruling::Refuse { wait: 10 });
    let mut kept = Kept::tripped_at(0);
    close(&mut kept);
    assert_eq!(kept.ask(ILL, 65), Ruling::Refuse { wait: 5 });
}

#[test]
fn a_slow_probe_has_failed_where_slowness_counts() {
    let mut kept = Kept::tripped_at(0);
    let probe = kept.probe(5);
    let told = |breaker: Breaker| breaker.report(&kept.record, probe, Outcome::Success, true, at(6)).unwrap();
    assert_eq!(told(breaker()).phase(), Phase::Open);
    let patient = Breaker::new(BreakerRule { slow_ratio: None, ..RULE }).unwrap();
    assert_eq!(told(patient).phase(), Phase::HalfOpen);
}

#[test]
fn a_probe_whose_client_left_lets_another_go() {
    let mut kept = Kept::tripped_at(0);
    let (one, _, _) = (kept.probe(5), kept.probe(5), kept.probe(5));
    assert!(kept.tell(one, Outcome::Ignored, 6));
    kept.probe(6);
    assert_eq!(kept.ask(WELL, 6), Ruling::Refuse { wait: 9 });
}

#[test]
fn a_probe_that_does_not_come_back_is_replaced_and_not_heard_afterwards() {
    let mut kept = Kept::tripped_at(0);
    let lost = [kept.probe(5), kept.probe(5), kept.probe(5)];
    assert_eq!(kept.ask(WELL, 14), Ruling::Refuse { wait: 1 });
    let next = kept.probe(15);
    for probe in lost {
        assert!(!kept.tell(probe, Outcome::Failure, 15));
    }
    assert!(kept.tell(next, Outcome::Success, 16));
}

#[test]
fn fewer_probes_after_a_reload_do_not_leave_it_half_open() {
    let mut kept = Kept::tripped_at(0);
    let probe = kept.probe(5);
    kept.tell(probe, Outcome::Success, 6);
    let fewer = Breaker::new(BreakerRule { probes: 1, ..RULE }).unwrap();
    let (new, ruling) = fewer.judge(&kept.record, |_| WELL, at(7));
    assert_eq!((new.unwrap().phase(), ruling), (Phase::Closed, Ruling::Admit));
}

#[test]
fn a_clock_that_stepped_back_opens_it_for_no_longer_than_the_cap() {
    let mut kept = Kept::tripped_at(1_000_000);
    assert_eq!(kept.ask(WELL, 500), Ruling::Refuse { wait: 60 });
    assert_eq!(kept.ask(WELL, 559), Ruling::Refuse { wait: 1 });
    kept.probe(560);
}

#[test]
fn a_clock_that_stepped_back_while_closed_does_not_blind_it() {
    let mut kept = Kept::tripped_at(1_000);
    for probe in [kept.probe(1_005), kept.probe(1_005), kept.probe(1_005)] {
        kept.tell(probe, Outcome::Success, 1_005);
    }
    assert_eq!(kept.ask(ILL, 10), Ruling::Admit);
    assert!(matches!(kept.ask(ILL, 11), Ruling::Refuse { .. }));
}
