//! JSON Schemas of our own notations, which cannot be derived.

use crate::range::Notation;
use schemars::{Schema, json_schema};
use serde_json::{Value, json};

/// Extends a schema by `null`.
pub fn or_null(mut schema: Schema) -> Schema {
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.push(json!({ "type": "null" }));
    } else if let Some(kind) = schema.remove("type") {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    }
    schema
}

/// Returns the schema of digits with one of `units`. The range, which a pattern cannot express, is annotated.
pub(crate) fn quantity<N: Notation>(units: &str, min: u64, max: u64) -> Schema {
    let digits = if min > 0 { "0*[1-9][0-9]*" } else { "[0-9]+" };
    json_schema!({
        "type": "string",
        "pattern": format!(r"^{digits}\s*{units}$"),
        "x-minimum": N::text(min),
        "x-maximum": N::text(max)
    })
}

/// Returns the schema of a value that is written as a text, or as an object with one member.
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
