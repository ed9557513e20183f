//! The status and message of a default response.

use serde::Deserialize;
use tidegate_config::range::{ANY, Count};
use tidegate_config::text::{Kind, Text};

/// 200, 429 or 500 to 599.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(serde::Serialize))]
#[serde(try_from = "Count<0, ANY>")]
pub(super) struct Status(u16);

impl Status {
    pub(super) const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<Count<0, ANY>> for Status {
    type Error = String;

    fn try_from(found: Count<0, ANY>) -> Result<Self, String> {
        let status = u16::try_from(found.get()).ok().filter(|status| matches!(status, 200 | 429 | 500..=599));
        status.map(Self).ok_or_else(|| format!("found {found:?}, accepted are 200, 429 and 500 to 599"))
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
        schemars::json_schema!({
            "type": "integer", "minimum": 200, "maximum": 599, "anyOf": [{ "enum": [200, 429] }, { "minimum": 500 }]
        })
    }
}

/// A sentence of 1 to 4,096 bytes.
pub(super) type Message = Text<Sentence>;

/// The kind of a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {}

impl Kind for Sentence {
    const ACCEPTED: &'static str = "are 1 to 4096";
    const PATTERN: &'static str = r"^[\s\S]{1,4096}$";
    const EXAMPLE: &'static str = "The model is busy. Please try again shortly.";

    fn is(text: &str) -> bool {
        (1..=4_096).contains(&text.len())
    }

    fn found(text: &str) -> String {
        format!("{} bytes", text.len())
    }
}
