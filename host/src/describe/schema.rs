//! JSON Schemas of what is written in notations of our own, and so cannot be derived.

use crate::notation::{Whole, WrittenByteRate, WrittenRate, WrittenRatio, WrittenSize, WrittenSpan};
use crate::shadow::Shadow;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
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
written!(Shadow, "Shadow", {
    "description": "Rules that count and refuse nobody: all, none, or those of a list.",
    "anyOf": [{ "type": "boolean" }, { "type": "array", "items": { "type": "string" } }]
});

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
