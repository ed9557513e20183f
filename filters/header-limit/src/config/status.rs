//! The status of a refusal: one on which no client repeats a request.

use serde::Deserialize;
use tidegate_config::range::{ANY, Count};

/// 400 to 499, but not 408, 409 or 429; by default 431.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(serde::Serialize))]
#[serde(try_from = "Count<0, ANY>")]
pub(super) struct Status(u16);

impl Status {
    pub(super) const FORBIDDEN: Self = Self(403);

    pub(super) const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Status {
    fn default() -> Self {
        Self(431)
    }
}

impl TryFrom<Count<0, ANY>> for Status {
    type Error = String;

    fn try_from(found: Count<0, ANY>) -> Result<Self, String> {
        match u16::try_from(found.get()) {
            Ok(status @ 400..=499) if ![408, 409, 429].contains(&status) => Ok(Self(status)),
            _ => Err(format!(
                "found {found:?}, accepted is 400 to 499 without 408, 409 and 429, on which clients repeat a request"
            )),
        }
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Status {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 400, "maximum": 499, "not": { "enum": [408, 409, 429] } })
    }
}
