#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use proptest::prelude::*;

/// A frame, with the stage of the next byte after each of its bytes.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

fn greeted() -> Http2 {
    let mut http2 = Http2::new();
    feed(&mut http2, &frame(4, 0, b""));
    http2
}

fn feed(http2: &mut Http2, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let used = match usize::try_from(http2.skippable()).unwrap() {
            0 => http2.advance(bytes),
            skippable => {
                http2.skip(skippable.min(bytes.len()) as u64);
                skippable.min(bytes.len())
            }
        };
        bytes = &bytes[used..];
    }
}

fn stages(http2: &mut Http2, bytes: &[u8]) -> Vec<Stage> {
    let stage = |byte: &u8| {
        feed(http2, &[*byte]);
        http2.stage()
    };
    bytes.iter().map(stage).collect()
}

#[test]
fn the_first_frame_counts_as_a_head() {
    let mut http2 = Http2::new();
    assert_eq!(http2.stage(), Stage::Head);
    let settings = frame(4, 0, &[0, 3, 0, 0, 0, 100]);
    let stages = stages(&mut http2, &settings);
    assert_eq!(stages.iter().position(|stage| *stage != Stage::Head), Some(settings.len() - 1));
    assert_eq!(http2.stage(), Stage::Elsewhere);
}

#[test]
fn headers_are_a_head_from_their_kind_to_their_last_byte() {
    let headers = frame(HEADERS, END_HEADERS | 8, b"\x02abpp");
    let expected = [[Stage::Frame; 8].as_slice(), &[Stage::Head; 5], &[Stage::Elsewhere]].concat();
    assert_eq!(stages(&mut greeted(), &headers), expected);
}

#[test]
fn a_head_lasts_through_its_continuations_and_the_gaps_between_them() {
    let mut http2 = greeted();
    feed(&mut http2, &frame(HEADERS, 0, b"ab"));
    assert_eq!(http2.stage(), Stage::Head);
    for _ in 0..100 {
        assert!(stages(&mut http2, &frame(CONTINUATION, 0, b"c")).iter().all(|stage| *stage == Stage::Head));
    }
    let last = stages(&mut http2, &frame(CONTINUATION, END_HEADERS, b"d"));
    assert_eq!(last.iter().position(|stage| *stage == Stage::Elsewhere), Some(9));
}

#[test]
fn a_head_of_no_bytes_ends_with_its_frame_header() {
    let mut http2 = greeted();
    feed(&mut http2, &frame(HEADERS, END_HEADERS, b""));
    assert_eq!(http2.stage(), Stage::Elsewhere);
    feed(&mut http2, &frame(HEADERS, 0, b""));
    assert_eq!(http2.stage(), Stage::Head);
    feed(&mut http2, &frame(CONTINUATION, END_HEADERS, b""));
    assert_eq!(http2.stage(), Stage::Elsewhere);
}

#[test]
fn other_frames_are_never_heads() {
    for kind in (0..=255).filter(|kind| ![HEADERS, CONTINUATION].contains(kind)) {
        let mut http2 = greeted();
        let stages = stages(&mut http2, &frame(kind, 0xff, b"abc"));
        assert!(!stages.contains(&Stage::Head), "{kind}");
        assert_eq!(http2.stage(), Stage::Elsewhere, "{kind}");
    }
    let mut http2 = greeted();
    feed(&mut http2, b"\xff\xff\xff\0\0\0\0\0\x01");
    assert_eq!(http2.skippable(), 0xff_ffff);
    http2.skip(0xff_fffe);
    assert_eq!((http2.stage(), http2.skippable()), (Stage::Elsewhere, 1));
}

#[test]
fn a_frame_between_headers_and_continuation_does_not_end_the_head() {
    let mut http2 = greeted();
    feed(&mut http2, &frame(HEADERS, 0, b"ab"));
    feed(&mut http2, &frame(0, END_HEADERS, b"data"));
    assert_eq!(http2.stage(), Stage::Head);
}

proptest! {
    #[test]
    fn chunk_boundaries_in_frames_make_no_difference(
        frames in prop::collection::vec((0_u8..11, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 1..20),
        size in 1_usize..50,
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(|(kind, flags, payload)| frame(*kind, *flags, payload)).collect();
        let (mut whole, mut cut) = (Http2::new(), Http2::new());
        feed(&mut whole, &stream);
        stream.chunks(size).for_each(|part| feed(&mut cut, part));
        prop_assert_eq!(whole, cut);
        let mut heads = frames.iter().filter(|(kind, ..)| [HEADERS, CONTINUATION].contains(kind));
        let open = heads.next_back().is_some_and(|(_, flags, _)| flags & END_HEADERS == 0);
        prop_assert_eq!(whole.stage(), if open { Stage::Head } else { Stage::Elsewhere });
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        feed(&mut Http2::new(), &bytes);
    }
}
