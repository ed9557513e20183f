//! Quantities whose type states their range and their default, if any: `Span<1, DAY, { 5 * SECOND }>`. The type is the
//! only place for these facts. It reads the value, refuses one out of range with what was found and what is accepted,
//! and generates the field's JSON Schema, from which the reference is made.
//!
//! A quantity with a default reads `null` as an absent one. All ranges of a notation share one reader, so each adds
//! little to a module's size.

use crate::notation;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A second, in milliseconds.
pub const SECOND: u64 = 1_000;
/// An hour, in milliseconds.
pub const HOUR: u64 = 3_600 * SECOND;
/// A day, in milliseconds.
pub const DAY: u64 = 24 * HOUR;
/// The longest representable time, about 584 years, in milliseconds: the bound of a span without a tighter one.
pub const LONGEST: u64 = u64::MAX / 1_000_000;
/// A kibibyte, in bytes.
pub const KIB: u64 = 1 << 10;
/// A mebibyte, in bytes.
pub const MIB: u64 = 1 << 20;
/// A gibibyte, in bytes.
pub const GIB: u64 = 1 << 30;
/// One, in millionths.
pub const ONE: u64 = 1_000_000;
/// The bound of a whole number without a tighter one.
pub const ANY: u64 = 4_294_967_295;
/// The marker for a quantity without a default.
pub const NONE: u64 = u64::MAX;

/// A whole number. `20.0` is accepted too, because some JSON writers have no integers.
pub type Count<const MIN: u64, const MAX: u64, const DEFAULT: u64 = NONE> = Ranged<Whole, MIN, MAX, DEFAULT>;

/// A duration such as `250ms`, bounded in milliseconds.
pub type Span<const MIN: u64, const MAX: u64, const DEFAULT: u64 = NONE> = Ranged<Millis, MIN, MAX, DEFAULT>;

/// A size such as `16KiB`, bounded in bytes.
pub type Size<const MIN: u64, const MAX: u64, const DEFAULT: u64 = NONE> = Ranged<Bytes, MIN, MAX, DEFAULT>;

/// A rate such as `500B/s`, bounded in bytes per second.
pub type ByteRate<const MIN: u64, const MAX: u64, const DEFAULT: u64 = NONE> =
    Ranged<BytesPerSecond, MIN, MAX, DEFAULT>;

/// A ratio such as `0.2`, as a number or a text, bounded in millionths. A number counts as its shortest decimal.
pub type Fraction<const MIN: u64, const MAX: u64, const DEFAULT: u64 = NONE> =
    Ranged<Millionths, MIN, MAX, DEFAULT>;

/// A quantity in the notation `N`.
pub struct Ranged<N, const MIN: u64, const MAX: u64, const DEFAULT: u64>(u64, PhantomData<N>);

/// The notation of a kind of quantity.
pub trait Notation {
    /// The accepted form, such as `a duration such as 250ms`.
    const ACCEPTED: &'static str;
    /// The largest quantity. Below a range that ends here, an error states only the minimum.
    const LARGEST: u64;

    /// Parses a text.
    fn read(text: &str) -> Option<u64>;

    /// Converts an integer of JSON, if this notation accepts numbers.
    fn of_integer(_: u64) -> Option<u64> {
        None
    }

    /// Converts a fractional number of JSON, if this notation accepts it.
    fn of_float(_: f64) -> Option<u64> {
        None
    }

    /// Formats a quantity as found in a document.
    fn found(quantity: u64) -> String {
        Self::text(quantity)
    }

    /// Formats a quantity as an operator would write it.
    fn text(quantity: u64) -> String;

    /// Returns the JSON Schema of a range.
    #[cfg(feature = "describe")]
    fn schema(min: u64, max: u64) -> schemars::Schema;

    /// Converts a quantity to JSON.
    #[cfg(feature = "describe")]
    fn value(quantity: u64) -> serde_json::Value {
        Self::text(quantity).into()
    }
}

/// The notation of [`Count`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {}

/// The notation of [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Millis {}

/// The notation of [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {}

/// The notation of [`ByteRate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesPerSecond {}

/// The notation of [`Fraction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Millionths {}

impl Notation for Whole {
    const ACCEPTED: &'static str = "a whole number";
    const LARGEST: u64 = ANY;

    fn read(_: &str) -> Option<u64> {
        None
    }

    fn of_integer(number: u64) -> Option<u64> {
        Some(number)
    }

    fn of_float(number: f64) -> Option<u64> {
        let whole: u32 = format!("{number:.0}").parse().ok()?;
        (f64::from(whole) == number).then_some(whole.into())
    }

    fn text(quantity: u64) -> String {
        quantity.to_string()
    }

    #[cfg(feature = "describe")]
    fn schema(min: u64, max: u64) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": min, "maximum": max })
    }

    #[cfg(feature = "describe")]
    fn value(quantity: u64) -> serde_json::Value {
        quantity.into()
    }
}

impl Notation for Millis {
    const ACCEPTED: &'static str = notation::SPANS;
    const LARGEST: u64 = LONGEST;

    fn read(text: &str) -> Option<u64> {
        notation::millis(text).map(|millis| millis.min(LONGEST))
    }

    fn found(quantity: u64) -> String {
        format!("{:?}", Duration::from_millis(quantity))
    }

    fn text(quantity: u64) -> String {
        exact(quantity, &[(HOUR, "h"), (SECOND, "s"), (1, "ms")])
    }

    #[cfg(feature = "describe")]
    fn schema(min: u64, max: u64) -> schemars::Schema {
        crate::schema::quantity::<Self>("(ms|s|m|h)", min, max)
    }
}

impl Notation for Bytes {
    const ACCEPTED: &'static str = notation::SIZES;
    const LARGEST: u64 = u64::MAX;

    fn read(text: &str) -> Option<u64> {
        notation::size(text)
    }

    fn found(quantity: u64) -> String {
        format!("{quantity}B")
    }

    fn text(quantity: u64) -> String {
        exact(quantity, &[(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1, "B")])
    }

    #[cfg(feature = "describe")]
    fn schema(min: u64, max: u64) -> schemars::Schema {
        crate::schema::quantity::<Self>("(B|KiB|MiB|GiB)", min, max)
    }
}

impl Notation for BytesPerSecond {
    const ACCEPTED: &'static str = notation::BYTE_RATES;
    const LARGEST: u64 = ANY;

    fn read(text: &str) -> Option<u64> {
        notation::size(text.strip_suffix("/s")?)
    }

    fn found(quantity: u64) -> String {
        format!("{quantity}B/s")
    }

    fn text(quantity: u64) -> String {
        Bytes::text(quantity) + "/s"
    }

    #[cfg(feature = "describe")]
    fn schema(min: u64, max: u64) -> schemars::Schema {
        crate::schema::quantity::<Self>("(B|KiB|MiB|GiB)/s", min, max)
    }
}

impl Notation for Millionths {
    const ACCEPTED: &'static str = notation::RATIOS;
    const LARGEST: u64 = u64::MAX;

    fn read(text: &str) -> Option<u64> {
        notation::millionths(text)
    }

    fn of_integer(number: u64) -> Option<u64> {
        notation::millionths(&number.to_string())
    }

    fn of_float(number: f64) -> Option<u64> {
        notation::millionths(&number.to_string())
    }

    fn text(quantity: u64) -> String {
        let (whole, decimals) = (quantity.div_euclid(ONE), quantity.rem_euclid(ONE));
        let text = format!("{whole}.{decimals:06}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    #[cfg(feature = "describe")]
    fn schema(min: u64, max: u64) -> schemars::Schema {
        let [minimum, maximum] = [min, max].map(Self::value);
        schemars::json_schema!({ "anyOf": [
            { "type": "number", "minimum": minimum, "maximum": maximum },
            { "type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,6})?$", "x-minimum": Self::text(min), "x-maximum": Self::text(max) }
        ] })
    }

    #[cfg(feature = "describe")]
    fn value(quantity: u64) -> serde_json::Value {
        Self::text(quantity).parse().unwrap_or_default()
    }
}

/// Formats a quantity in the largest unit that represents it exactly.
fn exact(quantity: u64, units: &[(u64, &str)]) -> String {
    let whole = |(unit, name): &(u64, &str)| {
        let fits = *unit == 1 || (quantity > 0 && quantity.is_multiple_of(*unit));
        fits.then(|| format!("{}{name}", quantity.checked_div(*unit).unwrap_or(quantity)))
    };
    units.iter().find_map(whole).unwrap_or_default()
}

/// Returns the error for a quantity out of its range.
fn refusal<N: Notation>(quantity: u64, min: u64, max: u64) -> String {
    let (found, least) = (N::found(quantity), bound::<N>(min));
    if max == N::LARGEST && quantity < min {
        format!("found {found}, accepted is at least {least}")
    } else {
        format!("found {found}, accepted is {least} to {}", N::text(max))
    }
}

/// Formats the minimum. The smallest ratio above 0 is written as `above 0`, because nobody thinks in that number.
fn bound<N: Notation>(min: u64) -> String {
    match N::text(min) {
        text if text == "0.000001" => "above 0".to_owned(),
        text => text,
    }
}

impl<N: Notation, const MIN: u64, const MAX: u64, const DEFAULT: u64> Ranged<N, MIN, MAX, DEFAULT> {
    const USUAL: u64 = {
        assert!(DEFAULT >= MIN && DEFAULT <= MAX, "a default lies within its range");
        DEFAULT
    };

    /// Returns the quantity, in the unit of its notation.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns `QUANTITY`, whose range is checked at compile time.
    pub const fn of<const QUANTITY: u64>() -> Self {
        const { assert!(QUANTITY >= MIN && QUANTITY <= MAX, "a quantity lies within its range") }
        Self(QUANTITY, PhantomData)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Ranged<Whole, MIN, MAX, DEFAULT> {
    /// Returns the number. No range of whole numbers exceeds the type.
    pub fn number(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }

    /// Returns the number as a length.
    pub fn length(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Ranged<BytesPerSecond, MIN, MAX, DEFAULT> {
    /// Returns the rate in bytes per second. No such range exceeds the type.
    pub fn number(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Ranged<Bytes, MIN, MAX, DEFAULT> {
    /// Returns the number of bytes as a length.
    pub fn length(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Ranged<Millis, MIN, MAX, DEFAULT> {
    /// Returns the duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Returns the duration in nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0.saturating_mul(1_000_000)
    }
}

impl<N, const MIN: u64, const MAX: u64, const DEFAULT: u64> Clone for Ranged<N, MIN, MAX, DEFAULT> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N, const MIN: u64, const MAX: u64, const DEFAULT: u64> Copy for Ranged<N, MIN, MAX, DEFAULT> {}

impl<N, const MIN: u64, const MAX: u64, const DEFAULT: u64> PartialEq for Ranged<N, MIN, MAX, DEFAULT> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<N, const MIN: u64, const MAX: u64, const DEFAULT: u64> Eq for Ranged<N, MIN, MAX, DEFAULT> {}

impl<N: Notation, const MIN: u64, const MAX: u64, const DEFAULT: u64> fmt::Debug
    for Ranged<N, MIN, MAX, DEFAULT>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&N::text(self.0))
    }
}

impl<N: Notation, const MIN: u64, const MAX: u64, const DEFAULT: u64> Default
    for Ranged<N, MIN, MAX, DEFAULT>
{
    fn default() -> Self {
        Self(Self::USUAL, PhantomData)
    }
}

impl<'de, N: Notation, const MIN: u64, const MAX: u64, const DEFAULT: u64> Deserialize<'de>
    for Ranged<N, MIN, MAX, DEFAULT>
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = match DEFAULT {
            NONE => Some(Quantity::<N>::deserialize(from)?),
            _ => Option::deserialize(from)?,
        };
        match found {
            None => Ok(Self(DEFAULT, PhantomData)),
            Some(Quantity(found, _)) if (MIN..=MAX).contains(&found) => Ok(Self(found, PhantomData)),
            Some(Quantity(found, _)) => Err(D::Error::custom(refusal::<N>(found, MIN, MAX))),
        }
    }
}

/// A quantity of any size.
struct Quantity<N>(u64, PhantomData<N>);

impl<'de, N: Notation> Deserialize<'de> for Quantity<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written<N>(PhantomData<N>);
        impl<N: Notation> Visitor<'_> for Written<N> {
            type Value = u64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(N::ACCEPTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
                N::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
                N::of_integer(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
                N::of_float(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }
        }
        from.deserialize_any(Written::<N>(PhantomData)).map(|quantity| Self(quantity, PhantomData))
    }
}

#[cfg(feature = "describe")]
impl<N: Notation, const MIN: u64, const MAX: u64, const DEFAULT: u64> serde::Serialize
    for Ranged<N, MIN, MAX, DEFAULT>
{
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        N::value(self.0).serialize(to)
    }
}

#[cfg(feature = "describe")]
impl<N: Notation, const MIN: u64, const MAX: u64, const DEFAULT: u64> schemars::JsonSchema
    for Ranged<N, MIN, MAX, DEFAULT>
{
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}{MIN}to{MAX}", core::any::type_name::<N>()).into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let schema = N::schema(MIN, MAX);
        if DEFAULT == NONE { schema } else { crate::schema::or_null(schema) }
    }
}

#[cfg(test)]
mod tests;
