//! The configuration reference, generated from the modules' schemas: a section for each module, a row for each key. A
//! key that repeats another one with the same meaning refers to it instead of being described again.

use crate::catalogue::{MODULES, Module};
use core::fmt::Write;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const NOTATIONS: &str = "\
# Configuration

<!-- Made by `cargo run --package tidegate-check -- reference docs/reference`. Edit the fields' comments in the source. -->

Each module takes one JSON document, in a `google.protobuf.StringValue`; [`tidegate`](#tidegate) takes those of all HTTP
filters in one. Every key that is not required may be left out. An unknown key or a value that is not accepted is refused when
the configuration is loaded, with its path, what was found and what is accepted, and Envoy keeps the configuration that
it has. `make check CONFIG=file` says the same before that. The JSON Schemas are in
[`envoy/schema`](../../envoy/schema).

| Quantity | Written as |
|---|---|
| duration | a text: `250ms`, `10s`, `5m`, `1h` |
| size | a text: `512B`, `16KiB`, `1MiB`, `1GiB` |
| rate of bytes | a text: `500B/s`, `2KiB/s` |
| rate of requests | a text: `10/s`, `600/min`, `100/h`, `50/d` |
| ratio | a number or a text, with at most six decimals: `0.2` |
";

/// A page's file name, and the function that generates it.
pub type Page = (&'static str, fn() -> String);

/// The generated pages.
pub const PAGES: [Page; 2] = [("configuration.md", configuration), ("metrics.md", metrics)];

const METRICS: &str = "\
# Metrics

<!-- Made by `cargo run --package tidegate-check -- reference docs/reference`. Edit the counters' comments in the source. -->

Envoy shows each as `wasmcustom.<name>` in its statistics, for all workers together. In
[`tidegate`](configuration.md#tidegate) each filter counts what it counts alone.
";

/// Returns the page of counters and gauges, in Markdown.
pub fn metrics() -> String {
    let mut page = METRICS.to_owned();
    for module in &MODULES {
        let (counters, gauges) = ((module.counters)(), (module.gauges)());
        if counters.is_empty() && gauges.is_empty() {
            continue;
        }
        let _ = write!(page, "\n## {}\n\n| Name | Kind | Meaning |\n|---|---|---|\n", module.root_id);
        let kinds = counters.iter().map(|metric| (metric, "counter"));
        for (metric, kind) in kinds.chain(gauges.iter().map(|metric| (metric, "gauge"))) {
            let _ = writeln!(page, "| `{}` | {kind} | {} |", metric.name, metric.meaning.trim());
        }
    }
    page
}

/// Returns the page of configuration keys, in Markdown.
pub fn configuration() -> String {
    let mut page = NOTATIONS.to_owned();
    for module in &MODULES {
        let _ = write!(page, "\n## {}\n\n", module.root_id);
        page.push_str("| Key | Accepted | Default | Meaning |\n|---|---|---|---|\n");
        for Row { key, accepted, default, meaning } in rows(module) {
            let _ = writeln!(page, "| {key} | {accepted} | {default} | {meaning} |");
        }
    }
    page
}

/// The description of a key.
struct Row {
    key: String,
    accepted: String,
    default: String,
    meaning: String,
}

fn rows(module: &Module) -> Vec<Row> {
    let schema = module.schema().into();
    let mut section = Section { root: &schema, told: BTreeMap::new(), rows: Vec::new() };
    section.object(&schema, "");
    section.rows
}

struct Section<'a> {
    root: &'a Value,
    /// Row in which the description of a key was first given.
    told: BTreeMap<String, String>,
    rows: Vec<Row>,
}

impl<'a> Section<'a> {
    fn object(&mut self, schema: &'a Value, path: &str) {
        let Some(Value::Object(properties)) = schema.get("properties") else { return };
        let required = |key: &str| {
            schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|keys| keys.iter().any(|known| known == key))
        };
        let mut repeated: Vec<(&str, String)> = Vec::new();
        for (key, property) in properties {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let same = format!("{key}: {property}");
            match self.told.get(&same) {
                Some(before) => repeated.push((key, before.clone())),
                None => {
                    self.again(path, &mut repeated);
                    self.told.insert(same, at.clone());
                    self.key(property, &at, required(key));
                }
            }
        }
        self.again(path, &mut repeated);
    }

    fn again(&mut self, path: &str, repeated: &mut Vec<(&str, String)>) {
        let Some((_, first)) = repeated.first().cloned() else { return };
        let keys: Vec<_> = repeated.drain(..).map(|(key, _)| format!("`{path}.{key}`")).collect();
        let parent = first.rsplit_once('.').map(|(parent, _)| parent);
        let meaning = match (keys.len(), parent) {
            (1, _) => format!("As `{first}`."),
            (_, Some(parent)) => format!("As those of `{parent}`."),
            (_, None) => "As the keys of the same names above.".to_owned(),
        };
        let none = String::new;
        self.rows.push(Row { key: keys.join(", "), accepted: none(), default: none(), meaning });
    }

    fn key(&mut self, property: &'a Value, path: &str, is_required: bool) {
        let forms = self.forms(property);
        let accepted: Vec<_> = forms.iter().filter_map(|form| self.accepted(form)).collect();
        let default = match property.get("default").or_else(|| self.form(property).get("default")) {
            Some(value) => code(value),
            None if is_required => "required".to_owned(),
            None => "–".to_owned(),
        };
        let mut meaning = text(property, "description").to_owned();
        for (name, about) in forms.iter().filter_map(|form| choice(form)) {
            let _ = write!(meaning, " `{name}`: {about}");
        }
        let cell = |text: String| text.replace('|', "\\|");
        self.rows.push(Row {
            key: format!("`{path}`"),
            accepted: cell(accepted.join(", ")),
            default: cell(default),
            meaning: cell(meaning),
        });
        for form in forms {
            if text(form, "$id").is_empty() {
                self.object(form, path);
            }
            if let Some(items) = form.get("items") {
                let at = format!("{path}[]");
                self.forms(items).into_iter().for_each(|item| self.object(item, &at));
            }
        }
    }

    /// Returns the alternative schemas of a value, except `null`.
    fn forms(&self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.form(schema);
        let several = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(*name).and_then(Value::as_array));
        match several {
            Some(several) if schema.get("type").is_none() => several
                .iter()
                .filter(|form| text(form, "type") != "null")
                .flat_map(|form| self.forms(form))
                .collect(),
            _ => vec![schema],
        }
    }

    fn form(&self, schema: &'a Value) -> &'a Value {
        let name = text(schema, "$ref").strip_prefix("#");
        name.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn accepted(&self, form: &'a Value) -> Option<String> {
        if let Some(choices) = form.get("enum").and_then(Value::as_array) {
            return Some(choices.iter().map(code).collect::<Vec<_>>().join(", "));
        }
        if let Some(choice) = form.get("const") {
            return Some(code(choice));
        }
        let kind = match form.get("type") {
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or_default(),
            _ => text(form, "type"),
        };
        match kind {
            "boolean" => Some("`true`, `false`".to_owned()),
            "integer" => Some(whole(form)),
            "number" => {
                let bound = |name: &str| form.get(name).and_then(Value::as_f64).unwrap_or_default();
                let (min, max) = (bound("minimum"), bound("maximum"));
                // The smallest ratio is a limit of the notation, not one that is worth showing.
                let above = min > 0.0 && min < 0.000_01;
                Some(if above { format!("above 0, to {max}") } else { format!("{min} to {max}") })
            }
            "string" => self.string(form),
            "array" => Some(self.list(form)),
            "object" if !text(form, "$id").is_empty() => {
                let root_id = text(form, "$id").trim_end_matches(".json");
                Some(format!("the document of [`{root_id}`](#{root_id})"))
            }
            _ => Some("an object".to_owned()),
        }
    }

    fn string(&self, form: &Value) -> Option<String> {
        let example = form.pointer("/examples/0").and_then(Value::as_str);
        match (text(form, "x-minimum"), text(form, "x-maximum")) {
            // The text form of a ratio.
            _ if text(form, "pattern").contains(r"\.") => None,
            ("", _) => {
                Some(example.map_or_else(|| "a text".to_owned(), |example| format!("such as `{example}`")))
            }
            (min, max) if is_unbounded(max) => Some(format!("`{min}` and more")),
            (min, max) => Some(format!("`{min}` to `{max}`")),
        }
    }

    fn list(&self, form: &'a Value) -> String {
        let bound = |name: &str| form.get(name).and_then(Value::as_u64);
        let length = match (bound("minItems"), bound("maxItems")) {
            (Some(min), Some(max)) => format!("a list of {min} to {max}"),
            (None, Some(max)) => format!("a list of up to {max}"),
            _ => "a list".to_owned(),
        };
        let of = if length == "a list" { " of objects" } else { " objects" };
        let items = form.get("items").map(|items| self.forms(items)).unwrap_or_default();
        let items: Vec<_> = items.into_iter().filter_map(|item| self.accepted(item)).collect();
        match items.join(", ").as_str() {
            "an object" => format!("{length}{of}"),
            items => format!("{length}: {items}"),
        }
    }
}

fn whole(form: &Value) -> String {
    let bound = |name: &str| form.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (min, max) = (bound("minimum"), bound("maximum"));
    let except = form.pointer("/not/enum").and_then(Value::as_array);
    let except = except.map(|numbers| {
        let numbers: Vec<_> = numbers.iter().map(Value::to_string).collect();
        format!(", but not {}", numbers.join(", "))
    });
    match form.pointer("/anyOf/0/enum").and_then(Value::as_array) {
        Some(alone) => {
            let alone: Vec<_> = alone.iter().map(Value::to_string).collect();
            let from = form.pointer("/anyOf/1/minimum").map(Value::to_string).unwrap_or_default();
            format!("{}, {from} to {max}", alone.join(", "))
        }
        None if max == u64::from(u32::MAX) => format!("{} and more", grouped(min)),
        None => format!("{} to {}{}", grouped(min), grouped(max), except.unwrap_or_default()),
    }
}

/// Returns true if a quantity is the largest of its notation, and so not a chosen bound.
pub(crate) fn is_unbounded(max: &str) -> bool {
    max.starts_with("4294967295") || max.starts_with("18446744")
}

/// Formats a number with a comma after every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).map(String::from_utf8_lossy).rev().collect();
    groups.join(",")
}

fn choice(form: &Value) -> Option<(&str, &str)> {
    Some((form.get("const")?.as_str()?, form.get("description")?.as_str()?))
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a value as an operator would write it.
fn code(value: &Value) -> String {
    format!("`{}`", written(value))
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => format!("{{{}}}", object(members)),
        other => other.to_string(),
    }
}

fn object(members: &Map<String, Value>) -> String {
    let says = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    let member = |(name, value): (&String, &Value)| format!("{name}: {}", written(value));
    members.iter().filter(|(_, value)| says(value)).map(member).collect::<Vec<_>>().join(", ")
}
