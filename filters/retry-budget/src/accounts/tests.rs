#![allow(clippy::arithmetic_side_effects)]

use super::*;
use proptest::prelude::*;
use serde_json::json;
use tidegate_host::fake::FakeProxy;
use tidegate_host::store::ATTEMPTS;
use tidegate_policy::timestamp::SECOND;

const NOW: Timestamp = Timestamp::from_nanos(100 * SECOND);

fn config(reserve: u32) -> Config {
    let document = json!({ "per": ["client", "cluster"], "ratio": 0.5, "min_retries_per_second": reserve });
    Config::read(document.to_string().as_bytes()).expect("it is right")
}

fn of(proxy: &FakeProxy, config: &Config, client: &str, cluster: &str) -> Accounts {
    let mut exchange = proxy.exchange(&[("x-api-key", client)]);
    exchange.know(Fact::Cluster, cluster.as_bytes());
    Accounts::of(&exchange, config)
}

fn contend(proxy: &FakeProxy, account: Option<&Account>) {
    let key = &account.expect("it is there").key;
    let left = proxy.store.load_entry(key);
    proxy.store.lose_swap_of(key, ATTEMPTS, &left);
}

#[test]
fn a_retry_that_the_cluster_refuses_costs_its_client_nothing() {
    let (proxy, config) = (FakeProxy::default(), config(0));
    let [mine, other] = ["a", "b"].map(|client| of(&proxy, &config, client, "gpu"));
    let budget = &config.budget;
    for _ in 0..2 {
        mine.deposit(&proxy.store, budget, NOW);
    }
    for _ in 0..4 {
        other.deposit(&proxy.store, budget, NOW);
    }
    let withdraw = |accounts: &Accounts| accounts.withdraw(&proxy.store, budget, NOW, false);
    assert_eq!(withdraw(&mine).map(|(balance, _)| balance.allowance), Ok(0));
    assert_eq!(withdraw(&mine), Err(Refusal::Exhausted));
    assert_eq!(withdraw(&other).map(|(balance, _)| balance.allowance), Ok(1));
    other.spend(&proxy.store, budget, 0, NOW);
    let elsewhere = of(&proxy, &config, "b", "cpu");
    assert_eq!(withdraw(&elsewhere), Err(Refusal::Exhausted));
    elsewhere.deposit(&proxy.store, budget, NOW);
    elsewhere.deposit(&proxy.store, budget, NOW);
    assert!(withdraw(&elsewhere).is_ok(), "the refusal of the other cluster had charged the client");
}

#[test]
fn a_contended_budget_refuses_and_the_others_withdrawal_is_returned() {
    let (proxy, config) = (FakeProxy::default(), config(0));
    let accounts = of(&proxy, &config, "a", "gpu");
    let budget = &config.budget;
    for _ in 0..2 {
        accounts.deposit(&proxy.store, budget, NOW);
    }
    contend(&proxy, accounts.cluster.as_ref());
    assert_eq!(accounts.withdraw(&proxy.store, budget, NOW, false), Err(Refusal::Contended));
    assert!(accounts.withdraw(&proxy.store, budget, NOW, false).is_ok());
}

#[test]
fn under_failure_mode_allow_the_other_budget_still_applies() {
    let (proxy, config) = (FakeProxy::default(), config(0));
    let accounts = of(&proxy, &config, "a", "gpu");
    let budget = &config.budget;
    for _ in 0..2 {
        accounts.deposit(&proxy.store, budget, NOW);
    }
    contend(&proxy, accounts.cluster.as_ref());
    let passed = accounts.withdraw(&proxy.store, budget, NOW, true).map(|(balance, _)| balance);
    assert_eq!(passed, Ok(Balance { allowance: 0, evicted: 0, contended: 1 }));
    contend(&proxy, accounts.cluster.as_ref());
    assert_eq!(accounts.withdraw(&proxy.store, budget, NOW, true), Err(Refusal::Exhausted));
}

#[test]
fn a_deposit_decides_again_on_what_the_winner_left() {
    let (proxy, config) = (FakeProxy::default(), config(0));
    let accounts = of(&proxy, &config, "a", "gpu");
    let budget = &config.budget;
    accounts.deposit(&proxy.store, budget, NOW);
    let key = &accounts.client.as_ref().expect("it is there").key;
    let left = proxy.store.load_entry(key);
    proxy.store.lose_swap_of(key, ATTEMPTS - 1, &left);
    let balance = accounts.deposit(&proxy.store, budget, NOW);
    assert_eq!(balance, Balance { allowance: 1, evicted: 0, contended: 0 });
}

#[test]
fn a_refusal_writes_nothing() {
    let (proxy, config) = (FakeProxy::default(), config(0));
    let accounts = of(&proxy, &config, "a", "gpu");
    assert_eq!(accounts.withdraw(&proxy.store, &config.budget, NOW, false), Err(Refusal::Exhausted));
    assert_eq!((proxy.store.loads(), proxy.store.swaps(), proxy.store.entries()), (2, 0, 0));
}

proptest! {
    #[test]
    fn no_budget_pays_more_retries_than_half_its_first_attempts(
        calls in prop::collection::vec((0..3_usize, 0..2_usize, any::<bool>(), 0..SECOND / 10), 0..200),
    ) {
        let (proxy, config) = (FakeProxy::default(), config(0));
        let (mut firsts, mut retries) = ([0_u32; 5], [0_u32; 5]);
        let mut now = NOW;
        for (client, cluster, is_retry, gap) in calls {
            now = now.plus(gap);
            let accounts = of(&proxy, &config, ["a", "b", "c"][client], ["gpu", "cpu"][cluster]);
            let counts = if is_retry {
                accounts.withdraw(&proxy.store, &config.budget, now, false).ok().map(|_| &mut retries)
            } else {
                accounts.deposit(&proxy.store, &config.budget, now);
                Some(&mut firsts)
            };
            if let Some(counts) = counts {
                counts[client] += 1;
                counts[3 + cluster] += 1;
            }
            for (firsts, retries) in firsts.iter().zip(&retries) {
                prop_assert!(2 * retries <= *firsts);
            }
        }
    }
}
