//! How long the upstream asks clients to wait: `retry-after-ms`, else `retry-after` in seconds, whole or decimal, as
//! the SDKs read them. A date is not read: it would need the wall clock, and says less than a number. Of several
//! values the longest counts.

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Longer waits are taken for this one, in nanoseconds: a day.
pub const MAX_ASKED: u64 = 86_400 * SECOND;

const DECIMALS: usize = 9;

/// The wait in nanoseconds, more than 0, from the values of `retry-after-ms` and those of `retry-after`.
pub fn asked<'a>(
    retry_after_ms: impl Iterator<Item = &'a [u8]>,
    retry_after: impl Iterator<Item = &'a [u8]>,
) -> Option<u64> {
    let millis = retry_after_ms.filter_map(|value| span(value, MILLISECOND)).max();
    millis.or_else(|| retry_after.filter_map(|value| span(value, SECOND)).max())
}

fn span(value: &[u8], unit: u64) -> Option<u64> {
    let text = core::str::from_utf8(value.trim_ascii()).ok()?;
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || (whole.is_empty() && decimals.is_empty()) {
        return None;
    }
    let billionths: u64 = format!("{decimals:0<DECIMALS$.DECIMALS$}").parse().ok()?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let part = billionths.saturating_mul(unit.checked_div(MILLISECOND)?).checked_div(SECOND / MILLISECOND)?;
    let wait = whole.saturating_mul(unit).saturating_add(part).min(MAX_ASKED);
    (wait > 0).then_some(wait)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    fn asks(millis: &[&'static str], seconds: &[&'static str]) -> Option<u64> {
        asked(millis.iter().map(|value| value.as_bytes()), seconds.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn milliseconds_and_seconds_are_read_whole_and_decimal() {
        assert_eq!(asks(&["300"], &["5"]), Some(300 * MILLISECOND));
        assert_eq!(asks(&["0.5"], &[]), Some(500_000));
        assert_eq!(asks(&[], &["5"]), Some(5 * SECOND));
        assert_eq!(asks(&[], &[" 1.25\t"]), Some(1_250 * MILLISECOND));
        assert_eq!(asks(&[], &[".5"]), Some(SECOND / 2));
        assert_eq!(asks(&[], &["5."]), Some(5 * SECOND));
        assert_eq!(asks(&[], &["0.0000000019999"]), Some(1));
    }

    #[test]
    fn what_is_no_wait_is_passed_over() {
        for value in ["", ".", "0", "0.0", "-1", "+1", "1e3", "NaN", "inf", "0x1", "1 2", "1,2", "1.2.3", "٣"]
        {
            assert_eq!(asks(&[], &[value]), None, "{value:?}");
            assert_eq!(asks(&[value], &["2"]), Some(2 * SECOND), "{value:?}");
        }
        assert_eq!(asks(&[], &["Wed, 21 Oct 2015 07:28:00 GMT"]), None);
        assert_eq!(asked([b"\xff".as_slice()].into_iter(), [b"\xfe1".as_slice()].into_iter()), None);
    }

    #[test]
    fn of_several_values_the_longest_counts_and_none_is_longer_than_a_day() {
        assert_eq!(asks(&["5", "700", "x"], &["9"]), Some(700 * MILLISECOND));
        assert_eq!(asks(&[], &["99999999999999999999999999999999"]), Some(MAX_ASKED));
    }

    proptest! {
        #[test]
        fn every_number_of_milliseconds_comes_back(millis in 1..MAX_ASKED / MILLISECOND) {
            let seconds = format!("{}.{:03}", millis / 1_000, millis % 1_000);
            prop_assert_eq!(span(seconds.as_bytes(), SECOND), Some(millis * MILLISECOND));
            prop_assert_eq!(span(millis.to_string().as_bytes(), MILLISECOND), Some(millis * MILLISECOND));
        }

        #[test]
        fn no_bytes_panic(value: Vec<u8>) {
            let _ = asked([value.as_slice()].into_iter(), [value.as_slice()].into_iter());
        }
    }
}
