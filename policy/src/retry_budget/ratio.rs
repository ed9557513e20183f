//! A ratio as an exact fraction in parts per million, parsed from a decimal: 0.4 is 0.4.

use crate::ratio::decimal;
use core::fmt;
use core::str::FromStr;

/// The parts per retry.
pub(super) const WHOLE: u64 = 1_000_000;

const MAX: u64 = 10 * WHOLE;

const DIGITS: usize = 6;

/// Retries per first attempt, 0 to 10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio {
    millionths: u64,
}

/// The text is not a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRatio;

impl fmt::Display for InvalidRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("accepted is 0 to 10 with at most 6 decimals, such as 0.2")
    }
}

impl Ratio {
    /// Creates a ratio from millionths; `None` above 10.
    pub const fn from_millionths(millionths: u64) -> Option<Self> {
        if millionths <= MAX { Some(Self { millionths }) } else { None }
    }

    /// Returns the ratio in millionths.
    pub const fn millionths(self) -> u64 {
        self.millionths
    }

    /// Returns the earnings of `first_attempts`, in millionths of a retry.
    pub(super) const fn of(self, first_attempts: u64) -> u64 {
        self.millionths.saturating_mul(first_attempts)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.millionths))
    }
}

impl FromStr for Ratio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, InvalidRatio> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(decimals) || decimals.len() > DIGITS {
            return Err(InvalidRatio);
        }
        let millionths: u64 = format!("{whole}{decimals:0<DIGITS$}").parse().map_err(|_| InvalidRatio)?;
        if millionths > MAX { Err(InvalidRatio) } else { Ok(Self { millionths }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ratio_is_exactly_the_written_decimal() {
        for (text, millionths) in
            [("0.4", 400_000), ("0", 0), ("1", WHOLE), ("0.000001", 1), ("0.333333", 333_333), ("10.0", MAX)]
        {
            assert_eq!(text.parse(), Ok(Ratio { millionths }), "{text}");
            assert_eq!(Ratio { millionths }.to_string().parse(), Ok(Ratio { millionths }), "{text}");
        }
    }

    #[test]
    fn an_inexact_ratio_is_refused() {
        for text in ["", ".", ".5", "1.", "-0.1", "+1", "1e-1", "0.1234567", "10.000001", "NaN", "0,2", "٢"]
        {
            assert_eq!(text.parse::<Ratio>(), Err(InvalidRatio), "{text:?}");
        }
        assert_eq!("9".repeat(400).parse::<Ratio>(), Err(InvalidRatio));
    }

    proptest! {
        #[test]
        fn every_ratio_is_read_exactly(millionths in 0..=MAX) {
            let text = format!("{}.{:06}", millionths / WHOLE, millionths % WHOLE);
            prop_assert_eq!(text.parse(), Ok(Ratio { millionths }));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Ratio>();
        }
    }
}
