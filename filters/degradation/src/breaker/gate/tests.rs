use super::*;
use serde_json::json;
use tidegate_host::fake::FakeStore;
use tidegate_host::store::ATTEMPTS;
use tidegate_policy::health::Who;
use tidegate_policy::timestamp::SECOND;

const WHO: Who = Who { address: 7 << 32, key: 8 << 32 };
const FAILURE: Sample = Sample { who: WHO, outcome: Outcome::Failure, first_byte: None, total: Some(1) };
const SUCCESS: Sample =
    Sample { who: WHO, outcome: Outcome::Success, first_byte: Some(1_000), total: Some(2_000) };
const GONE: Sample = Sample { who: WHO, outcome: Outcome::Ignored, first_byte: None, total: None };
const ASKER: Asker = Asker { who: WHO, is_short: true };

fn config() -> Config {
    let breaker = json!({ "window": "10s", "min_requests": 4, "open_for": "1s", "probes": 2 });
    Config::read(json!({ "breaker": breaker }).to_string().as_bytes()).unwrap()
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(100 * SECOND).plus(nanos)
}

fn place() -> Place {
    Place::new(7, 0)
}

fn probe(standing: Standing) -> Option<Probe> {
    match standing.ruling {
        Ruling::Probe(probe) => Some(probe),
        _ => None,
    }
}

/// Returns two workers whose cluster has failed, at `at(0)`.
fn failed(store: &FakeStore, config: &Config) -> [Gate; 2] {
    let workers = [Gate::default(), Gate::default()];
    for worker in &workers {
        assert_eq!(worker.enter(store, config, (place(), &ASKER), at(0)).ruling, Ruling::Admit);
    }
    for worker in workers.iter().cycle().take(4) {
        worker.report(store, config, place(), (FAILURE, None), at(0)).unwrap();
    }
    workers
}

#[test]
fn while_healthy_a_request_costs_no_access_to_the_store() {
    let (store, config, gate) = (FakeStore::default(), config(), Gate::default());
    for n in 0..100 {
        let now = at(n * TRUST / 100);
        assert_eq!(gate.enter(&store, &config, (place(), &ASKER), now).ruling, Ruling::Admit);
        assert_eq!(gate.report(&store, &config, place(), (SUCCESS, None), now), Ok(None));
    }
    assert_eq!((store.loads(), store.swaps()), (1, 0));
    gate.enter(&store, &config, (place(), &ASKER), at(TRUST));
    assert_eq!((store.loads(), store.swaps()), (2, 1));
    let seen: Condition = tidegate_host::store::look(&store, &place().key()).state;
    assert_eq!(seen.health.signals(&config.health, at(TRUST)).counts.requests, 100);
}

#[test]
fn a_full_queue_of_successes_is_stored_before_it_overflows() {
    let (store, config, gate) = (FakeStore::default(), config(), Gate::default());
    gate.enter(&store, &config, (place(), &ASKER), at(0));
    for _ in 0..=MOST_PENDING {
        gate.report(&store, &config, place(), (SUCCESS, None), at(0)).unwrap();
    }
    assert_eq!(store.swaps(), 1);
}

#[test]
fn failures_are_stored_at_once_and_open_the_breaker_for_all_workers() {
    let (store, config) = (FakeStore::default(), config());
    let [one, other] = failed(&store, &config);
    let standing = one.enter(&store, &config, (place(), &ASKER), at(1));
    assert_eq!(standing.ruling, Ruling::Refuse { wait: SECOND });
    assert_eq!(standing.turned, Some(Phase::Open));
    let standing = other.enter(&store, &config, (place(), &ASKER), at(1));
    assert_eq!((standing.ruling, standing.turned), (Ruling::Refuse { wait: SECOND }, None));
    assert_eq!(other.enter(&store, &config, (Place::new(8, 0), &ASKER), at(1)).ruling, Ruling::Admit);
    assert_eq!(other.enter(&store, &config, (Place::new(7, 1), &ASKER), at(1)).ruling, Ruling::Admit);
}

#[test]
fn probes_are_limited_and_successful_rounds_close_the_breaker() {
    let (store, config) = (FakeStore::default(), config());
    let [one, other] = failed(&store, &config);
    one.enter(&store, &config, (place(), &ASKER), at(1));
    let later = at(2 * SECOND);
    let enter = |gate: &Gate| probe(gate.enter(&store, &config, (place(), &ASKER), later));
    let probes = [&one, &other, &one, &other].map(enter);
    let [Some(first), Some(second), None, None] = probes else { panic!("{probes:?}") };
    assert_eq!(one.report(&store, &config, place(), (GONE, Some(first)), later), Ok(None));
    let third = enter(&other).unwrap();
    let report = |probe| other.report(&store, &config, place(), (SUCCESS, Some(probe)), later).unwrap();
    assert_eq!([report(second), report(third)], [None, None]);
    let turned = (0..4 + 8).map(|_| report(enter(&one).unwrap())).collect::<Vec<_>>();
    assert_eq!(turned.iter().rposition(Option::is_none), Some(10), "{turned:?}");
    assert_eq!(turned.last(), Some(&Some(Phase::Closed)));
    assert_eq!(one.enter(&store, &config, (place(), &ASKER), later).ruling, Ruling::Admit);
}

#[test]
fn losing_every_race_decides_on_the_state_seen_last() {
    let (store, config) = (FakeStore::default(), config());
    let [one, _] = failed(&store, &config);
    store.lose_swap_of(&place().key(), ATTEMPTS, store.load_entry(&place().key()).as_slice());
    let standing = one.enter(&store, &config, (place(), &ASKER), at(1));
    assert!(standing.contended && standing.ruling == Ruling::Admit);
    assert!(matches!(one.enter(&store, &config, (place(), &ASKER), at(1)).ruling, Ruling::Refuse { .. }));
}
