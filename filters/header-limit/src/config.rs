//! The conversion of the document as written ([`Raw`]) into an enforceable [`Config`]. Rules are evaluated in this
//! order: a field's own limit, then number, total and any value's size, repetition, control bytes, and patterns last.
//! So a long user-agent gets its own status, and no enforced pattern runs on a value that is too large. A status is
//! one on which no client repeats a request: 400 to 499, but not 408, 409 or 429.

use serde::Deserialize;
use std::collections::BTreeSet;
use tidegate_config::list::List;
use tidegate_config::range::{Count, KIB, MIB, Size};
use tidegate_config::shadow::{self, Shadow};
use tidegate_config::text::{FieldName, RuleName};
use tidegate_config::{ConfigError, parse};
use tidegate_policy::headers::{Check, HOST, Rule, Rules};
use tidegate_policy::pattern::Pattern;

mod status;

use status::Status;

const MAX_LIST: usize = 64;
const MAX_SIZE: u64 = 8 * MIB;

const COUNT: &str = "max_count";
const TOTAL: &str = "max_total";
const VALUE: &str = "max_value";
const SINGLETONS: &str = "singletons";
const CONTROL_BYTES: &str = "control_bytes";

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Raw {
    /// How many headers a request may have. Pseudo-headers, `host` and the headers that Envoy adds do not count.
    #[serde(default)]
    max_count: Count<1, 65_536, 100>,
    /// The size of the names and values of those headers together.
    #[serde(default)]
    max_total: Size<1, MAX_SIZE, { 16 * KIB }>,
    /// The size of one value, pseudo-headers included.
    #[serde(default)]
    max_value: Size<1, MAX_SIZE, { 8 * KIB }>,
    /// Limits for single headers, each in place of `max_value`.
    #[serde(default = "user_agent")]
    fields: List<RawField, 0, MAX_LIST>,
    /// Patterns that a header must not match.
    #[serde(default)]
    deny: List<RawDeny, 0, MAX_LIST>,
    /// Headers that may occur once. A second one, also where Envoy has joined both with a comma, refuses the request,
    /// since the upstream might read the other.
    #[serde(default = "singletons")]
    singletons: List<FieldName, 0, MAX_LIST>,
    /// Whether a value may hold control bytes other than a tab.
    #[serde(default)]
    control_bytes: ControlBytes,
    /// Rules that count and refuse nobody: all (`true`), or those of a list.
    #[serde(default)]
    shadow: Shadow<Named>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
struct RawField {
    /// The header, once in the list.
    name: FieldName,
    /// The size of its value. `0B` admits only an empty one.
    max: Size<0, MAX_SIZE>,
    /// The status of the response to a request that breaks this limit, by default 431. Statuses on which clients repeat a
    /// request (408, 409, 429) are not accepted.
    status: Option<Status>,
    /// Count and refuse nobody.
    #[serde(default)]
    shadow: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields)]
struct RawDeny {
    /// The name of the rule, once in the list: part of metrics, of the message and of the response code details.
    name: RuleName,
    /// The header whose values are searched.
    header: FieldName,
    /// A regular expression of at most 1,024 bytes on the bytes of a value, searched in time linear in their number;
    /// `(?i)` ignores case. It compiles to a table of at most 1 MiB, so long counted gaps such as `x.{200}y` are refused.
    pattern: String,
    /// The status of the response to a request that matches, by default 431. Statuses on which clients repeat a request
    /// (408, 409, 429) are not accepted.
    status: Option<Status>,
    /// Count and refuse nobody.
    #[serde(default)]
    shadow: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
enum ControlBytes {
    #[default]
    Reject,
    Allow,
}

/// The rules that have no name of their own.
#[derive(Debug)]
struct Named;

impl shadow::Rules for Named {
    const NAMES: &'static [&'static str] = &[COUNT, TOTAL, VALUE, SINGLETONS, CONTROL_BYTES];
    const OTHERS: &'static str = "fields and deny";
}

fn user_agent() -> List<RawField, 0, MAX_LIST> {
    let name = FieldName::new("user-agent");
    let field =
        |name| RawField { name, max: Size::of::<2_047>(), status: Some(Status::FORBIDDEN), shadow: false };
    List::of(name.into_iter().map(field)).unwrap_or_default()
}

fn singletons() -> List<FieldName, 0, MAX_LIST> {
    let names = ["content-length", "host", "authorization", "content-type"];
    List::of(names.into_iter().filter_map(FieldName::new)).unwrap_or_default()
}

/// The enforceable configuration.
#[derive(Debug)]
pub struct Config {
    /// The rules, in order of evaluation.
    pub rules: Rules,
    /// The response of the rule at the same index.
    pub answers: Vec<Answer>,
}

/// The response of a broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Label of the rule, such as `max_count`, `fields.user-agent` or `deny.scanners`.
    pub label: String,
    /// HTTP status.
    pub status: u16,
}

impl Config {
    /// Parses a JSON document; an empty one means the defaults.
    pub fn read(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(if document.is_empty() { b"{}" } else { document })?;
        let shadow = raw.shadow;
        let fields = field_rules(raw.fields, &shadow)?;
        let except =
            fields.iter().filter(|(_, rule)| !rule.shadow).filter_map(|(_, rule)| match &rule.check {
                Check::Field { name, .. } => Some(name.clone()),
                _ => None,
            });
        let value = Check::Value { max: raw.max_value.length(), except: except.collect() };
        let count = Check::Count(raw.max_count.length());
        let total = Check::Total(raw.max_total.length());
        let mut general = vec![(COUNT, count), (TOTAL, total), (VALUE, value)];
        let names = singleton_names(&raw.singletons)?;
        if !names.is_empty() {
            general.push((SINGLETONS, Check::Repeated(names)));
        }
        if raw.control_bytes == ControlBytes::Reject {
            general.push((CONTROL_BYTES, Check::ControlByte));
        }
        let general = general.into_iter().map(|(label, check)| {
            let answer = Answer { label: label.to_owned(), status: Status::default().get() };
            (answer, Rule { check, shadow: shadow.holds(label) })
        });
        let deny = deny_rules(raw.deny, &shadow)?;
        let (answers, rules) = fields.into_iter().chain(general).chain(deny).unzip();
        Ok(Self { rules: Rules::new(rules), answers })
    }
}

fn field_rules(
    written: List<RawField, 0, MAX_LIST>,
    shadow: &Shadow<Named>,
) -> Result<Vec<(Answer, Rule)>, ConfigError> {
    let mut names = BTreeSet::new();
    let rule = |(index, raw): (usize, RawField)| {
        let name = field_name(&raw.name);
        if !names.insert(name.clone()) {
            return Err(twice(format!("fields[{index}].name"), raw.name.as_str()));
        }
        let label = format!("fields.{}", String::from_utf8_lossy(&name));
        let answer = Answer { label, status: raw.status.unwrap_or_default().get() };
        let check = Check::Field { name, max: raw.max.length() };
        Ok((answer, Rule { check, shadow: shadow.is_all() || raw.shadow }))
    };
    written.into_iter().enumerate().map(rule).collect()
}

fn deny_rules(
    written: List<RawDeny, 0, MAX_LIST>,
    shadow: &Shadow<Named>,
) -> Result<Vec<(Answer, Rule)>, ConfigError> {
    let mut names = BTreeSet::new();
    let rule = |(index, raw): (usize, RawDeny)| {
        let path = format!("deny[{index}]");
        let rule_name = raw.name.into_string();
        if !names.insert(rule_name.clone()) {
            return Err(twice(format!("{path}.name"), &rule_name));
        }
        let pattern = Pattern::new(&raw.pattern).map_err(|invalid| {
            let problem = format!(
                "found {:?}, accepted is a regular expression on bytes: {invalid}",
                raw.pattern.chars().take(80).collect::<String>()
            );
            ConfigError::new(format!("{path}.pattern"), problem)
        })?;
        let answer =
            Answer { label: format!("deny.{rule_name}"), status: raw.status.unwrap_or_default().get() };
        let check = Check::Match { name: field_name(&raw.header), pattern };
        Ok((answer, Rule { check, shadow: shadow.is_all() || raw.shadow }))
    };
    written.into_iter().enumerate().map(rule).collect()
}

fn singleton_names(written: &[FieldName]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let mut names = Vec::with_capacity(written.len());
    for (index, raw) in written.iter().enumerate() {
        let name = field_name(raw);
        if names.contains(&name) {
            return Err(twice(format!("{SINGLETONS}[{index}]"), raw.as_str()));
        }
        names.push(name);
    }
    Ok(names)
}

fn field_name(name: &FieldName) -> Vec<u8> {
    let name = name.in_lower_case();
    if name == b":authority" { HOST.to_vec() } else { name }
}

fn twice(path: String, found: &str) -> ConfigError {
    ConfigError::new(path, format!("found {found:?} a second time, accepted is each once"))
}

/// Returns the JSON Schema of the document.
#[cfg(feature = "describe")]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[cfg(test)]
mod tests;
