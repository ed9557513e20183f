//! Rules that decide and count, and enforce nothing: all of a filter's, or some by their names.

use crate::document::ConfigError;
use core::fmt;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// `shadow:` as written.
#[derive(Debug)]
pub enum Shadow {
    /// All rules, or none.
    All(bool),
    /// These.
    Some(Vec<String>),
}

impl Default for Shadow {
    fn default() -> Self {
        Self::All(false)
    }
}

impl<'de> Deserialize<'de> for Shadow {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Shadow;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a list of rules such as [max_count]")
            }
            fn visit_bool<E>(self, all: bool) -> Result<Shadow, E> {
                Ok(Shadow::All(all))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Shadow, S::Error> {
                let mut rules = Vec::new();
                while let Some(rule) = list.next_element()? {
                    rules.push(rule);
                }
                Ok(Shadow::Some(rules))
            }
        }
        from.deserialize_any(Written)
    }
}

/// Which rules only count.
#[derive(Debug)]
pub struct Shadowed {
    /// All of them.
    pub all: bool,
    rules: Vec<String>,
}

impl Shadowed {
    /// From `shadow:` as written, where these rules are known and those of `others` have a key of their own.
    pub fn of(written: Shadow, known: &[&str], others: &str) -> Result<Self, ConfigError> {
        match written {
            Shadow::All(all) => Ok(Self { all, rules: Vec::new() }),
            Shadow::Some(rules) => match rules.iter().position(|rule| !known.contains(&rule.as_str())) {
                None => Ok(Self { all: false, rules }),
                Some(place) => {
                    let found = rules.get(place).map_or("", String::as_str);
                    let problem = format!(
                        "found {found:?}, accepted are {}; {others} take shadow: true of their own",
                        known.join(", ")
                    );
                    Err(ConfigError::new(format!("shadow[{place}]"), problem))
                }
            },
        }
    }

    /// Whether a rule only counts.
    pub fn holds(&self, rule: &str) -> bool {
        self.all || self.rules.iter().any(|known| known == rule)
    }
}
