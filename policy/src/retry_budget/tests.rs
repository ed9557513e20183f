#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::ledger::Stored;
use super::*;
use crate::timestamp::SECOND;
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

const TTL: u64 = 10 * SECOND;

fn budget(ratio: &str, min: u32) -> Budget {
    Budget::new(Duration::from_nanos(TTL), ratio.parse().unwrap(), min).unwrap()
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn deposited(budget: &Budget, count: u32, now: u64) -> Ledger {
    (0..count).fold(Ledger::default(), |ledger, _| budget.deposit(ledger, at(now)))
}

/// Withdraws until the balance is empty.
fn drained(budget: &Budget, mut ledger: Ledger, now: u64) -> (Ledger, u32) {
    let mut count = 0;
    while let Ok((next, _)) = budget.withdraw(ledger, at(now)) {
        (ledger, count) = (next, count + 1);
    }
    (ledger, count)
}

#[test]
fn an_unenforceable_budget_cannot_be_built() {
    let ratio = "0.2".parse().unwrap();
    let new = |millis, min| Budget::new(Duration::from_millis(millis), ratio, min).map(|_| ());
    assert_eq!(new(999, 1), Err(InvalidBudget::Ttl));
    assert_eq!(new(60_001, 1), Err(InvalidBudget::Ttl));
    assert_eq!(new(1_000, 10_001), Err(InvalidBudget::MinRetriesTooMany));
    assert_eq!((new(1_000, 10_000), new(60_000, 0)), (Ok(()), Ok(())));
}

#[test]
fn a_ratio_of_two_fifths_is_two_fifths() {
    for (deposits, retries) in
        [(0, 0), (2, 0), (3, 1), (4, 1), (5, 2), (1_000, 400), (1_002, 400), (1_003, 401)]
    {
        let budget = budget("0.4", 0);
        let ledger = deposited(&budget, deposits, TTL);
        assert_eq!(budget.allowance(ledger, at(TTL)), retries);
        assert_eq!(drained(&budget, ledger, TTL).1, retries, "{deposits} first attempts");
    }
}

#[test]
fn a_client_that_sends_little_has_the_reserve_one_retry_at_a_time() {
    let budget = budget("0.2", 10);
    let (ledger, count) = drained(&budget, Ledger::default(), TTL);
    assert_eq!(count, 1);
    assert_eq!(budget.withdraw(ledger, at(TTL + SECOND / 10 - 1)), Err(Exhausted));
    assert_eq!(drained(&budget, ledger, TTL + SECOND / 10).1, 1);
    assert_eq!(drained(&budget, ledger, TTL + 5 * SECOND).1, 1);
}

#[test]
fn without_earnings_nothing_is_admitted() {
    let budget = budget("0", 0);
    assert_eq!(drained(&budget, deposited(&budget, 1_000, TTL), TTL).1, 0);
}

#[test]
fn a_deposit_lasts_for_nine_tenths_of_the_ttl_and_never_longer_than_it() {
    let budget = budget("1", 0);
    for offset in [0, 1, SECOND / 2, SECOND - 1] {
        let begin = 7 * TTL + offset;
        let ledger = deposited(&budget, 5, begin);
        assert_eq!(budget.allowance(ledger, at(begin + TTL - SECOND)), 5);
        assert_eq!(budget.allowance(ledger, at(begin + TTL)), 0);
    }
}

#[test]
fn a_withdrawal_that_another_budget_refused_is_as_if_never_made() {
    let budget = budget("0.5", 1);
    let before = deposited(&budget, 4, TTL);
    let (first, from_reserve) = budget.withdraw(before, at(TTL)).unwrap();
    let (second, from_deposits) = budget.withdraw(first, at(TTL)).unwrap();
    assert_eq!(budget.give_back(second, from_deposits, at(TTL)), first);
    let returned = budget.give_back(first, from_reserve, at(TTL));
    assert_eq!(budget.allowance(returned, at(TTL)), budget.allowance(before, at(TTL)));
}

#[test]
fn a_late_return_goes_to_its_own_slot_or_to_none() {
    let budget = budget("1", 0);
    let ledger = deposited(&budget, 3, TTL);
    let (ledger, withdrawal) = budget.withdraw(ledger, at(TTL)).unwrap();
    let (ledger, _) = budget.withdraw(ledger, at(TTL + 2 * SECOND)).unwrap();
    let returned = budget.give_back(ledger, withdrawal, at(TTL + 3 * SECOND));
    assert_eq!(budget.allowance(returned, at(TTL + 3 * SECOND)), 2);

    let later = 2 * TTL + SECOND;
    let refilled = (0..3).fold(ledger, |ledger, _| budget.deposit(ledger, at(later)));
    let returned = budget.give_back(refilled, withdrawal, at(later));
    assert_eq!(budget.allowance(returned, at(later)), 2);
}

#[test]
fn during_debt_nothing_is_admitted_and_all_earnings_repay_it() {
    let budget = budget("0.5", 10);
    let ledger = budget.spend(deposited(&budget, 4, TTL), 8, at(TTL));
    assert_eq!(budget.withdraw(ledger, at(TTL)), Err(Exhausted));
    assert_eq!(budget.allowance(ledger, at(TTL + 4 * SECOND / 10)), 0);
    assert_eq!(budget.withdraw(ledger, at(TTL + 5 * SECOND / 10)), Err(Exhausted));
    assert_eq!(drained(&budget, ledger, TTL + 6 * SECOND / 10).1, 1);

    let paid = (0..10).fold(ledger, |ledger, _| budget.deposit(ledger, at(TTL)));
    assert_eq!(budget.withdraw(paid, at(TTL)), Err(Exhausted));
    let paid = (0..2).fold(paid, |ledger, _| budget.deposit(ledger, at(TTL)));
    assert_eq!(budget.allowance(paid, at(TTL)), 1);
}

#[test]
fn a_debt_outlives_the_ttl_but_is_capped_at_the_earnings_of_six() {
    let budget = budget("0.5", 1);
    let mut ledger = budget.spend(deposited(&budget, 100, TTL), u32::MAX, at(TTL));
    let mut free = None;
    for second in 1..1_000_u64 {
        let now = TTL + second * SECOND;
        ledger = (0..10).fold(ledger, |ledger, _| budget.deposit(ledger, at(now)));
        if budget.allowance(ledger, at(now)) > 0 {
            free = Some(second);
            break;
        }
    }
    assert!(free.is_some_and(|second| (20..=70).contains(&second)), "free after {free:?} s");
    let idle = TTL + 8 * TTL;
    assert_eq!(budget.allowance(budget.spend(deposited(&budget, 100, TTL), u32::MAX, at(TTL)), at(idle)), 1);
}

#[test]
fn a_clock_that_steps_neither_locks_out_nor_opens_up() {
    let budget = budget("0.5", 1);
    let far = 1_000 * TTL;
    let (spent, count) = drained(&budget, deposited(&budget, 100, far), far);
    assert_eq!(count, 51);
    assert_eq!(drained(&budget, spent, TTL).1, 1);
    let (again, _) = drained(&budget, spent, TTL);
    assert_eq!(drained(&budget, again, TTL).1, 0);
    let recovered = (0..100).fold(again, |ledger, _| budget.deposit(ledger, at(2 * TTL + SECOND)));
    assert_eq!(drained(&budget, recovered, 2 * TTL + SECOND).1, 51);
    assert_eq!(drained(&budget, spent, far + far).1, 1);
}

#[test]
fn a_worker_whose_time_is_late_opens_nothing() {
    let budget = budget("0.5", 1);
    let (spent, _) = drained(&budget, deposited(&budget, 100, TTL), TTL);
    for late in [TTL - 1, TTL - SECOND, TTL - 5 * SECOND] {
        assert_eq!(drained(&budget, spent, late).1, 0);
        let touched = budget.deposit(budget.deposit(spent, at(late)), at(TTL));
        assert_eq!(drained(&budget, touched, TTL).1, 1);
    }
}

#[test]
fn a_saturated_count_earns_and_admits_nothing_more() {
    let budget = budget("1", 0);
    let ledger = deposited(&budget, 70_000, TTL);
    assert_eq!(drained(&budget, ledger, TTL).1, 65_535);
    let next = (0..70_000).fold(ledger, |ledger, _| budget.deposit(ledger, at(TTL + SECOND)));
    assert_eq!(budget.allowance(next, at(TTL + SECOND)), 2 * 65_535);
    assert_eq!(drained(&budget, next, TTL + SECOND).1, 65_535);
}

/// Withdraws a client's share until it is exhausted.
fn drained_share(budget: &Budget, mut ledger: Ledger, cluster: Ledger, now: u64) -> (Ledger, u32) {
    let mut count = 0;
    while let Ok((next, _)) = budget.withdraw_share(ledger, cluster, at(now)) {
        (ledger, count) = (next, count + 1);
    }
    (ledger, count)
}

#[test]
fn a_first_attempt_that_did_not_reach_the_cluster_pays_for_nothing() {
    let budget = budget("1", 0);
    let made_at = [TTL, TTL + SECOND - 1, TTL + SECOND, TTL + 5 * SECOND + 1];
    let ledger = made_at.iter().fold(Ledger::default(), |ledger, now| budget.deposit(ledger, at(*now)));
    for taken in made_at {
        let left = budget.take_back(ledger, at(taken), at(TTL + 6 * SECOND));
        assert_eq!(budget.allowance(left, at(TTL + 6 * SECOND)), 3);
        let expected = made_at.iter().filter(|now| **now != taken);
        let never = expected.fold(Ledger::default(), |ledger, now| budget.deposit(ledger, at(*now)));
        assert_eq!(left.deposits(), never.deposits());
        assert_eq!(budget.take_back(Ledger::default(), at(taken), at(TTL)).deposits(), 0);
    }
    let late = budget.deposit(Ledger::default(), at(TTL + 20 * SECOND));
    assert_eq!(budget.take_back(late, at(TTL), at(TTL + 20 * SECOND)), late);
}

#[test]
fn a_client_without_a_first_attempt_draws_nothing_on_a_clusters_budget() {
    let budget = budget("1", 10);
    let cluster = deposited(&budget, 1_000, TTL);
    assert_eq!(budget.withdraw_share(Ledger::default(), cluster, at(TTL)), Err(Exhausted));
    let gone = deposited(&budget, 5, TTL);
    assert_eq!(budget.withdraw_share(gone, cluster, at(2 * TTL + SECOND)), Err(Exhausted));
}

#[test]
fn a_client_that_is_alone_has_the_whole_reserve_and_one_among_many_a_quarter() {
    let budget = budget("0", 10);
    for (own, others, interval) in [(10, 0, SECOND / 10), (10, 10, SECOND / 5), (1, 1_000, 4 * SECOND / 10)] {
        let cluster = deposited(&budget, own + others, TTL);
        let (ledger, count) = drained_share(&budget, deposited(&budget, own, TTL), cluster, TTL);
        assert_eq!(count, 1);
        assert_eq!(drained_share(&budget, ledger, cluster, TTL + interval - 1).1, 0);
        assert_eq!(drained_share(&budget, ledger, cluster, TTL + interval).1, 1);
    }
    assert_eq!(budget.slowest_share(), Some(4 * SECOND / 10));
}

#[test]
fn a_share_that_the_cluster_refused_is_given_back_whole() {
    let budget = budget("0", 10);
    let cluster = deposited(&budget, 100, TTL);
    let before = deposited(&budget, 1, TTL);
    let (after, withdrawal) = budget.withdraw_share(before, cluster, at(TTL)).unwrap();
    let returned = budget.give_back(after, withdrawal, at(TTL));
    assert_eq!(drained_share(&budget, returned, cluster, TTL).1, 1);
}

#[test]
fn a_client_told_to_retry_late_is_expected_until_a_ttl_after_that() {
    let budget = budget("0", 10);
    let cluster = deposited(&budget, 100, TTL);
    let told = budget.expect(deposited(&budget, 1, TTL), 20 * SECOND, at(2 * TTL));
    for (now, count) in [(4 * TTL, 1), (5 * TTL - 1, 1), (5 * TTL, 0)] {
        assert_eq!(drained_share(&budget, told, cluster, now).1, count, "at {now}");
    }
    assert!(budget.loss(told, at(5 * TTL - 1)) > 0);
    assert_eq!(budget.loss(told, at(5 * TTL)), 0);
    let stepped = budget.expect(Ledger::default(), 0, at(1_000 * TTL));
    assert_eq!(drained_share(&budget, stepped, cluster, TTL).1, 0);
}

#[derive(Clone, Debug)]
enum Step {
    First(u32),
    Retries(u32),
    Spend(u32),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        3 => (1_u32..30).prop_map(Step::First),
        3 => (1_u32..30).prop_map(Step::Retries),
    ];
    prop::collection::vec((gaps(), step), 1..60)
}

fn gaps() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..SECOND / 5, 0..3 * SECOND, (0_u64..12).prop_map(|slots| slots * SECOND)]
}

fn ratios() -> impl Strategy<Value = u64> {
    prop_oneof![0..2_000_000_u64, Just(200_000), Just(400_000), Just(1), Just(0)]
}

fn rule(millionths: u64, min: u32) -> Budget {
    budget(&format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000), min)
}

fn within(times: &[u64], after: Option<u64>, until: u64) -> u64 {
    times.iter().filter(|time| after.is_none_or(|after| **time > after) && **time <= until).count() as u64
}

fn read(stored: &[u8]) -> Ledger {
    Stored::read_from_prefix(stored).map_or_else(|_| Ledger::default(), |(stored, _)| Ledger::from(&stored))
}

proptest! {
    #[test]
    fn no_window_has_more_retries_than_deposits_and_reserve_pay_for(
        millionths in ratios(), min in 0_u32..30, start in 0..5 * TTL, steps in steps(),
    ) {
        let budget = rule(millionths, min);
        let (mut now, mut ledger, mut firsts, mut retries) = (start, Ledger::default(), vec![], vec![]);
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::First(count) => for _ in 0..count {
                    ledger = budget.deposit(ledger, at(now));
                    firsts.push(now);
                },
                Step::Retries(count) | Step::Spend(count) => for _ in 0..count {
                    let before = ledger;
                    let promised = budget.allowance(ledger, at(now));
                    let Ok((next, withdrawal)) = budget.withdraw(ledger, at(now)) else {
                        prop_assert_eq!(promised, 0);
                        // A refusal must exceed the definition by at most one slot.
                        let made = within(&retries, now.checked_sub(TTL + SECOND), now);
                        let earned = millionths * within(&firsts, now.checked_sub(TTL - SECOND), now);
                        prop_assert!((made + 1) * 1_000_000 > earned, "refused at {now}");
                        let last = retries.last().copied().filter(|_| min > 0);
                        prop_assert!(min == 0 || last.is_some_and(|last| (now - last) * u64::from(min) < SECOND + u64::from(min)));
                        break;
                    };
                    prop_assert!(promised > 0);
                    prop_assert_ne!(before, next);
                    ledger = next;
                    retries.push(now);
                    let made = within(&retries, now.checked_sub(TTL), now) * 1_000_000;
                    let earned = millionths * within(&firsts, now.checked_sub(TTL), now);
                    let most = earned + (u64::from(min) * TTL / SECOND + 1) * 1_000_000;
                    let by_deposits = matches!(withdrawal.paid, Paid::Deposits { .. });
                    prop_assert!(made <= most || !by_deposits, "{made} of {most} at {now}");
                },
            }
        }
        // In any window [a, b], deposits of the window and of the ttl before it pay for everything.
        for (index, begin) in retries.iter().enumerate() {
            for (more, end) in retries.iter().skip(index).enumerate() {
                let made = (more as u64 + 1) * 1_000_000;
                let earned = millionths * within(&firsts, begin.checked_sub(TTL), *end);
                let reserve = u64::from(min) * (end - begin) / 1_000 + 1_000_000;
                prop_assert!(made <= earned + reserve, "{made} in {begin}..={end}");
            }
        }
    }

    #[test]
    fn an_overdraft_is_repaid_before_anything_is_admitted(
        millionths in ratios(), min in 1_u32..30, start in 0..5 * TTL,
        steps in prop::collection::vec((gaps(), prop_oneof![
            4 => (1_u32..40).prop_map(Step::First),
            2 => (1_u32..10).prop_map(Step::Retries),
            1 => (0_u32..4).prop_map(Step::Spend),
        ]), 1..120),
    ) {
        let budget = rule(millionths, min);
        let (mut now, mut ledger, mut firsts, mut made) = (start, Ledger::default(), 0_u64, 0_u64);
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::First(count) => for _ in 0..count {
                    ledger = budget.deposit(ledger, at(now));
                    firsts += 1;
                },
                Step::Retries(count) => for _ in 0..count {
                    if let Ok((next, _)) = budget.withdraw(ledger, at(now)) {
                        (ledger, made) = (next, made + 1);
                        let most = firsts * millionths + (u64::from(min) * (now - start)) / 1_000 + 1_000_000;
                        prop_assert!(made * 1_000_000 <= most, "{made} of {most}");
                    }
                },
                Step::Spend(count) if ledger.debt < 50 => {
                    ledger = budget.spend(ledger, count, at(now));
                    made += u64::from(count);
                }
                Step::Spend(_) => {}
            }
        }
    }

    #[test]
    fn no_client_draws_more_than_its_first_attempts_and_its_part_of_the_reserve_cover(
        millionths in ratios(), min in 0_u32..30, start in TTL..5 * TTL, crowd in prop_oneof![Just(0_u32), Just(3)],
        steps in prop::collection::vec((gaps(), 0..3_usize, 1_u32..10), 1..100),
    ) {
        // Other clients make this many first attempts for each one of the client. With three, its part is a quarter.
        let budget = rule(millionths, min);
        let (mut now, mut client, mut cluster) = (start, Ledger::default(), Ledger::default());
        let (mut firsts, mut retries) = (vec![], vec![]);
        for (gap, what, count) in steps {
            now += gap;
            for _ in 0..count {
                match what {
                    0 => {
                        client = budget.deposit(client, at(now));
                        cluster = (0..=crowd).fold(cluster, |cluster, _| budget.deposit(cluster, at(now)));
                        firsts.push(now);
                    }
                    1 => cluster = budget.withdraw(cluster, at(now)).map_or(cluster, |(cluster, _)| cluster),
                    _ => {
                        let Ok((next, withdrawal)) = budget.withdraw_share(client, cluster, at(now)) else { break };
                        prop_assert!(within(&firsts, now.checked_sub(TTL), now) > 0, "it draws without a first attempt");
                        match budget.withdraw(cluster, at(now)) {
                            Ok((rest, _)) => {
                                (client, cluster) = (next, rest);
                                retries.push(now);
                            }
                            Err(Exhausted) => client = budget.give_back(next, withdrawal, at(now)),
                        }
                    }
                }
            }
        }
        for (index, begin) in retries.iter().enumerate() {
            for (more, end) in retries.iter().skip(index).enumerate() {
                let drawn = (more as u64 + 1) * 1_000_000;
                let paid = millionths * within(&firsts, begin.checked_sub(TTL), *end);
                let reserve = u64::from(min) * (end - begin) / 1_000 / u64::from(crowd + 1) + 1_000_000;
                prop_assert!(drawn <= paid + reserve, "{drawn} of {paid} + {reserve} in {begin}..={end}");
            }
        }
    }

    #[test]
    fn any_bytes_are_a_ledger_and_no_time_overflows_it(
        bytes: Vec<u8>, whole: [u8; 32], now: u64, then: u64, ratio in ratios(), min in 0_u32..10_000, spent: u32,
    ) {
        let budget = rule(ratio, min);
        for stored in [bytes, [whole, whole, whole].concat()] {
            let ledger = read(&stored);
            prop_assert_eq!(Ledger::from(&Stored::from(&ledger)), ledger);
            let ledger = budget.spend(budget.deposit(ledger, at(now)), spent, at(then));
            if let Ok((ledger, withdrawal)) = budget.withdraw(ledger, at(now)) {
                let _ = budget.give_back(ledger, withdrawal, at(then));
            }
            let _ = budget.withdraw_share(ledger, read(&stored), at(then));
            budget.loss(budget.expect(budget.take_back(ledger, at(then), at(now)), spent.into(), at(now)), at(now));
            prop_assert!(stored.len() < 72 || Stored::from(&read(&stored)).as_bytes() == &stored[..72]);
        }
    }

    #[test]
    fn whatever_is_stored_retries_are_admitted_again_after_six_ttl(
        whole: [u8; 32], now in 0..u64::MAX / 2, min in 1_u32..100,
    ) {
        let budget = rule(200_000, min);
        let mut ledger = budget.deposit(read(&[whole, whole, whole].concat()), at(now));
        for second in 1..=90 {
            ledger = budget.deposit(ledger, at(now + second * SECOND));
        }
        prop_assert!(budget.allowance(ledger, at(now + 91 * SECOND)) > 0);
    }

    #[test]
    fn an_idle_ledger_equals_a_missing_one(
        millionths in ratios(), min in 0_u32..30, steps in steps(), spent in 0_u32..1_000, idle in 0..TTL,
    ) {
        let budget = rule(millionths, min);
        let (mut now, mut ledger) = (TTL, Ledger::default());
        for (gap, step) in steps {
            now += gap;
            if let Step::First(count) = step {
                ledger = (0..count).fold(ledger, |ledger, _| budget.deposit(ledger, at(now)));
            }
        }
        ledger = budget.spend(ledger, spent, at(now));
        now += 8 * TTL + idle;
        prop_assert_eq!(budget.loss(ledger, at(now)), 0);
        prop_assert_eq!(budget.allowance(ledger, at(now)), budget.allowance(Ledger::default(), at(now)));
    }
}
