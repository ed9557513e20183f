//! From the document as written ([`Raw`]) to rules that can be enforced ([`Config`]). They are asked in this
//! order: a field's own limit, then number, total and any value's size, repetition, control bytes, and patterns
//! last. So a long user-agent gets its own status, and no enforced pattern runs on a value that is too large.
//! A status is one that no client repeats a request on: 400 to 499, but not 408, 409 or 429.

use serde::Deserialize;
use tidegate_host::shadow::{Shadow, Shadowed};

use std::collections::BTreeSet;
use tidegate_host::config::{ConfigError, check_rule_name, parse};
use tidegate_host::notation::{Whole, WrittenSize};
use tidegate_limits::client::header_name;
use tidegate_policy::headers::{Check, HOST, Rule, Rules};
use tidegate_policy::pattern::Pattern;

const MAX_LIST: usize = 64;
const MAX_SIZE: u64 = 8 << 20;
const MAX_COUNT: u32 = 65_536;
const STATUS: u16 = 431;

const COUNT: &str = "max_count";
const TOTAL: &str = "max_total";
const VALUE: &str = "max_value";
const SINGLETONS: &str = "singletons";
const CONTROL_BYTES: &str = "control_bytes";

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "hundred")]
    max_count: Whole,
    #[serde(default = "kib::<16>")]
    max_total: WrittenSize,
    #[serde(default = "kib::<8>")]
    max_value: WrittenSize,
    #[serde(default = "user_agent")]
    fields: Vec<RawField>,
    #[serde(default)]
    deny: Vec<RawDeny>,
    #[serde(default = "singletons")]
    singletons: Vec<String>,
    #[serde(default)]
    control_bytes: ControlBytes,
    #[serde(default)]
    shadow: Shadow,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawField {
    name: String,
    max: WrittenSize,
    status: Option<Whole>,
    #[serde(default)]
    shadow: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawDeny {
    name: String,
    header: String,
    pattern: String,
    status: Option<Whole>,
    #[serde(default)]
    shadow: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum ControlBytes {
    #[default]
    Reject,
    Allow,
}

fn hundred() -> Whole {
    Whole(100)
}

fn kib<const N: u64>() -> WrittenSize {
    WrittenSize(N << 10)
}

fn user_agent() -> Vec<RawField> {
    let (name, max) = ("user-agent".to_owned(), WrittenSize(2_047));
    vec![RawField { name, max, status: Some(Whole(403)), shadow: false }]
}

fn singletons() -> Vec<String> {
    ["content-length", "host", "authorization", "content-type"].map(str::to_owned).to_vec()
}

/// Everything that can be enforced.
#[derive(Debug)]
pub struct Config {
    /// In the order in which they are asked.
    pub rules: Rules,
    /// What is said of the rule at the same place.
    pub answers: Vec<Answer>,
}

/// What is said of a broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The rule, such as `max_count`, `fields.user-agent` or `deny.scanners`.
    pub label: String,
    /// The HTTP status.
    pub status: u16,
}

impl Config {
    /// From a JSON document; none at all means the defaults.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(if document.is_empty() { b"{}" } else { document })?;
        let Whole(max_count) = raw.max_count;
        if !(1..=MAX_COUNT).contains(&max_count) {
            return Err(refuse(COUNT, format!("found {max_count}, accepted is 1 to {MAX_COUNT}")));
        }
        let shadow =
            Shadowed::of(raw.shadow, &[COUNT, TOTAL, VALUE, SINGLETONS, CONTROL_BYTES], "fields and deny")?;
        let fields = field_rules(&raw.fields, &shadow)?;
        let except =
            fields.iter().filter(|(_, rule)| !rule.shadow).filter_map(|(_, rule)| match &rule.check {
                Check::Field { name, .. } => Some(name.clone()),
                _ => None,
            });
        let value = Check::Value { max: size(raw.max_value, 1, VALUE)?, except: except.collect() };
        let count = Check::Count(usize::try_from(max_count).unwrap_or(usize::MAX));
        let total = Check::Total(size(raw.max_total, 1, TOTAL)?);
        let mut general = vec![(COUNT, count), (TOTAL, total), (VALUE, value)];
        let names = singleton_names(&raw.singletons)?;
        if !names.is_empty() {
            general.push((SINGLETONS, Check::Repeated(names)));
        }
        if raw.control_bytes == ControlBytes::Reject {
            general.push((CONTROL_BYTES, Check::ControlByte));
        }
        let general = general.into_iter().map(|(label, check)| {
            let answer = Answer { label: label.to_owned(), status: STATUS };
            (answer, Rule { check, shadow: shadow.holds(label) })
        });
        let deny = deny_rules(&raw.deny, &shadow)?;
        let (answers, rules) = fields.into_iter().chain(general).chain(deny).unzip();
        Ok(Self { rules: Rules::new(rules), answers })
    }
}

fn field_rules(written: &[RawField], shadow: &Shadowed) -> Result<Vec<(Answer, Rule)>, ConfigError> {
    at_most(written.len(), "fields")?;
    let mut names = BTreeSet::new();
    let rule = |(index, raw): (usize, &RawField)| {
        let path = format!("fields[{index}]");
        let name = field_name(&raw.name, &format!("{path}.name"))?;
        if !names.insert(name.clone()) {
            return Err(twice(format!("{path}.name"), &raw.name));
        }
        let label = format!("fields.{}", String::from_utf8_lossy(&name));
        let answer = Answer { label, status: status(raw.status, &path)? };
        let check = Check::Field { name, max: size(raw.max, 0, &format!("{path}.max"))? };
        Ok((answer, Rule { check, shadow: shadow.all || raw.shadow }))
    };
    written.iter().enumerate().map(rule).collect()
}

fn deny_rules(written: &[RawDeny], shadow: &Shadowed) -> Result<Vec<(Answer, Rule)>, ConfigError> {
    at_most(written.len(), "deny")?;
    let mut names = BTreeSet::new();
    let rule = |(index, raw): (usize, &RawDeny)| {
        let path = format!("deny[{index}]");
        check_rule_name(&raw.name, &format!("{path}.name"))?;
        if !names.insert(raw.name.clone()) {
            return Err(twice(format!("{path}.name"), &raw.name));
        }
        let name = field_name(&raw.header, &format!("{path}.header"))?;
        let pattern = Pattern::new(&raw.pattern).map_err(|invalid| {
            let problem = format!(
                "found {:?}, accepted is a regular expression on bytes: {invalid}",
                raw.pattern.chars().take(80).collect::<String>()
            );
            refuse(format!("{path}.pattern"), problem)
        })?;
        let answer = Answer { label: format!("deny.{}", raw.name), status: status(raw.status, &path)? };
        let check = Check::Match { name, pattern };
        Ok((answer, Rule { check, shadow: shadow.all || raw.shadow }))
    };
    written.iter().enumerate().map(rule).collect()
}

fn singleton_names(written: &[String]) -> Result<Vec<Vec<u8>>, ConfigError> {
    at_most(written.len(), SINGLETONS)?;
    let mut names = Vec::with_capacity(written.len());
    for (index, raw) in written.iter().enumerate() {
        let path = format!("{SINGLETONS}[{index}]");
        let name = field_name(raw, &path)?;
        if names.contains(&name) {
            return Err(twice(path, raw));
        }
        names.push(name);
    }
    Ok(names)
}

fn field_name(name: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
    let name = match name {
        ":authority" | ":path" | ":method" => name.as_bytes().to_vec(),
        _ => header_name(name, path)?,
    };
    Ok(if name == b":authority" { HOST.to_vec() } else { name })
}

fn status(written: Option<Whole>, path: &str) -> Result<u16, ConfigError> {
    match written.map(|Whole(status)| u16::try_from(status)) {
        None => Ok(STATUS),
        Some(Ok(status @ 400..=499)) if ![408, 409, 429].contains(&status) => Ok(status),
        _ => {
            let found = written.map_or(0, |Whole(status)| status);
            let problem = format!(
                "found {found}, accepted is 400 to 499 without 408, 409 and 429, on which clients repeat a request"
            );
            Err(refuse(format!("{path}.status"), problem))
        }
    }
}

fn size(WrittenSize(bytes): WrittenSize, least: u64, path: &str) -> Result<usize, ConfigError> {
    usize::try_from(bytes)
        .ok()
        .filter(|_| (least..=MAX_SIZE).contains(&bytes))
        .ok_or_else(|| refuse(path, format!("found {bytes}B, accepted is {least}B to 8MiB")))
}

fn at_most(found: usize, path: &str) -> Result<(), ConfigError> {
    if found <= MAX_LIST {
        return Ok(());
    }
    Err(refuse(path, format!("found {found} entries, accepted are at most {MAX_LIST}")))
}

fn twice(path: impl Into<String>, found: &str) -> ConfigError {
    refuse(path, format!("found {found:?} a second time, accepted is each once"))
}

fn refuse(path: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::new(path, problem)
}

/// The JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
