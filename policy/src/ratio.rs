//! A ratio in millionths, which allows comparisons without rounding.

const WHOLE: u32 = 1_000_000;

/// A ratio between 0 and 1, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio {
    millionths: u32,
}

impl core::fmt::Display for Ratio {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&decimal(u64::from(self.millionths)))
    }
}

impl Ratio {
    /// Returns the ratio of this many millionths, or `None` above 1.
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        if millionths <= WHOLE { Some(Self { millionths }) } else { None }
    }

    /// Returns the ratio in millionths.
    pub const fn millionths(self) -> u32 {
        self.millionths
    }

    /// Returns true if `part` of `whole` is at least this ratio. It is false for a `whole` of 0.
    pub fn reached_by(self, part: u32, whole: u32) -> bool {
        let needed = u64::from(whole).saturating_mul(u64::from(self.millionths));
        whole > 0 && u64::from(part).saturating_mul(u64::from(WHOLE)) >= needed
    }

    /// Returns this ratio of `quantity`, rounded down.
    pub fn of(self, quantity: u64) -> u64 {
        let product = u128::from(quantity).saturating_mul(u128::from(self.millionths));
        u64::try_from(product / 1_000_000).unwrap_or(quantity)
    }
}

/// Returns millionths as the shortest decimal, such as `0.2`.
pub(crate) fn decimal(millionths: u64) -> String {
    let (whole, decimals) = (millionths.div_euclid(1_000_000), millionths.rem_euclid(1_000_000));
    let text = format!("{whole}.{decimals:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_than_one_is_no_ratio() {
        assert!(Ratio::from_millionths(WHOLE).is_some());
        assert_eq!(Ratio::from_millionths(WHOLE.saturating_add(1)), None);
    }

    #[test]
    fn an_empty_whole_reaches_no_ratio() {
        assert!(!Ratio::default().reached_by(0, 0) && Ratio::default().reached_by(0, 1));
    }

    proptest! {
        #[test]
        fn a_ratio_is_reached_exactly_when_the_quotient_is(millionths in 0..=WHOLE, part: u32, whole: u32) {
            let ratio = Ratio::from_millionths(millionths).unwrap();
            let product = |a: u32, b: u32| u128::from(a).checked_mul(u128::from(b)).unwrap();
            let expected = whole > 0 && product(part, WHOLE) >= product(whole, millionths);
            prop_assert_eq!(ratio.reached_by(part, whole), expected);
        }

        #[test]
        fn a_part_never_exceeds_the_quantity(millionths in 0..=WHOLE, quantity: u64) {
            prop_assert!(Ratio::from_millionths(millionths).unwrap().of(quantity) <= quantity);
        }
    }
}
