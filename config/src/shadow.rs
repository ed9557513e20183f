//! Shadow mode: rules that decide and count but do not enforce, either all rules of a filter or some by name.

use core::fmt;
use core::marker::PhantomData;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The rules of a filter that have no `shadow` member of their own.
pub trait Rules {
    /// The names of the rules.
    const NAMES: &'static [&'static str];
    /// The rules with a `shadow` member of their own, such as `fields and deny`.
    const OTHERS: &'static str;
}

/// The member `shadow:`, by default none: the rules among `R` that are in shadow mode.
#[derive(Debug)]
pub struct Shadow<R> {
    all: bool,
    rules: Vec<&'static str>,
    of: PhantomData<R>,
}

impl<R> Shadow<R> {
    /// Returns true if all rules are in shadow mode, including those with a member of their own.
    pub const fn is_all(&self) -> bool {
        self.all
    }

    /// Returns true if a rule is in shadow mode.
    pub fn holds(&self, rule: &str) -> bool {
        self.all || self.rules.contains(&rule)
    }
}

impl<R> Default for Shadow<R> {
    fn default() -> Self {
        Self { all: false, rules: Vec::new(), of: PhantomData }
    }
}

/// The name of one of the rules `R`.
struct Name<R>(&'static str, PhantomData<R>);

impl<'de, R: Rules> Deserialize<'de> for Name<R> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = String::deserialize(from)?;
        let known = R::NAMES.iter().find(|name| **name == found);
        known.map(|name| Self(name, PhantomData)).ok_or_else(|| {
            let (known, others) = (R::NAMES.join(", "), R::OTHERS);
            D::Error::custom(format!(
                "found {found:?}, accepted are {known}; {others} take shadow: true of their own"
            ))
        })
    }
}

impl<'de, R: Rules> Deserialize<'de> for Shadow<R> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written<R>(PhantomData<R>);
        impl<'de, R: Rules> Visitor<'de> for Written<R> {
            type Value = Shadow<R>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let example = R::NAMES.first().unwrap_or(&"");
                write!(f, "true, false or a list of rules such as [{example}]")
            }
            fn visit_bool<E>(self, all: bool) -> Result<Shadow<R>, E> {
                Ok(Shadow { all, ..Shadow::default() })
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Shadow<R>, S::Error> {
                let mut rules = Vec::new();
                while let Some(Name(rule, _)) = list.next_element::<Name<R>>()? {
                    rules.push(rule);
                }
                Ok(Shadow { rules, ..Shadow::default() })
            }
        }
        from.deserialize_any(Written(PhantomData))
    }
}

#[cfg(feature = "describe")]
impl<R> serde::Serialize for Shadow<R> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.rules.is_empty() { self.all.serialize(to) } else { self.rules.serialize(to) }
    }
}

#[cfg(feature = "describe")]
impl<R: Rules> schemars::JsonSchema for Shadow<R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shadow".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "boolean" }, { "type": "array", "items": { "type": "string", "enum": R::NAMES } }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[derive(Debug)]
    struct Two;

    impl Rules for Two {
        const NAMES: &'static [&'static str] = &["a", "b"];
        const OTHERS: &'static str = "others";
    }

    #[test]
    fn all_rules_or_some_only_count() {
        let holds = |text: &str| {
            let shadow: Shadow<Two> = parse(text.as_bytes()).unwrap();
            ["a", "b"].map(|rule| shadow.holds(rule))
        };
        assert_eq!(
            ["true", "false", "[]", "[\"b\"]"].map(holds),
            [[true; 2], [false; 2], [false; 2], [false, true]]
        );
    }

    #[test]
    fn an_unknown_rule_is_refused_with_the_known_ones() {
        let error = parse::<Shadow<Two>>(b"[\"a\",\"c\"]").unwrap_err();
        assert_eq!(error.path, "[1]");
        assert!(error.problem.starts_with("found \"c\", accepted are a, b; others take"), "{error}");
        assert!(
            parse::<Shadow<Two>>(b"\"yes\"").unwrap_err().problem.contains("a list of rules such as [a]")
        );
    }
}
