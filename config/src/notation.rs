//! How quantities are written in a configuration: durations `250ms 10s 5m 1h`, rates `10/s 600/min 100/h 50/d`,
//! sizes `512B 16KiB 1MiB`, ratios `0.2`. Anything else is refused with what was found and what is accepted.

use core::fmt;
use core::time::Duration;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use tidegate_policy::bucket::Rate;
use tidegate_policy::retry_budget::Ratio;

pub(crate) const RATES: &str = "a rate such as 10/s, 600/min, 100/h or 50/d";
pub(crate) const SPANS: &str = "a duration such as 250ms, 10s, 5m or 1h";
pub(crate) const BYTE_RATES: &str = "a rate such as 500B/s or 2KiB/s";
pub(crate) const RATIOS: &str = "a ratio of 0 to 10 with at most 6 decimals, such as 0.2";
pub(crate) const SIZES: &str = "a size such as 512B, 16KiB or 1MiB";

/// A rate as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenRate(pub Rate);

/// A duration as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenSpan(pub Duration);

/// A rate in bytes per second as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenByteRate(pub u32);

/// A size in bytes as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenSize(pub u64);

/// A ratio as written: a number, or the same as a text. The shortest decimal that a number stands for counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenRatio(pub Ratio);

/// A whole number, also as `20.0`: some tools that write JSON know no integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole(pub u32);

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

fn span(text: &str) -> Option<Duration> {
    millis(text).map(Duration::from_millis)
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

fn byte_rate(text: &str) -> Option<u32> {
    u32::try_from(size(text.strip_suffix("/s")?)?).ok()
}

fn quantity(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    Some((number(count)?, unit.trim_start()))
}

fn number<N: core::str::FromStr>(digits: &str) -> Option<N> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

struct Written<T> {
    accepted: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.accepted)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

macro_rules! written {
    ($type:ident, $accepted:expr, $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(Written { accepted: $accepted, read: $read }).map($type)
            }
        }
    };
}

written!(WrittenRate, RATES, rate);
written!(WrittenSpan, SPANS, span);
written!(WrittenSize, SIZES, size);
written!(WrittenByteRate, BYTE_RATES, byte_rate);

impl<'de> Deserialize<'de> for WrittenRatio {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Decimal;
        impl Visitor<'_> for Decimal {
            type Value = WrittenRatio;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(RATIOS)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenRatio, E> {
                text.parse().map(WrittenRatio).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<WrittenRatio, E> {
                let ratio = n.to_string().parse().map(WrittenRatio);
                ratio.map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
            }
            fn visit_f64<E: Error>(self, n: f64) -> Result<WrittenRatio, E> {
                let ratio = n.to_string().parse().map(WrittenRatio);
                ratio.map_err(|_| E::invalid_value(Unexpected::Float(n), &self))
            }
        }
        from.deserialize_any(Decimal)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 to 4294967295")
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Whole, E> {
                u32::try_from(n).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
            }
            fn visit_f64<E: Error>(self, n: f64) -> Result<Whole, E> {
                let digits = format!("{n:.0}");
                match digits.parse() {
                    Ok(whole) if f64::from(whole) == n => Ok(Whole(whole)),
                    _ => Err(E::invalid_value(Unexpected::Float(n), &self)),
                }
            }
        }
        from.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    #[test]
    fn quantities_are_read_as_written() {
        assert_eq!(rate("600/min"), Some(Rate { requests: 600, period: Duration::from_secs(60) }));
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(span("5m"), Some(Duration::from_secs(300)));
        assert_eq!(size("16KiB"), Some(16_384));
        assert_eq!(size("0B"), Some(0));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_accepted() {
        for text in ["10/fortnight", "10", "/s", "-1/s", "+1/s", "1.5/s", "4294967296/s", ""] {
            let error = parse::<WrittenRate>(format!("{text:?}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("10/s"), "{error}");
        }
        for text in ["10", "10 parsecs", "ms", "99999999999999999999s", "18446744073709551615h"] {
            assert!(parse::<WrittenSpan>(format!("{text:?}").as_bytes()).is_err(), "{text}");
        }
        for text in ["1KB", "1kib", "18446744073709551615GiB"] {
            assert!(parse::<WrittenSize>(format!("{text:?}").as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ratio_is_the_decimal_that_is_written() {
        for (text, ratio) in
            [("0.4", "0.4"), ("0.333333", "0.333333"), ("1", "1"), ("1e-1", "0.1"), ("\"0.7\"", "0.7")]
        {
            assert_eq!(
                parse::<WrittenRatio>(text.as_bytes()),
                Ok(WrittenRatio(ratio.parse().unwrap())),
                "{text}"
            );
        }
        for text in ["-0.1", "11", "0.1234567", "1e300", "1e-300", "\"20%\"", "null"] {
            assert!(parse::<WrittenRatio>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        assert_eq!(parse::<Whole>(b"20"), Ok(Whole(20)));
        assert_eq!(parse::<Whole>(b"20.0"), Ok(Whole(20)));
        assert_eq!(parse::<Whole>(b"2e1"), Ok(Whole(20)));
        for text in ["20.5", "-1", "4294967296", "1e300", "\"20\"", "null"] {
            assert!(parse::<Whole>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
