//! A ratio in millionths, so that it is compared without rounding.

const WHOLE: u32 = 1_000_000;

/// From none to all, in steps of a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio {
    millionths: u32,
}

impl core::fmt::Display for Ratio {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (whole, decimals) =
            (self.millionths.div_euclid(1_000_000), self.millionths.rem_euclid(1_000_000));
        let text = format!("{whole}.{decimals:06}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Ratio {
    /// So many millionths; `None` above one whole.
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        if millionths <= WHOLE { Some(Self { millionths }) } else { None }
    }

    /// The ratio in millionths.
    pub const fn millionths(self) -> u32 {
        self.millionths
    }

    /// Whether `part` of `whole` is at least this. No part of nothing is.
    pub fn reached_by(self, part: u32, whole: u32) -> bool {
        let needed = u64::from(whole).saturating_mul(u64::from(self.millionths));
        whole > 0 && u64::from(part).saturating_mul(u64::from(WHOLE)) >= needed
    }

    /// This part of `quantity`, rounded down.
    pub fn of(self, quantity: u64) -> u64 {
        let product = u128::from(quantity).saturating_mul(u128::from(self.millionths));
        u64::try_from(product / 1_000_000).unwrap_or(quantity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_than_the_whole_is_no_ratio() {
        assert!(Ratio::from_millionths(WHOLE).is_some());
        assert_eq!(Ratio::from_millionths(WHOLE.saturating_add(1)), None);
    }

    #[test]
    fn no_part_of_nothing_is_reached() {
        assert!(!Ratio::default().reached_by(0, 0) && Ratio::default().reached_by(0, 1));
    }

    proptest! {
        #[test]
        fn a_ratio_is_reached_exactly_where_the_quotient_is(millionths in 0..=WHOLE, part: u32, whole: u32) {
            let ratio = Ratio::from_millionths(millionths).unwrap();
            let product = |a: u32, b: u32| u128::from(a).checked_mul(u128::from(b)).unwrap();
            let expected = whole > 0 && product(part, WHOLE) >= product(whole, millionths);
            prop_assert_eq!(ratio.reached_by(part, whole), expected);
        }

        #[test]
        fn a_part_is_never_more_than_the_quantity(millionths in 0..=WHOLE, quantity: u64) {
            prop_assert!(Ratio::from_millionths(millionths).unwrap().of(quantity) <= quantity);
        }
    }
}
