//! The bytes of records as they have been stored since the first release. A change to a layout requires a change of its
//! key's prefix, or a rolling upgrade misreads what another version wrote.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use core::time::Duration;
use tidegate_policy::answer_cache::control::Lifetime;
use tidegate_policy::answer_cache::entry::{Answer, Kind};
use tidegate_policy::answer_cache::index::{Asker as CacheAsker, Index, Offer};
use tidegate_policy::answer_cache::vary::{Named, Variants};
use tidegate_policy::answer_cache::{AnswerCache, Question};
use tidegate_policy::attempt::{Failure, FailureSet};
use tidegate_policy::breaker::{BreakerRecord, Phase};
use tidegate_policy::bucket::{Bucket, Rate};
use tidegate_policy::connections::{Caps, ConnectionSet};
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};
use tidegate_policy::health::outcome::Outcome;
use tidegate_policy::health::{Health, HealthRule, Sample, Signals, Who};
use tidegate_policy::lease::{Lease, Term};
use tidegate_policy::record::Record as _;
use tidegate_policy::retry_budget::{Budget, LedgerSet};
use tidegate_policy::slots::{Record, SlotSet};
use tidegate_policy::tier::{Switch, Thresholds, TierRecord, TierRule, Tiers};
use tidegate_policy::timestamp::Timestamp;
use tidegate_policy::voucher::VoucherSet;

const NOW: Timestamp = Timestamp::from_nanos(0x0123_4567_89ab_cdef);

/// Returns bytes that another version may have stored, each different from its neighbours.
fn stored(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 37 + 11) % 251) as u8).collect()
}

fn mark_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn print(bytes: &[u8]) -> (usize, u64) {
    (bytes.len(), Fingerprinter::new([7; 16]).of([bytes]).mark)
}

#[test]
fn a_bucket_is_its_mark_its_instant_and_its_tolerance() {
    let mut set = SlotSet::from_bytes(&stored(320));
    assert_eq!(set.find(mark_at(&stored(320), 40)).unwrap().as_nanos(), mark_at(&stored(320), 48));
    let record = Record { mark: 0x1112_1314_1516_1718, tat: NOW, tolerance: 0x0042_0000_0000 };
    set.amend(mark_at(&stored(320), 20), |tat| tat.plus(1));
    let _ = set.put(record, NOW, &[]);
    let mut alone = SlotSet::default();
    let _ = alone.put(record, NOW, &[]);
    let first = [
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x00,
        0x20, 0x04, 0x00,
    ];
    assert_eq!(alone.to_bytes()[..20], first);
    assert_eq!(print(&set.to_bytes()), (320, SLOTS));
}

#[test]
fn connections_are_as_they_were() {
    let mut set = ConnectionSet::from_bytes(&stored(384));
    let arrivals = Bucket::new(Rate { requests: 1, period: Duration::from_secs(1) }, 5).unwrap();
    let _ = set.open(mark_at(&stored(384), 48), &Caps { connections: None, arrivals }, NOW);
    let _ = set.open(42, &Caps { connections: Some(9), arrivals }, NOW);
    assert_eq!(print(&set.to_bytes()), (384, CONNECTIONS));
}

#[test]
fn failures_and_vouchers_have_kept_their_layout() {
    let mut failures = FailureSet::from_bytes(&stored(320));
    failures.remember(Failure { mark: mark_at(&stored(320), 60), attempt: 3, window: 60 }, NOW);
    failures.remember(Failure { mark: 42, attempt: 0, window: 60 }, NOW);
    assert_eq!(print(&failures.to_bytes()), (320, FAILURES));
    let mut vouchers = VoucherSet::from_bytes(&stored(288));
    vouchers.leave(mark_at(&stored(288), 36), NOW);
    vouchers.leave(42, NOW);
    assert_eq!(print(&vouchers.to_bytes()), (288, VOUCHERS));
}

#[test]
fn ledgers_are_as_they_were() {
    let budget = Budget::new(Duration::from_secs(10), "0.2".parse().unwrap(), 10).unwrap();
    let mut set = LedgerSet::from_bytes(&stored(640));
    let known = mark_at(&stored(640), 160);
    let ledger = budget.deposit(set.find(known), NOW);
    set.put(known, ledger, &budget, NOW);
    set.put(42, budget.deposit(ledger, NOW.plus(1_000_000_000)), &budget, NOW);
    assert_eq!(print(&set.to_bytes()), (640, LEDGERS));
}

#[test]
fn health_has_kept_its_layout() {
    let rule = HealthRule::new(Duration::from_secs(10), Duration::from_secs(1)).unwrap();
    let who = Who { address: mark_at(&stored(4048), 208), key: 42 };
    let sample =
        Sample { who, outcome: Outcome::Success, first_byte: Some(5_000_000), total: Some(9_000_000) };
    let read = Health::from_bytes(&stored(4048));
    assert_eq!(print(&read.to_bytes()), (4048, HEALTH_READ));
    let health = Health::default().record(&rule, &sample, NOW).unwrap();
    let health = health.record(&rule, &Sample { outcome: Outcome::Failure, ..sample }, NOW).unwrap();
    assert_eq!(print(&health.to_bytes()), (4048, HEALTH));
}

#[test]
fn breakers_have_kept_their_layout() {
    for (phase, first, expected) in [
        (Phase::Closed, 0, (17, CLOSED)),
        (Phase::Open, 1, (1246, OPEN)),
        (Phase::HalfOpen, 2, (1246, HALF_OPEN)),
    ] {
        let mut bytes = stored(2_000);
        bytes[0] = first;
        let record = BreakerRecord::from_bytes(&bytes);
        assert_eq!((record.phase(), print(&record.to_bytes())), (phase, expected));
    }
}

#[test]
fn tiers_have_kept_their_layout() {
    let mut bytes = [0; 27];
    bytes[0] = 1;
    bytes[9] = 2;
    bytes[10..18].copy_from_slice(&NOW.as_nanos().to_le_bytes());
    let record = TierRecord::from_bytes(&bytes);
    assert_eq!(record.to_bytes()[..], bytes);
    let half = tidegate_policy::ratio::Ratio::from_millionths(500_000).unwrap();
    let at = Thresholds { breaker: true, ..Thresholds::default() };
    let rule = Switch::Measured(TierRule::new(at, half, 1_000, 1).unwrap());
    let switches = Tiers { reduce: rule, cached: rule, default: rule };
    let (stored, on) = switches.judge(&record, &Signals::default(), Phase::Closed, NOW.plus(1));
    assert_eq!(on, Tiers { reduce: true, cached: true, default: false });
    let mut calm = bytes;
    calm[0] = 2;
    calm[1..9].copy_from_slice(&NOW.plus(1).as_nanos().to_le_bytes());
    assert_eq!(stored.unwrap().to_bytes()[..], calm);
}

#[test]
fn cached_responses_and_their_index_have_kept_their_layout() {
    let print_of = |place, mark| Fingerprint { place, mark };
    let question =
        Question { asked: print_of(1, 2), client: Some(print_of(3, 4)), variants: Variants::default() };
    let cache = AnswerCache::new(64, 1_000, u64::MAX).unwrap();
    let offer = Offer { length: 9, named: Named::default(), asker: CacheAsker { client: 5, network: 6 } };
    let (index, _) = Index::from_bytes(&stored(296)).put(&cache, &question, offer, NOW).unwrap();
    assert_eq!(print(&index.to_bytes()), (296, INDEX));
    let lifetime =
        Lifetime { since: NOW, age: 0x0102_0304, fresh: Some(7), excused: 0x0506_0708, strict: true };
    let answer = Answer { kind: Kind::Sse, stored_at: NOW, named: offer.named, lifetime, body: b"data" };
    let packed = answer.pack(&question).unwrap();
    assert_eq!(print(&packed), (82, ENTRY));
    assert_eq!(Answer::read(&packed, &question, 1, NOW), Some(answer));
}

const SLOTS: u64 = 244418493417930816;
const CONNECTIONS: u64 = 3662667236840797010;
const FAILURES: u64 = 2316080830715758738;
const VOUCHERS: u64 = 8780497975067275119;
const LEDGERS: u64 = 15507281850084090060;
const HEALTH_READ: u64 = 16364398511068439754;
const HEALTH: u64 = 14724055560045833841;
const CLOSED: u64 = 11352594317132241306;
const OPEN: u64 = 11662323180551489741;
const HALF_OPEN: u64 = 7830223589455683341;
const INDEX: u64 = 8554964969737916491;
const ENTRY: u64 = 12868526229550121157;

#[test]
fn a_lease_is_its_leader_and_the_instant_at_which_it_ends() {
    let (lease, _) = Lease::default().claim(0x1112_1314_1516_1718, NOW, Term::new(1_000_000_000).unwrap());
    let bytes =
        [0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0xef, 0x97, 0x46, 0xc5, 0x67, 0x45, 0x23, 0x01];
    assert_eq!(lease.unwrap().to_bytes()[..], bytes);
}
