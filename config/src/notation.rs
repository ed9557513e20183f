//! The notations of quantities in a configuration: durations `250ms 10s 5m 1h`, rates `10/s 600/min 100/h 50/d`, sizes
//! `512B 16KiB 1MiB`, ratios `0.2`. Anything else is refused with what was found and what is accepted.

use core::time::Duration;
use tidegate_policy::bucket::Rate;
use tidegate_policy::retry_budget::Ratio;

pub(crate) const RATES: &str = "a rate such as 10/s, 600/min, 100/h or 50/d";
pub(crate) const SPANS: &str = "a duration such as 250ms, 10s, 5m or 1h";
pub(crate) const BYTE_RATES: &str = "a rate such as 500B/s or 2KiB/s";
pub(crate) const RATIOS: &str = "a ratio of 0 to 10 with at most 6 decimals, such as 0.2";
pub(crate) const SIZES: &str = "a size such as 512B, 16KiB or 1MiB";

pub(crate) fn rate(text: &str) -> Option<Rate> {
    let (requests, per) = text.split_once('/')?;
    let seconds = match per.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Rate { requests: number(requests.trim())?, period: Duration::from_secs(seconds) })
}

pub(crate) fn millis(text: &str) -> Option<u64> {
    let (count, unit) = quantity(text)?;
    match unit {
        "ms" => Some(count),
        "s" => count.checked_mul(1_000),
        "m" => count.checked_mul(60_000),
        "h" => count.checked_mul(3_600_000),
        _ => None,
    }
}

pub(crate) fn millionths(text: &str) -> Option<u64> {
    text.parse::<Ratio>().ok().map(Ratio::millionths)
}

pub(crate) fn size(text: &str) -> Option<u64> {
    let (count, unit) = quantity(text)?;
    match unit {
        "B" => Some(count),
        "KiB" => count.checked_mul(1 << 10),
        "MiB" => count.checked_mul(1 << 20),
        "GiB" => count.checked_mul(1 << 30),
        _ => None,
    }
}

fn quantity(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    Some((number(count)?, unit.trim_start()))
}

fn number<N: core::str::FromStr>(digits: &str) -> Option<N> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_written() {
        assert_eq!(rate("600/min"), Some(Rate { requests: 600, period: Duration::from_secs(60) }));
        assert_eq!(["250ms", "5m"].map(millis), [Some(250), Some(300_000)]);
        assert_eq!(["16KiB", "0B"].map(size), [Some(16_384), Some(0)]);
        assert_eq!(["0.333333", "1"].map(millionths), [Some(333_333), Some(1_000_000)]);
    }

    #[test]
    fn anything_else_is_none() {
        for text in ["10/fortnight", "10", "/s", "-1/s", "+1/s", "1.5/s", "4294967296/s", ""] {
            assert_eq!(rate(text), None, "{text}");
        }
        for text in ["10", "10 parsecs", "ms", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(millis(text), None, "{text}");
        }
        for text in ["1KB", "1kib", "18446744073709551615GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
        for text in ["-0.1", "11", "0.1234567", "20%"] {
            assert_eq!(millionths(text), None, "{text}");
        }
    }
}
