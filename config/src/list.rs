//! Lists whose type bounds their length.

use core::ops::Deref;
use serde::de::{Deserialize, Deserializer, Error};

/// A list of `MIN` to `MAX` entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, 0, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MIN: usize, const MAX: usize> List<T, MIN, MAX> {
    /// Creates a list of these entries, or `None` if they are too few or too many.
    pub fn of(entries: impl IntoIterator<Item = T>) -> Option<Self> {
        let entries: Vec<T> = entries.into_iter().collect();
        (MIN..=MAX).contains(&entries.len()).then_some(Self(entries))
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for List<T, MIN, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> IntoIterator for List<T, MIN, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de> for List<T, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let entries = Vec::deserialize(from)?;
        match entries.len() {
            found if (MIN..=MAX).contains(&found) => Ok(Self(entries)),
            found => Err(D::Error::custom(refusal(found, MIN, MAX))),
        }
    }
}

fn refusal(found: usize, min: usize, max: usize) -> String {
    match min {
        0 => format!("found {found} entries, accepted are at most {max}"),
        _ => format!("found {found} entries, accepted are {min} to {max}"),
    }
}

#[cfg(feature = "describe")]
impl<T: serde::Serialize, const MIN: usize, const MAX: usize> serde::Serialize for List<T, MIN, MAX> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

#[cfg(feature = "describe")]
impl<T: schemars::JsonSchema, const MIN: usize, const MAX: usize> schemars::JsonSchema for List<T, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let items = generator.subschema_for::<T>();
        let mut schema = schemars::json_schema!({ "type": "array", "items": items, "maxItems": MAX });
        if MIN > 0 {
            schema.insert("minItems".to_owned(), MIN.into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn a_list_of_another_length_is_refused_with_what_was_found_and_what_is_accepted() {
        let error = |text: &str| parse::<List<u8, 1, 2>>(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("[]"), "found 0 entries, accepted are 1 to 2");
        assert_eq!(error("[1,2,3]"), "found 3 entries, accepted are 1 to 2");
        assert!(parse::<List<u8, 0, 2>>(b"[1,2,3]").unwrap_err().to_string().contains("at most 2"));
        assert_eq!(parse::<List<u8, 1, 2>>(b"[1,2]").unwrap().len(), 2);
    }
}
