//! Request rates such as `10/s` and `600/min`, whose type states the maximum.

use crate::notation;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use tidegate_policy::bucket;

/// A rate such as `10/s`, `600/min`, `100/h` or `50/d`: at least one request per period, and at most `MAX` per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate<const MAX: u64>(bucket::Rate);

impl<const MAX: u64> Rate<MAX> {
    /// Returns a rate of `REQUESTS` per second, whose range is checked at compile time.
    pub const fn per_second<const REQUESTS: u32>() -> Self {
        const { assert!(REQUESTS > 0 && exceeds(REQUESTS, 1, MAX).is_none(), "a rate lies within its range") }
        Self(bucket::Rate { requests: REQUESTS, period: core::time::Duration::from_secs(1) })
    }

    /// Returns the rate.
    pub const fn get(self) -> bucket::Rate {
        self.0
    }
}

const fn exceeds(requests: u32, seconds: u64, most: u64) -> Option<u64> {
    let allowed = most.saturating_mul(seconds);
    let over = bits(requests).saturating_sub(allowed);
    if over > 0 { Some(over) } else { None }
}

#[expect(clippy::as_conversions, reason = "from is not const; 32 bits fit into 64")]
const fn bits(number: u32) -> u64 {
    number as u64
}

impl<'de, const MAX: u64> Deserialize<'de> for Rate<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = (bucket::Rate, String);
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(notation::RATES)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let rate = notation::rate(text);
                rate.map(|rate| (rate, text.to_owned()))
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        let (rate, found) = from.deserialize_str(Written)?;
        let within = rate.requests > 0 && exceeds(rate.requests, rate.period.as_secs(), MAX).is_none();
        within.then_some(Self(rate)).ok_or_else(|| {
            let most = if MAX < crate::range::ANY { format!(", at most {MAX}/s") } else { String::new() };
            D::Error::custom(format!("found {found}, accepted is a rate of at least 1 request{most}"))
        })
    }
}

#[cfg(feature = "describe")]
impl<const MAX: u64> serde::Serialize for Rate<MAX> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let unit = match self.0.period.as_secs() {
            1 => "s",
            60 => "min",
            3_600 => "h",
            _ => "d",
        };
        to.collect_str(&format_args!("{}/{unit}", self.0.requests))
    }
}

#[cfg(feature = "describe")]
impl<const MAX: u64> schemars::JsonSchema for Rate<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Rate{MAX}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^\s*0*[1-9][0-9]*\s*/\s*(s|min|h|d)\s*$",
            "x-minimum": "1/d",
            "x-maximum": format!("{MAX}/s")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn a_rate_out_of_its_range_is_refused_with_what_was_found_and_what_is_accepted() {
        let error = |text: &str| parse::<Rate<1_000>>(text.as_bytes()).unwrap_err().to_string();
        for text in ["0/s", "1001/s", "60001/min", "86400001/d"] {
            let error = error(&format!("{text:?}"));
            assert!(error.contains(&format!("found {text}")) && error.contains("at most 1000/s"), "{error}");
        }
        assert!(error("\"10/fortnight\"").contains("10/s") && error("10").contains("10/s"));
    }

    #[test]
    fn a_rate_within_its_range_is_read() {
        let requests = |text: &str| parse::<Rate<1_000>>(text.as_bytes()).unwrap().get().requests;
        assert_eq!(["\"1000/s\"", "\"60000/min\"", "\"1 / d\""].map(requests), [1_000, 60_000, 1]);
    }
}
