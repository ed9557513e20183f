//! JSON Schemas of what is written in notations of our own, and so cannot be derived.

use crate::notation::{Whole, WrittenByteRate, WrittenRate, WrittenRatio, WrittenSize, WrittenSpan};
use crate::range::Notation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use std::borrow::Cow;

macro_rules! written {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

written!(WrittenRate, "Rate", {
    "type": "string",
    "pattern": r"^\s*[0-9]+\s*/\s*(s|min|h|d)\s*$",
    "description": "A rate such as 10/s, 600/min, 100/h or 50/d."
});
written!(WrittenSpan, "Duration", {
    "type": "string",
    "pattern": r"^[0-9]+\s*(ms|s|m|h)$",
    "description": "A duration such as 250ms, 10s, 5m or 1h."
});
written!(WrittenSize, "Size", {
    "type": "string",
    "pattern": r"^[0-9]+\s*(B|KiB|MiB|GiB)$",
    "description": "A size such as 512B, 16KiB or 1MiB."
});
written!(WrittenByteRate, "ByteRate", {
    "type": "string",
    "pattern": r"^[0-9]+\s*(B|KiB|MiB|GiB)/s$",
    "description": "A rate such as 500B/s or 2KiB/s."
});
written!(WrittenRatio, "Ratio", {
    "description": "A ratio of 0 to 10 with at most 6 decimals, such as 0.2.",
    "anyOf": [
        { "type": "number", "minimum": 0, "maximum": 10 },
        { "type": "string", "pattern": r"^[0-9]+(\.[0-9]{1,6})?$" }
    ]
});
written!(Whole, "Whole", { "type": "integer", "minimum": 0, "maximum": u32::MAX });

/// The same, or `null`.
pub fn or_null(mut schema: Schema) -> Schema {
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.push(json!({ "type": "null" }));
    } else if let Some(kind) = schema.remove("type") {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    }
    schema
}

/// A text in digits and one of `units`. What a pattern cannot say, its least and its most, is annotated.
pub(crate) fn quantity<N: Notation>(units: &str, min: u64, max: u64) -> Schema {
    let digits = if min > 0 { "0*[1-9][0-9]*" } else { "[0-9]+" };
    json_schema!({
        "type": "string",
        "pattern": format!(r"^{digits}\s*{units}$"),
        "x-minimum": N::text(min),
        "x-maximum": N::text(max)
    })
}

/// What is written as a text, or as an object with one member.
pub fn text_or_object(text: Schema, member: &str, value: Schema) -> Schema {
    let mut properties = serde_json::Map::new();
    properties.insert(member.to_owned(), value.into());
    json_schema!({ "anyOf": [text, {
        "type": "object",
        "properties": properties,
        "required": [member],
        "additionalProperties": false
    }] })
}
