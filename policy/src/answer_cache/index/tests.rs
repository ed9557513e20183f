#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
use super::*;
use crate::answer_cache::vary::Variants;
use crate::fingerprint::{Fingerprint, Fingerprinter};
use proptest::prelude::*;

const TTL: u64 = 1_000;

fn cache() -> AnswerCache {
    AnswerCache::new(8, 100, TTL).unwrap()
}

fn question(mark: u64) -> Question {
    Question { asked: Fingerprint { place: 0, mark }, client: None, variants: Variants::default() }
}

fn offer(length: u64) -> Offer {
    Offer { length, named: Named::default(), asker: Asker::default() }
}

fn of(client: u32, network: u32) -> Asker {
    Asker { client, network }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn put(index: &mut Index, mark: u64, length: u64, now: u64) -> Put {
    put_for(index, mark, Asker::default(), length, now)
}

fn put_for(index: &mut Index, mark: u64, asker: Asker, length: u64, now: u64) -> Put {
    let (new, put) = index.put(&cache(), &question(mark), Offer { asker, ..offer(length) }, at(now)).unwrap();
    *index = new;
    put
}

fn hit(index: &mut Index, mark: u64, now: u64) {
    let way = index.find(&cache(), &question(mark), at(now)).unwrap();
    *index = index.hit(way, &question(mark)).unwrap();
}

fn full() -> Index {
    let mut index = Index::default();
    for mark in 0..8 {
        assert!(!put(&mut index, mark, 10, mark).evicted);
    }
    index
}

fn kept(index: &Index, now: u64) -> Vec<u64> {
    (0..100).filter(|mark| index.find(&cache(), &question(*mark), at(now)).is_some()).collect()
}

#[test]
fn an_empty_index_holds_no_answer() {
    assert!(kept(&Index::default(), 0).is_empty());
}

#[test]
fn each_client_has_an_answer_of_its_own() {
    let of = |client| Question { client: Some(Fingerprint { place: 1, mark: client }), ..question(7) };
    let (index, _) = Index::default().put(&cache(), &of(1), offer(10), at(0)).unwrap();
    let found = |question| index.find(&cache(), &question, at(0));
    assert_eq!((found(of(1)), found(of(2)), found(question(7))), (Some(0), None, None));
}

#[test]
fn a_repeated_question_keeps_its_place_and_gains_value() {
    let mut index = full();
    hit(&mut index, 0, 8);
    assert_eq!(put(&mut index, 0, 12, 9), Put { way: 0, evicted: false, grown: 2 });
    assert_eq!(index.ways()[0].hits, 2);
    assert_eq!(put(&mut index, 0, 5, 10).grown, 0);
}

#[test]
fn an_expired_answer_is_evicted_first_without_loss() {
    let mut index = full();
    assert_eq!(put(&mut index, 50, 10, 1 + TTL), Put { way: 0, evicted: false, grown: 0 });
    assert_eq!(kept(&index, 1 + TTL), [1, 2, 3, 4, 5, 6, 7, 50]);
}

#[test]
fn the_least_requested_answer_is_evicted_next_and_of_these_the_oldest() {
    let mut index = full();
    for mark in [0, 1, 3, 4, 5, 6, 7, 7] {
        hit(&mut index, mark, 8);
    }
    assert_eq!(put(&mut index, 50, 10, 9), Put { way: 2, evicted: true, grown: 0 });
    hit(&mut index, 50, 9);
    hit(&mut index, 50, 9);
    assert_eq!(put(&mut index, 51, 10, 10).way, 0);
}

#[test]
fn a_new_answer_does_not_inherit_the_value_of_the_one_before_it() {
    let mut index = full();
    for mark in 0..8 {
        hit(&mut index, mark, 8);
    }
    assert_eq!(put(&mut index, 50, 10, 9).way, 0);
    assert_eq!(put(&mut index, 51, 10, 10).way, 0);
}

#[test]
fn a_flood_of_unrepeated_questions_evicts_no_repeated_one() {
    let mut index = full();
    for mark in 0..7 {
        hit(&mut index, mark, 8);
    }
    for mark in 50..90 {
        put(&mut index, mark, 10, mark);
    }
    assert_eq!(kept(&index, 90), [0, 1, 2, 3, 4, 5, 6, 89]);
}

#[test]
fn an_answer_of_the_maximum_length_fits_and_a_longer_one_does_not() {
    let put =
        |length| Index::default().put(&cache(), &question(1), offer(length), at(0)).map(|(_, put)| put.grown);
    assert_eq!((put(100), put(101), put(0), put(u64::MAX)), (Some(100), None, None, None));
}

#[test]
fn an_answer_that_is_not_there_any_more_is_not_counted() {
    let mut index = full();
    let way = index.find(&cache(), &question(0), at(8)).unwrap();
    put(&mut index, 50, 10, 9);
    assert_eq!(index.hit(way, &question(0)), None);
    assert_eq!(index.hit(99, &question(50)), None);
}

#[test]
fn answers_that_vary_by_header_coexist_and_the_newest_match_is_found() {
    let from = |origin: &'static str| {
        let values = |name: &'static [u8]| Some(origin.as_bytes()).filter(|_| name == b"origin").into_iter();
        Question { variants: Variants::read(&Fingerprinter::new([7; 16]), values), ..question(1) }
    };
    let by_origin = Named::read([&b"origin"[..]].into_iter(), |_| false).unwrap();
    let mut index = Index::default();
    let mut put = |question, named, now| {
        let (new, put) = index.put(&cache(), &question, Offer { named, ..offer(10) }, at(now)).unwrap();
        index = new;
        put.way
    };
    assert_eq!((put(from("a"), by_origin, 1), put(from("b"), by_origin, 2)), (0, 1));
    assert_eq!(put(from("a"), by_origin, 3), 0);
    assert_eq!(index.find(&cache(), &from("a"), at(3)), Some(0));
    assert_eq!(index.find(&cache(), &from("b"), at(3)), Some(1));
    assert_eq!(index.find(&cache(), &from("c"), at(3)), None);
    let (index, put) = index.put(&cache(), &from("a"), offer(10), at(4)).unwrap();
    assert_eq!((put.way, index.find(&cache(), &from("a"), at(4))), (2, Some(2)));
    assert_eq!(index.find(&cache(), &from("b"), at(4)), Some(2));
}

#[test]
fn a_lone_client_has_all_places_and_makes_room_for_others() {
    let mut index = full();
    for mark in 0..8 {
        hit(&mut index, mark, 8);
    }
    for (mark, client) in (50..).zip([1, 1, 2, 2]) {
        assert!(put_for(&mut index, mark, of(client, 1), 10, mark).evicted);
    }
    assert_eq!(kept(&index, 54), [4, 5, 6, 7, 50, 51, 52, 53]);
    put_for(&mut index, 54, of(2, 1), 10, 54);
    put_for(&mut index, 55, of(3, 1), 10, 55);
    assert_eq!(kept(&index, 55), [4, 5, 6, 7, 51, 53, 54, 55]);
}

proptest! {
    #[test]
    fn the_longest_lengths_of_all_places_add_up_within_bounds(
        puts in prop::collection::vec((0_u64..30, 1_u64..=100, 0_u64..200), 1..200),
    ) {
        let (mut index, mut now, mut grown) = (Index::default(), 0, 0);
        for (mark, length, gap) in puts {
            now += gap;
            grown += put(&mut index, mark, length, now).grown;
            prop_assert_eq!(index.find(&cache(), &question(mark), at(now)).is_some(), true);
            let held: u32 = index.ways().iter().map(|way| way.longest).sum();
            prop_assert!(held == grown && grown <= 800);
            let marks: Vec<_> = index.ways().iter().filter(|way| way.length > 0).map(|way| way.mark).collect();
            let distinct: std::collections::HashSet<_> = marks.iter().collect();
            prop_assert_eq!(distinct.len(), marks.len());
        }
    }

    #[test]
    fn an_evicted_answer_was_worth_no_more_than_any_kept_one(
        steps in prop::collection::vec((any::<bool>(), 0_u64..12, 0_u64..100), 1..100),
    ) {
        let (mut index, mut now) = (Index::default(), 0);
        for (ask, mark, gap) in steps {
            now += gap;
            if ask && index.find(&cache(), &question(mark), at(now)).is_some() {
                hit(&mut index, mark, now);
                continue;
            }
            let before = index.ways();
            let done = put(&mut index, mark, 10, now);
            let lost = before[done.way];
            if done.evicted {
                let value = |way: &Way| (way.hits, way.stored_at);
                let live = |way: &Way| way.length > 0 && now - way.stored_at.as_nanos() <= TTL;
                prop_assert!(before.iter().all(|way| live(way) && value(way) >= value(&lost)));
            }
        }
    }

    #[test]
    fn one_client_and_one_network_cost_others_no_more_than_their_share(
        honest in prop::collection::vec((1_u32..6, 1_u32..4, 0_u64..10), 0..20),
        flood in prop::collection::vec((0_u32..3, any::<bool>(), 0_u64..20), 1..200),
        made_up: bool,
    ) {
        let (mut index, mut now) = (Index::default(), 0);
        for (client, network, mark) in honest {
            now += 1;
            put_for(&mut index, mark, of(client, network), 10, now);
        }
        let others = |index: &Index| index.ways().iter().filter(|way| way.asker.network != 99 && way.length > 0).count();
        let (before, share) = (others(&index), if made_up { NETWORK_SHARE } else { CLIENT_SHARE });
        for (client, again, mark) in flood {
            now += 1;
            let client = if made_up { 100 + client } else { 100 };
            let asked = 1_000 + mark;
            put_for(&mut index, asked, of(client, 99), 10, now);
            if again {
                hit(&mut index, asked, now);
            }
            let lost = before - others(&index);
            prop_assert!(lost <= share, "{} of {} lost", lost, before);
        }
    }

    #[test]
    fn a_repeated_answer_outlives_any_flood_of_unrepeated_questions(
        clients in prop::collection::vec(any::<u32>(), 1..100), network: u32, held in 0_u64..7,
    ) {
        let mut index = Index::default();
        for mark in (0..held).chain(0..held) {
            put_for(&mut index, mark, of(7, 7), 10, mark);
        }
        for (mark, client) in (100..).zip(clients) {
            put_for(&mut index, mark, of(client, network), 10, mark);
        }
        let mine = kept(&index, 300);
        prop_assert!(mine.len() as u64 >= held.min(8 - NETWORK_SHARE as u64));
        prop_assert!(held > CLIENT_SHARE as u64 || mine.len() as u64 == held, "{:?}", mine);
    }

    #[test]
    fn any_bytes_are_an_index(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 296), any::<Vec<u8>>()], mark: u64, length: u64, now: u64) {
        let index = Index::from_bytes(&bytes);
        index.find(&cache(), &question(mark), at(now));
        prop_assert_eq!(pack(&index.ways()), index.clone());
        prop_assert!(bytes.len() == 296 || index == Index::default());
        if let Some((new, put)) = index.put(&cache(), &question(mark), offer(length), at(now)) {
            prop_assert!(put.way < 8);
            prop_assert!(new.find(&cache(), &question(mark), at(now)).is_some());
        }
    }
}
