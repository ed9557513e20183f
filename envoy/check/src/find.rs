//! The modules' documents in a file: a single document, in JSON or YAML, or all documents in a configuration of
//! Envoy, of Istio (WasmPlugin, EnvoyFilter) or of Envoy Gateway (EnvoyExtensionPolicy).

use crate::buffer::{self, Buffer};
use crate::catalogue::{MODULES, Module};
use serde_json::{Map, Value};

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Path within the file; empty if the file is the document.
    pub path: String,
    /// Module of the document.
    pub root_id: String,
    /// Document as the module receives it, or the reason why it receives none.
    pub document: Result<Vec<u8>, String>,
    /// Fields of PluginConfig that are true; `None` for a single document.
    pub set: Option<Vec<String>>,
    /// Buffer size where the document is used, if the file or Envoy's default determines it.
    pub buffer: Option<Buffer>,
}

/// Returns all documents of a file, or only those of `module`. The error is a sentence.
pub fn documents(text: &str, module: Option<&str>) -> Result<Vec<Found>, String> {
    let alone = |root_id: &str, document: Vec<u8>| {
        let (path, root_id) = (String::new(), root_id.to_owned());
        vec![Found { path, root_id, document: Ok(document), set: None, buffer: None }]
    };
    let json = serde_json::from_str::<Value>(text);
    let is_json = text.trim_start().starts_with('{');
    let roots = match json {
        Ok(root) => vec![root],
        Err(error) if is_json => match module {
            Some(root_id) => return Ok(alone(root_id, text.as_bytes().to_vec())),
            None => return Err(format!("this is no JSON: {error}")),
        },
        Err(_) => {
            serde_saphyr::from_multiple::<Value>(text).map_err(|error| format!("this is no YAML: {error}"))?
        }
    };
    let several = roots.len() > 1;
    let found: Vec<Found> = roots
        .iter()
        .enumerate()
        .flat_map(|(place, root)| within(root, if several { format!("[{place}]") } else { String::new() }))
        .collect();
    if !found.is_empty() {
        return Ok(found
            .into_iter()
            .filter(|found| module.is_none_or(|root_id| root_id == found.root_id))
            .collect());
    }
    let [root] = roots.as_slice() else {
        return Err("no Wasm filter is in any of these documents".to_owned());
    };
    let root_id = match module {
        Some(root_id) => root_id,
        None => guess(root)?,
    };
    let document = if is_json { text.to_owned() } else { root.to_string() };
    Ok(alone(root_id, document.into_bytes()))
}

/// Returns the module that knows most of the keys, if there is only one such.
fn guess(root: &Value) -> Result<&'static str, String> {
    let names = MODULES.map(|module| module.root_id).join(", ");
    let Value::Object(keys) = root else {
        return Err(format!("this holds no document of a module; accepted is an object for one of {names}"));
    };
    let known = |module: &Module| keys.keys().filter(|key| module.knows(key)).count();
    let most = MODULES.iter().map(known).max().unwrap_or(0);
    let mut best = MODULES.iter().filter(|module| known(module) == most);
    match (best.next(), best.next()) {
        (Some(module), None) if most > 0 => Ok(module.root_id),
        _ => Err(format!("the keys do not tell whose document this is; say MODULE= and one of {names}")),
    }
}

fn within(root: &Value, path: String) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rest = vec![(path, root, None)];
    while let Some((path, value, buffer)) = rest.pop() {
        let inside = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Object(members) => match plugin(members) {
                Some((root_id, document, set)) => {
                    found.push(Found { path, root_id, document, set: Some(set), buffer })
                }
                None => {
                    let buffer = buffer::of(members).or(buffer);
                    rest.extend(members.iter().rev().map(|(key, value)| (inside(key), value, buffer)));
                }
            },
            Value::Array(items) => rest.extend(
                items
                    .iter()
                    .enumerate()
                    .rev()
                    .map(|(place, item)| (format!("{path}[{place}]"), item, buffer)),
            ),
            _ => {}
        }
    }
    found
}

type Plugin = (String, Result<Vec<u8>, String>, Vec<String>);

fn plugin(members: &Map<String, Value>) -> Option<Plugin> {
    let name = |key: &str| members.get(key).and_then(Value::as_str).map(str::to_owned);
    let given =
        |key: &str| Ok(members.get(key).map(|value| value.to_string().into_bytes()).unwrap_or_default());
    if members.contains_key("vm_config") {
        let set =
            members.iter().filter(|(_, value)| **value == Value::Bool(true)).map(|(key, _)| key.clone());
        return Some((name("root_id")?, any(members.get("configuration")), set.collect()));
    }
    if members.contains_key("url") && members.contains_key("pluginName") {
        return Some((name("pluginName")?, given("pluginConfig"), Vec::new()));
    }
    if members.contains_key("code") && members.contains_key("rootID") {
        return Some((name("rootID")?, given("config"), Vec::new()));
    }
    None
}

/// Returns the bytes that Envoy passes to a module for a google.protobuf.Any.
fn any(configuration: Option<&Value>) -> Result<Vec<u8>, String> {
    let Some(configuration) = configuration else { return Ok(Vec::new()) };
    let field = |name: &str| configuration.get(name).and_then(Value::as_str);
    let kind = field("@type").unwrap_or_default();
    match (kind.rsplit('/').next(), field("value")) {
        (Some("google.protobuf.StringValue"), Some(text)) => Ok(text.as_bytes().to_vec()),
        _ => Err(format!(
            "configuration: found {kind:?}, accepted is a google.protobuf.StringValue whose value is a text of JSON"
        )),
    }
}
