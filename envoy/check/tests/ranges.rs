//! Schema and parser are of one mind: every key is described, and whatever a schema says to be the least or the most of
//! a key, the module takes, and nothing beyond it.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

use serde_json::{Value, json};
use tidegate_check::catalogue::{MODULES, Module};

/// Keys that hold any text, with one that is accepted.
const FREE: [(&str, &str); 11] = [
    ("addresses[]", "10.0.0.0/8"),
    ("client[]", "x-api-key"),
    ("exempt[]", "10.0.0.0/8"),
    ("model", "r1"),
    ("model[]", "r1"),
    ("opt_out[].value", "yes"),
    ("pattern", "x"),
    ("per[]", "path"),
    ("sha256", "abababababababababababababababababababababababababababababababab"),
    ("headers[].value", "yes"),
    ("message", "busy"),
];

/// What another key has to be so that a quantity is accepted at either end of its range.
const TOGETHER: &[(&str, &str, &str)] = &[
    ("connection-guard", "headers.timeout", r#"{"headers":{"grace":"1ms"}}"#),
    ("retry-budget", "hints.max", r#"{"hints":{"base":"1ms"}}"#),
    ("degradation", "hints.max", r#"{"hints":{"base":"1ms"}}"#),
    ("degradation", "breaker.open_for", r#"{"breaker":{"max_open_for":"24h"}}"#),
    ("degradation", "breaker.max_open_for", r#"{"breaker":{"open_for":"1ms"}}"#),
    ("degradation", "tiers.cached.fresh", r#"{"tiers":{"cached":{"ttl":"18446744073709ms"}}}"#),
    ("degradation", "tiers.cached.max_entry", r#"{"tiers":{"cached":{"max_entries":8}}}"#),
    ("rate-limit", "limits[].overrides[].requests.rate", r#"{"limits":[{"per":["client"]}]}"#),
    ("rate-limit", "limits[].requests.burst", r#"{"limits":[{"requests":{"rate":"1000000/s"}}]}"#),
    (
        "rate-limit",
        "limits[].overrides[].requests.burst",
        r#"{"limits":[{"per":["client"],"overrides":[{"requests":{"rate":"1000000/s"}}]}]}"#,
    ),
    (
        "connection-guard",
        "new_connections_per_address.burst",
        r#"{"new_connections_per_address":{"rate":"1000000/s"}}"#,
    ),
];

/// Ends of ranges that another key keeps from being reached, with the reason.
const NEVER_REACHED: [(&str, &str, &str); 5] = [
    ("connection-guard headers.timeout", "1ms", "longer than a grace of as much at least"),
    ("connection-guard headers.grace", "24h", "shorter than a timeout of as much at most"),
    ("input-limit max_body", "1GiB", "a body that is read fits into a VM several times"),
    ("input-limit routes[].max_body", "1GiB", "the same, unless it is not read"),
    ("degradation tiers.cached.max_entries", "4294967295", "all together fit into 1 GiB"),
];

/// One key of a document.
struct Key<'a> {
    path: String,
    schema: &'a Value,
}

/// One way to write a value, which is not `null`.
fn forms<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let pointer = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
    let schema = pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema);
    let several = ["anyOf", "oneOf"].iter().find_map(|name| schema[name].as_array());
    match several {
        Some(several) if schema.get("type").is_none() => {
            several.iter().filter(|form| form["type"] != "null").flat_map(|form| forms(root, form)).collect()
        }
        _ => vec![schema],
    }
}

fn kind(form: &Value) -> Option<&str> {
    form["type"].as_array().map_or(&form["type"], |kinds| &kinds[0]).as_str()
}

fn is(form: &Value, name: &str) -> bool {
    kind(form) == Some(name)
}

fn keys<'a>(root: &'a Value, schema: &'a Value, path: &str, found: &mut Vec<Key<'a>>) {
    for form in forms(root, schema) {
        for (name, property) in form["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            found.push(Key { path: path.clone(), schema: property });
            keys(root, property, &path, found);
        }
        if let Some(items) = form.get("items") {
            let path = format!("{path}[]");
            found.push(Key { path: path.clone(), schema: items });
            keys(root, items, &path, found);
        }
    }
}

fn free(path: &str) -> Option<&'static str> {
    FREE.iter().find(|(end, _)| path.ends_with(end)).map(|(_, text)| *text)
}

/// The least that is accepted for a key.
fn least(root: &Value, schema: &Value, path: &str) -> Value {
    let form = forms(root, schema)[0];
    if is(form, "object") {
        let required = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let value = |name: &str| {
            let path = format!("{path}.{name}");
            (name.to_owned(), least(root, &form["properties"][name], &path))
        };
        return Value::Object(required.map(value).collect());
    }
    if is(form, "array") {
        let entries = form["minItems"].as_u64().unwrap_or(0);
        return (0..entries).map(|_| least(root, &form["items"], &format!("{path}[]"))).collect();
    }
    if is(form, "boolean") {
        return json!(false);
    }
    let of = |name: &str| Some(&form[name]).filter(|value| !value.is_null()).cloned();
    let listed = |name: &str| form[name].as_array().map(|values| values[0].clone());
    let free = || free(path).map(Value::from);
    let value =
        of("const").or_else(|| listed("enum")).or_else(|| listed("examples")).or_else(|| of("minimum"));
    let value = value.or_else(|| of("x-minimum")).or_else(free);
    value.unwrap_or_else(|| panic!("{path} says nothing of what it accepts: {form}"))
}

/// A document that holds `value` at `path`, and else what is required.
fn document(root: &Value, path: &str, value: Value) -> Value {
    let mut document = least(root, root, "");
    let mut schema = root;
    let mut place = &mut document;
    let mut walked = String::new();
    for step in path.replace("[]", ".[]").split('.') {
        walked = match step {
            "[]" => format!("{walked}[]"),
            name if walked.is_empty() => name.to_owned(),
            name => format!("{walked}.{name}"),
        };
        let form = |key: &str| {
            let forms = forms(root, schema);
            forms.into_iter().find_map(|form| form.get(key)).expect("a schema of this step")
        };
        if step == "[]" {
            schema = form("items");
            if place.as_array().is_none_or(Vec::is_empty) {
                *place = json!([least(root, schema, &walked)]);
            }
            place = &mut place[0];
        } else {
            schema = &form("properties")[step];
            if !place.is_object() {
                *place = json!({});
            }
            let members = place.as_object_mut().expect("an object");
            place = members.entry(step).or_insert_with(|| container(root, schema, &walked));
        }
    }
    *place = value;
    document
}

/// An object with what is required, whatever else the key accepts.
fn container(root: &Value, schema: &Value, path: &str) -> Value {
    let object = forms(root, schema).into_iter().find(|form| is(form, "object"));
    object.map_or_else(|| least_or_null(root, schema, path), |object| least(root, object, path))
}

fn least_or_null(root: &Value, schema: &Value, path: &str) -> Value {
    let is_list = forms(root, schema).iter().any(|form| is(form, "array"));
    if is_list { json!([]) } else { least(root, schema, path) }
}

fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            other.into_iter().for_each(|(name, value)| merge(into.entry(name).or_insert(Value::Null), value));
        }
        (Value::Array(into), Value::Array(other)) if !into.is_empty() => {
            into.iter_mut().zip(other).for_each(|(into, other)| merge(into, other));
        }
        (into, other) => *into = other,
    }
}

/// The quantities at both ends of a range, and those beyond it.
fn ends(form: &Value) -> Option<([Value; 2], Vec<Value>)> {
    let bounds = |least: &str, most: &str| Some([form.get(least)?.clone(), form.get(most)?.clone()]);
    if is(form, "number") {
        let [min, max] = bounds("minimum", "maximum")?;
        let beyond = (max.as_f64()? * 1e6).round() / 1e6 + 0.000_001;
        return Some(([min, max], vec![json!(beyond), json!(-0.1)]));
    }
    if let Some([min, max]) = bounds("minimum", "maximum") {
        let mut beyond = vec![json!(max.as_u64()? + 1), json!(-1)];
        beyond.extend(min.as_u64()?.checked_sub(1).map(Value::from));
        beyond.extend(form.pointer("/not/enum").and_then(Value::as_array).into_iter().flatten().cloned());
        return Some(([min, max], beyond));
    }
    let [min, max] = bounds("x-minimum", "x-maximum")?;
    // The ratios of this form are those of the other one.
    let beyond = [step(min.as_str()?, -1), step(max.as_str()?, 1)].into_iter().flatten().map(Value::from);
    Some(([min.clone(), max.clone()], beyond.collect()))
}

/// A quantity that is one less or one more, if there is one in its notation.
fn step(text: &str, by: i64) -> Option<String> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let (base, factor): (&str, u64) = match unit {
        "ms" => ("ms", 1),
        "s" => ("ms", 1_000),
        "h" => ("ms", 3_600_000),
        "B" => ("B", 1),
        "KiB" => ("B", 1 << 10),
        "MiB" => ("B", 1 << 20),
        "GiB" => ("B", 1 << 30),
        "B/s" => ("B/s", 1),
        "GiB/s" => ("B/s", 1 << 30),
        "/s" => ("/s", 1),
        "/d" => ("/d", 1),
        _ => return None,
    };
    let quantity = count.parse::<u64>().ok()?.checked_mul(factor)?;
    // No range ends here, the notation does.
    let is_any = quantity == u64::MAX / 1_000_000;
    (!is_any).then(|| quantity.checked_add_signed(by)).flatten().map(|quantity| format!("{quantity}{base}"))
}

fn each_key(look: impl Fn(&Module, &Value, &Key<'_>)) {
    for module in MODULES.iter().filter(|module| module.root_id != "tidegate") {
        let root: Value = module.schema().into();
        let mut found = Vec::new();
        keys(&root, &root, "", &mut found);
        assert!(!found.is_empty(), "{} has no keys", module.root_id);
        found.iter().for_each(|key| look(module, &root, key));
    }
}

#[test]
fn every_key_is_described_and_says_what_it_accepts() {
    each_key(|module, root, key| {
        let place = format!("{} {}", module.root_id, key.path);
        let described = key.schema["description"].as_str().is_some_and(|text| text.len() > 15);
        assert!(described || key.path.ends_with("[]"), "{place} is not described: {}", key.schema);
        for form in forms(root, key.schema) {
            let kind = kind(form);
            let has = |name: &str| form.get(name).is_some();
            let says = match kind {
                Some("integer" | "number") => has("minimum") && has("maximum"),
                Some("string") => has("pattern") || has("enum") || has("const") || free(&key.path).is_some(),
                _ => true,
            };
            assert!(says, "{place} does not say what it accepts: {form}");
        }
    });
}

#[test]
fn what_a_schema_says_to_be_the_least_and_the_most_is_taken_and_nothing_beyond() {
    each_key(|module, root, key| {
        let name = format!("{} {}", module.root_id, key.path);
        let companions =
            TOGETHER.iter().find(|(root_id, path, _)| *root_id == module.root_id && *path == key.path);
        for form in forms(root, key.schema) {
            let Some((within, beyond)) = ends(form) else { continue };
            let of = |value: &Value| {
                let mut document = document(root, &key.path, value.clone());
                if let Some((_, _, other)) = companions {
                    merge(&mut document, serde_json::from_str(other).expect("an object"));
                }
                document
            };
            for value in &within {
                let document = of(value);
                let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let never = NEVER_REACHED.iter().any(|(known, end, _)| *known == name && *end == told);
                let checked = (module.accepts)(document.to_string().as_bytes());
                assert_eq!(checked.is_err(), never, "{name}: {document}: {:?}", checked.err());
            }
            for value in beyond {
                let document = of(&value);
                let error = (module.accepts)(document.to_string().as_bytes()).expect_err(&name);
                let last = key.path.trim_end_matches("[]").rsplit('.').next().unwrap_or_default();
                let told = error.path.contains(last) || error.path.is_empty();
                assert!(
                    told && error.problem.contains("accepted") || error.problem.contains("expected"),
                    "{name}: {error}"
                );
            }
        }
    });
}

#[test]
fn a_default_is_accepted() {
    each_key(|module, root, key| {
        let Some(default) = key.schema.get("default").filter(|value| !value.is_null()) else { return };
        // Alone, these say nothing: no signal, and no exception.
        if key.path.ends_with(".at.breaker") || key.path.ends_with("when.not.headers") {
            return;
        }
        let document = document(root, &key.path, default.clone());
        let checked = (module.accepts)(document.to_string().as_bytes());
        assert!(checked.is_ok(), "{} {}: {document}: {:?}", module.root_id, key.path, checked.err());
    });
}

#[test]
fn a_document_is_made_of_what_is_required() {
    let root = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": "integer", "minimum": 3 },
        "b": { "type": "array", "items": { "type": "object", "properties": { "c": { "type": "boolean" } } } } } });
    assert_eq!(document(&root, "b[].c", json!(true)), json!({ "a": 3, "b": [{ "c": true }] }));
}
