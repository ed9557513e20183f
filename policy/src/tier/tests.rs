#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::health::clients::Shares;
use proptest::prelude::*;

const HOLD: u64 = 100;

fn percent(percent: u32) -> Ratio {
    Ratio::from_millionths(percent * 10_000).unwrap()
}

fn rule(at: Thresholds) -> TierRule {
    TierRule::new(at, percent(50), HOLD, 20).unwrap()
}

fn errors() -> Tiers<Switch> {
    let at = Thresholds { error_ratio: Some(percent(20)), ..Thresholds::default() };
    Tiers { reduce: Switch::Measured(rule(at)), ..Tiers::default() }
}

fn failing(errors: u32) -> Signals {
    Signals {
        counts: Counts { requests: 100, ..Counts::default() },
        shares: Shares { errors: errors.saturating_mul(10_000), ..Shares::default() },
        covered: 1,
        ..Signals::default()
    }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Returns whether the first tier is on after each of the signals.
fn on(tiers: &Tiers<Switch>, signals: impl IntoIterator<Item = (u64, Signals)>) -> Vec<bool> {
    let mut record = TierRecord::default();
    let step = |(time, signals)| {
        let (new, active) = tiers.judge(&record, &signals, Phase::Closed, at(time));
        record = new.unwrap_or(record.clone());
        active.reduce
    };
    signals.into_iter().map(step).collect()
}

#[test]
fn a_tier_that_would_never_be_on_or_always_is_refused() {
    let none = Thresholds::default();
    let new = |at| TierRule::new(at, percent(50), HOLD, 0).map(|_| ());
    assert_eq!(new(none), Err(InvalidTier::NoSignal));
    for at in [
        Thresholds { error_ratio: Some(percent(0)), breaker: true, ..none },
        Thresholds { slow_ratio: Some(percent(0)), ..none },
        Thresholds { overload_ratio: Some(percent(0)), ..none },
        Thresholds { request_rate: Some(0), ..none },
        Thresholds { first_byte: Some(0), ..none },
        Thresholds { total: Some(0), ..none },
        Thresholds { anomalous: Some(0), ..none },
    ] {
        assert_eq!(new(at), Err(InvalidTier::ZeroThreshold), "{at:?}");
    }
}

#[test]
fn a_tier_is_on_from_its_threshold_until_the_hold_time_below_half_of_it() {
    let signals = [(0, 19), (1, 20), (2, 10), (500, 9), (599, 9), (600, 9), (601, 19)];
    let signals = signals.map(|(time, errors)| (time, failing(errors)));
    assert_eq!(on(&errors(), signals), [false, true, true, true, true, false, false]);
}

#[test]
fn a_signal_that_rises_again_starts_the_hold_time_over() {
    let signals = [(0, 20), (1, 0), (100, 10), (101, 0), (200, 0), (201, 0)];
    let signals = signals.map(|(time, errors)| (time, failing(errors)));
    assert_eq!(on(&errors(), signals), [true, true, true, true, true, false]);
}

#[test]
fn too_few_requests_neither_turn_a_tier_on_nor_keep_it_on() {
    let few = Signals { counts: Counts { requests: 19, ..Counts::default() }, ..failing(100) };
    assert_eq!(on(&errors(), [(0, few)]), [false]);
    assert_eq!(on(&errors(), [(0, failing(50)), (1, few), (101, few)]), [true, true, false]);
}

#[test]
fn nothing_is_stored_while_nothing_changes() {
    let record = TierRecord::default();
    let judge = |record: &TierRecord, errors_now, now| {
        errors().judge(record, &failing(errors_now), Phase::Closed, at(now)).0
    };
    assert_eq!(judge(&record, 0, 0), None);
    let on = judge(&record, 20, 0).unwrap();
    assert_eq!(judge(&on, 15, 1), None);
    let calm = judge(&on, 0, 2).unwrap();
    assert_eq!(judge(&calm, 0, 3), None);
}

#[test]
fn each_signal_turns_on_the_tier_that_names_it() {
    let none = Thresholds::default();
    let half = Some(percent(50));
    let counts = Counts { requests: 100, ..Counts::default() };
    let share = Shares::default();
    let well = Signals { counts, covered: 1_000_000_000_000, ..Signals::default() };
    for (at, ill) in [
        (
            Thresholds { slow_ratio: half, ..none },
            Signals { shares: Shares { slow: 500_000, ..share }, ..well },
        ),
        (
            Thresholds { overload_ratio: half, ..none },
            Signals { shares: Shares { overloads: 500_000, ..share }, ..well },
        ),
        (Thresholds { request_rate: Some(101), ..none }, Signals { covered: 900_000_000_000, ..well }),
        (Thresholds { first_byte: Some(7), ..none }, Signals { first_byte: 7, ..well }),
        (Thresholds { total: Some(7), ..none }, Signals { total: 7, ..well }),
        (Thresholds { anomalous: Some(3), ..none }, Signals { anomalous: 3, ..well }),
    ] {
        let tiers = Tiers { reduce: Switch::Measured(rule(at)), ..Tiers::default() };
        assert_eq!(on(&tiers, [(0, well), (1, ill)]), [false, true], "{at:?}");
    }
}

#[test]
fn a_breaker_that_is_not_closed_needs_no_requests() {
    let at_breaker = rule(Thresholds { breaker: true, ..Thresholds::default() });
    let tiers = Tiers { cached: Switch::Measured(at_breaker), ..Tiers::default() };
    let cached = |phase| tiers.judge(&TierRecord::default(), &Signals::default(), phase, at(0)).1.cached;
    assert!(cached(Phase::Open) && cached(Phase::HalfOpen) && !cached(Phase::Closed));
}

#[test]
fn a_drill_forces_a_tier_and_leaves_the_record_as_it_is() {
    let (record, _) = errors().judge(&TierRecord::default(), &failing(90), Phase::Closed, at(0));
    let record = record.unwrap();
    let drill = Tiers { reduce: Switch::Forced(false), cached: Switch::Never, default: Switch::Forced(true) };
    let (new, active) = drill.judge(&record, &failing(90), Phase::Open, at(1));
    assert_eq!(new, None);
    assert_eq!(active, Tiers { reduce: false, cached: false, default: true });
}

#[test]
fn after_a_clock_step_a_tier_stays_on_for_at_most_the_hold_time() {
    let signals = [(1_000_000, failing(50)), (1_000_001, failing(0)), (5, failing(0)), (105, failing(0))];
    assert_eq!(on(&errors(), signals), [true, true, true, false]);
}

proptest! {
    #[test]
    fn a_tier_is_on_exactly_as_long_as_the_definition_says(
        steps in prop::collection::vec((1_u64..60, 0_u32..40), 1..100),
    ) {
        let mut now = 0;
        let history: Vec<(u64, u32)> = steps.into_iter().map(|(gap, errors)| {
            now += gap;
            (now, errors)
        }).collect();
        let told = on(&errors(), history.iter().map(|(time, errors)| (*time, failing(*errors))));
        for (end, (now, _)) in history.iter().enumerate() {
            // The tier is on if no run below half has lasted for the hold time since the threshold was last reached.
            let reached = history[..=end].iter().rposition(|(_, errors)| *errors >= 20);
            let expected = reached.is_some_and(|reached| {
                let after = &history[reached + 1..=end];
                let lasted = |run: &[(u64, u32)]| run.first().map_or(0, |first| run[run.len() - 1].0 - first.0);
                let mut runs = after.split(|(_, errors)| *errors >= 10);
                !runs.any(|run| lasted(run) >= HOLD)
            });
            prop_assert_eq!(told[end], expected, "at {}", now);
        }
    }

    #[test]
    fn any_bytes_are_a_record(bytes: Vec<u8>, failed: u32, now: u64) {
        let record = TierRecord::from_bytes(&bytes);
        let (new, _) = errors().judge(&record, &failing(failed), Phase::Open, at(now));
        prop_assert_eq!(TierRecord::from_bytes(&record.to_bytes()), record.clone());
        let new = new.unwrap_or(record);
        prop_assert_eq!(new.states().pack().states(), new.states());
    }

    #[test]
    fn lower_thresholds_never_take_longer_to_reach(part in 0_u32..=100, failed in 0_u32..=100) {
        let at = Thresholds { error_ratio: Some(percent(20)), ..Thresholds::default() };
        let high = at.reached_by(&failing(failed), 1, Phase::Closed);
        prop_assert!(!high || at.scaled(percent(part)).reached_by(&failing(failed), 1, Phase::Closed));
    }
}
