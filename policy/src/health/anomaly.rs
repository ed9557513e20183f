//! Detects values that are anomalous for their own series: further than three standard deviations from the
//! exponentially weighted mean.
//!
//! An anomalous value moves mean and deviation only as far as the bound that it exceeds. One outlier therefore moves
//! the mean by at most 3/16 of a deviation, and a permanent change is accepted in the end. A slow drift is followed,
//! because the lag of the mean widens the deviation. The first values are averaged without weights and never judged. A
//! constant series has a deviation of 1/64 of its mean.
//!
//! Source: Welford (1962) for the mean and variance in one pass; West (1979) for weights.

use zerocopy::little_endian::{U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The number of values before the first one is judged.
pub const MIN_SAMPLES: u32 = 20;

/// The largest distinguishable value: 2^48, which is 78 hours in nanoseconds.
pub const MAX_VALUE: u64 = 1 << 48;

/// The size of a detector, in bytes.
pub const BYTES: usize = size_of::<Stored>();

const MEMORY: u32 = 16;

/// The judgement on a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There are too few values yet.
    Learning,
    /// The value is within three deviations.
    Ordinary,
    /// The value is above.
    High,
    /// The value is below.
    Low,
}

/// The state of a series. Values are integers in a fine unit, because the mean does not follow differences below 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detector {
    mean: u64,
    variance: u128,
    samples: u32,
}

/// A detector in a record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Stored {
    mean: U64,
    variance: U128,
    samples: U32,
}

impl From<&Stored> for Detector {
    fn from(stored: &Stored) -> Self {
        let mean = stored.mean.get().min(MAX_VALUE);
        let variance = stored.variance.get().min(u128::from(MAX_VALUE).saturating_pow(2));
        Self { mean, variance, samples: stored.samples.get() }
    }
}

impl From<&Detector> for Stored {
    fn from(detector: &Detector) -> Self {
        Self {
            mean: detector.mean.into(),
            variance: detector.variance.into(),
            samples: detector.samples.into(),
        }
    }
}

impl Detector {
    /// Returns the mean.
    pub const fn mean(&self) -> u64 {
        self.mean
    }

    /// Returns the standard deviation by which values are judged.
    pub fn deviation(&self) -> u64 {
        u64::try_from(self.variance.isqrt()).unwrap_or(MAX_VALUE).max(self.mean / 64)
    }

    /// Judges a value and adds it to the series.
    pub fn observe(&mut self, value: u64) -> Finding {
        let reach = self.deviation().saturating_mul(3);
        let bounds = (self.mean.saturating_sub(reach), self.mean.saturating_add(reach));
        let finding = match value {
            _ if self.samples < MIN_SAMPLES => Finding::Learning,
            high if high > bounds.1 => Finding::High,
            low if low < bounds.0 => Finding::Low,
            _ => Finding::Ordinary,
        };
        let believed = if finding == Finding::Learning { value } else { value.clamp(bounds.0, bounds.1) };
        self.take_in(believed.min(MAX_VALUE));
        finding
    }

    fn take_in(&mut self, value: u64) {
        self.samples = self.samples.saturating_add(1);
        let weight = self.samples.min(MEMORY);
        let delta = value.abs_diff(self.mean);
        let step = delta.checked_div(u64::from(weight)).unwrap_or(0);
        self.mean = match value > self.mean {
            true => self.mean.saturating_add(step),
            false => self.mean.saturating_sub(step),
        };
        let part = |whole: u128| whole.checked_div(u128::from(weight)).unwrap_or(0);
        let spread = self.variance.saturating_add(part(u128::from(delta).saturating_pow(2)));
        self.variance = spread.saturating_sub(part(spread));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::record::Fixed;
    use proptest::prelude::*;

    use crate::timestamp::MILLISECOND;

    fn after(values: impl IntoIterator<Item = u64>) -> Detector {
        let mut detector = Detector::default();
        for value in values {
            detector.observe(value);
        }
        detector
    }

    #[derive(Default)]
    struct Floating {
        mean: f64,
        variance: f64,
        samples: u32,
    }

    impl Floating {
        fn observe(&mut self, value: f64) {
            let reach = 3.0 * self.variance.sqrt().max(self.mean / 64.0);
            let judged = self.samples >= MIN_SAMPLES;
            let value = if judged { value.clamp(self.mean - reach, self.mean + reach) } else { value };
            self.samples += 1;
            let alpha = 1.0 / f64::from(self.samples.min(16));
            let delta = value - self.mean;
            self.mean += alpha * delta;
            self.variance = (1.0 - alpha) * (self.variance + alpha * delta * delta);
        }
    }

    #[test]
    fn no_value_is_judged_before_there_are_enough() {
        let mut detector = Detector::default();
        for n in 0..u64::from(MIN_SAMPLES) {
            assert_eq!(detector.observe(n % 3 * 1_000 * MILLISECOND), Finding::Learning);
        }
        assert_eq!(detector.observe(1_000 * MILLISECOND), Finding::Ordinary);
    }

    #[test]
    fn a_permanent_change_is_accepted_in_the_end() {
        let mut detector = after([100 * MILLISECOND; 50]);
        let findings: Vec<_> = (0..100).map(|_| detector.observe(10_000 * MILLISECOND)).collect();
        assert_eq!(findings[..5], [Finding::High; 5]);
        let judged_high = findings.iter().filter(|found| **found == Finding::High).count();
        assert!((10..60).contains(&judged_high), "{judged_high}");
        assert_eq!(findings[99], Finding::Ordinary);
    }

    #[test]
    fn a_series_that_does_not_vary_deviates_by_a_64th_of_its_mean() {
        let mut detector = after([64 * MILLISECOND; 50]);
        assert_eq!((detector.mean(), detector.deviation()), (64 * MILLISECOND, MILLISECOND));
        assert_eq!(detector.clone().observe(67 * MILLISECOND), Finding::Ordinary);
        assert_eq!(detector.observe(67 * MILLISECOND + 1), Finding::High);
    }

    #[test]
    fn a_fall_is_distinguished_from_a_rise() {
        assert_eq!(after([100 * MILLISECOND; 50]).observe(MILLISECOND), Finding::Low);
    }

    proptest! {
        #[test]
        fn one_outlier_moves_the_mean_by_a_fraction_of_the_deviation(
            usual in prop::collection::vec(50 * MILLISECOND..150 * MILLISECOND, 20..200),
            outlier: u64,
        ) {
            let mut detector = after(usual);
            let before = detector;
            detector.observe(outlier);
            let most = before.deviation() * 3 / 16 + 1;
            prop_assert!(detector.mean().abs_diff(before.mean()) <= most);
        }

        #[test]
        fn a_slow_drift_is_followed_without_a_finding(
            start in 10 * MILLISECOND..10_000 * MILLISECOND,
            per_mille in 0_u64..=5,
            up: bool,
        ) {
            let mut detector = after([start; 40]);
            for n in 1..=150 {
                let drift = start / 1_000 * per_mille * n;
                let value = if up { start + drift } else { start - drift };
                prop_assert_eq!(detector.observe(value), Finding::Ordinary, "after {} values", n);
            }
        }

        #[test]
        fn exactly_the_anomalous_values_are_found(
            usual in prop::collection::vec(90 * MILLISECOND..110 * MILLISECOND, 40..200),
            next in 90 * MILLISECOND..110 * MILLISECOND,
        ) {
            let detector = after(usual);
            prop_assert_eq!(detector.clone().observe(200 * MILLISECOND), Finding::High);
            let off = next.abs_diff(detector.mean());
            let expected = off <= detector.deviation() * 3;
            prop_assert_eq!(detector.clone().observe(next) == Finding::Ordinary, expected);
        }

        #[test]
        fn the_integers_agree_with_the_definition_in_floats(
            values in prop::collection::vec(MILLISECOND..60_000 * MILLISECOND, 1..300),
        ) {
            let (mut ours, mut floating) = (Detector::default(), Floating::default());
            for value in values {
                ours.observe(value);
                floating.observe(value as f64);
                let close = |a: f64, b: f64| (a - b).abs() <= 1_000.0 + b * 1e-4;
                prop_assert!(close(ours.mean as f64, floating.mean));
                prop_assert!(close((ours.variance as f64).sqrt(), floating.variance.sqrt()));
            }
        }

        #[test]
        fn any_bytes_are_a_detector_and_no_value_overflows_it(bytes: [u8; BYTES], values: Vec<u64>) {
            let mut detector = Detector::from(&Stored::first_of(&bytes));
            for value in values {
                detector.observe(value);
                prop_assert!(detector.mean() <= MAX_VALUE);
            }
            prop_assert_eq!(Detector::from(&Stored::from(&detector)), detector);
        }
    }
}
