//! Reads a request's attempt number from a header: the SDKs send `x-stainless-retry-count` (0, 1, 2), other clients a
//! number that begins at 1. A value that is no number says nothing. The highest of several numbers counts (repeated
//! headers, values joined by commas, several headers), because a client could only gain by understating. Only 0 or
//! silence therefore means a first attempt, and a client that lies about it spends a budget of its own.
//!
//! For clients that send no number see [`FailureSet`].

pub use failures::{Failure, FailureSet, SET_BYTES};

mod failures;

/// The highest attempt number that is kept; later attempts count as this one.
pub const MAX_ATTEMPT: u16 = 1_000;

/// Returns the attempt number that the values of one header claim; 0 is the first attempt. `first` is the header's
/// number for a first attempt; lower numbers mean the same. Numbers are capped at [`MAX_ATTEMPT`].
pub fn claimed<'a>(values: impl Iterator<Item = &'a [u8]>, first: u16) -> Option<u16> {
    let numbers = values.flat_map(|value| value.split(|byte| *byte == b',')).filter_map(number);
    Some(numbers.max()?.saturating_sub(first).min(MAX_ATTEMPT))
}

fn number(text: &[u8]) -> Option<u16> {
    let digits = text.trim_ascii();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let value = |digits: &[u8]| {
        digits.iter().fold(0_u16, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u16::from(digit.saturating_sub(b'0')))
        })
    };
    plain.then(|| value(digits))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    fn claims(values: &[&'static str], first: u16) -> Option<u16> {
        claimed(values.iter().map(|value| value.as_bytes()), first)
    }

    #[test]
    fn the_sdks_count_from_zero_and_others_from_one() {
        assert_eq!(["0", "1", "2"].map(|value| claims(&[value], 0)), [Some(0), Some(1), Some(2)]);
        assert_eq!(
            ["0", "1", "2", "3"].map(|value| claims(&[value], 1)),
            [Some(0), Some(0), Some(1), Some(2)]
        );
        assert_eq!(claims(&[" 007\t"], 0), Some(7));
    }

    #[test]
    fn a_value_that_is_not_a_number_is_ignored() {
        assert_eq!(claims(&[], 0), None);
        for value in ["", " ", "-1", "+1", "1.0", "1e3", "0x2", "1 2", "two", ",", ";1", "٢"] {
            assert_eq!(claims(&[value], 0), None, "{value:?}");
        }
        assert_eq!(claimed([b"\xff1".as_slice(), b"\0"].into_iter(), 0), None);
    }

    #[test]
    fn the_highest_of_several_numbers_counts() {
        assert_eq!(claims(&["0", "2", "1"], 0), Some(2));
        assert_eq!(claims(&["0, 2,x"], 0), Some(2));
        assert_eq!(claims(&["x", "1"], 0), Some(1));
    }

    #[test]
    fn a_huge_number_is_capped() {
        for value in ["1001", "65535", "65536", "4294967296", "99999999999999999999999999999999"] {
            assert_eq!(claims(&[value], 1), Some(MAX_ATTEMPT), "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_attempt_number_is_read(attempt in 0..=MAX_ATTEMPT, first in 0_u16..2) {
            let value = (attempt + first).to_string();
            prop_assert_eq!(claimed([value.as_bytes()].into_iter(), first), Some(attempt));
        }

        #[test]
        fn no_bytes_panic(values: Vec<Vec<u8>>, first: u16) {
            let claimed = claimed(values.iter().map(Vec::as_slice), first);
            prop_assert!(claimed.is_none_or(|attempt| attempt <= MAX_ATTEMPT));
        }
    }
}
