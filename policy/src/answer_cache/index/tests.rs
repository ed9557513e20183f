#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
use super::*;
use crate::fingerprint::Fingerprint;
use proptest::prelude::*;

const TTL: u64 = 1_000;

fn cache() -> AnswerCache {
    AnswerCache::new(8, 100, TTL).unwrap()
}

fn question(mark: u64) -> Question {
    Question { asked: Fingerprint { place: 0, mark }, client: None }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn put(index: &mut Index, mark: u64, length: u64, now: u64) -> Put {
    let (new, put) = index.put(&cache(), &question(mark), length, at(now)).unwrap();
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
    let (index, _) = Index::default().put(&cache(), &of(1), 10, at(0)).unwrap();
    let found = |question| index.find(&cache(), &question, at(0));
    assert_eq!((found(of(1)), found(of(2)), found(question(7))), (Some(0), None, None));
}

#[test]
fn the_same_question_keeps_its_place_and_its_value() {
    let mut index = full();
    hit(&mut index, 0, 8);
    assert_eq!(put(&mut index, 0, 12, 9), Put { way: 0, evicted: false, grown: 2 });
    assert_eq!(index.ways()[0].hits, 1);
    assert_eq!(put(&mut index, 0, 5, 10).grown, 0);
}

#[test]
fn what_is_too_old_goes_first_and_is_no_loss() {
    let mut index = full();
    assert_eq!(put(&mut index, 50, 10, 1 + TTL), Put { way: 0, evicted: false, grown: 0 });
    assert_eq!(kept(&index, 1 + TTL), [1, 2, 3, 4, 5, 6, 7, 50]);
}

#[test]
fn then_the_least_asked_for_and_of_these_the_oldest() {
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
fn a_flood_of_questions_that_nobody_repeats_takes_no_place_of_those_that_are() {
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
fn an_answer_that_is_as_long_as_one_may_be_fits_and_a_longer_one_does_not() {
    let put = |length| Index::default().put(&cache(), &question(1), length, at(0)).map(|(_, put)| put.grown);
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

proptest! {
    #[test]
    fn the_longest_that_places_held_adds_up_and_is_bounded(
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
    fn what_is_lost_was_worth_no_more_than_what_is_kept(
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
    fn any_bytes_are_an_index(bytes: Vec<u8>, mark: u64, length: u64, now: u64) {
        let index = Index::from_bytes(&bytes);
        index.find(&cache(), &question(mark), at(now));
        prop_assert_eq!(pack(&index.ways()), index.clone());
        if let Some((new, put)) = index.put(&cache(), &question(mark), length, at(now)) {
            prop_assert!(put.way < 8);
            prop_assert!(new.find(&cache(), &question(mark), at(now)).is_some());
        }
    }
}
