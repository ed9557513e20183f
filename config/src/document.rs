//! Reads a configuration document into types that hold only enforceable values. Anything else is refused with an error
//! that states the path, what was found and what is accepted.

use core::fmt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// An error in a document, with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The path, such as `limits[0].requests.rate`; empty for the document itself.
    pub path: String,
    /// What was found and what is accepted.
    pub problem: String,
}

impl ConfigError {
    /// Creates an error at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.problem),
            path => write!(f, "{path}: {}", self.problem),
        }
    }
}

/// What happens to what cannot be decided, because every race for its state was lost or there is no room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema, serde::Serialize), schemars(inline))]
#[serde(rename_all = "lowercase")]
pub enum FailureMode {
    /// It is refused.
    #[default]
    Deny,
    /// It goes on.
    Allow,
}

/// Parses `document` as JSON of the shape `T`. A value found where clients' keys belong is not repeated in the error:
/// it may be a key in clear, and errors are logged.
pub fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, ConfigError> {
    let mut json = serde_json::Deserializer::from_slice(document);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        match error.into_inner() {
            error if !error.is_data() => no_json(&error),
            error if path == "." => ConfigError::new("", without_line(&error)),
            error => match above_keys(&path) {
                Some(shown) => ConfigError::new(shown, without_found(&without_line(&error))),
                None => ConfigError::new(path, without_line(&error)),
            },
        }
    })?;
    json.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> ConfigError {
    ConfigError::new(
        "",
        format!("found {error}; accepted is a JSON object, as a google.protobuf.StringValue"),
    )
}

/// Returns the part of `path` that can be shown, if clients' keys may be below it.
fn above_keys(path: &str) -> Option<String> {
    let mut shown = String::new();
    let mut members = path.split('.');
    for member in members.by_ref() {
        shown.push_str(member);
        if member.starts_with("overrides") || member.starts_with("client") {
            return match (members.next(), members.next()) {
                (Some("requests"), _)
                | (Some("address"), Some("trusted_hops" | "ipv4_prefix" | "ipv6_prefix")) => None,
                _ => Some(shown),
            };
        }
        shown.push('.');
    }
    None
}

fn without_found(problem: &str) -> String {
    let rest = |words| problem.split_once(words).map(|(_, rest)| rest);
    let accepted = rest(", accepted is ").or_else(|| rest(", accepted are ")).or_else(|| rest(", expected "));
    let accepted = accepted.unwrap_or("another form");
    format!("what was found is not shown, as it may be a key; accepted is {accepted}")
}

/// Removes the line number. The path states the position, and a line of a document within another would mislead.
fn without_line(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Document {
        rate: Option<u32>,
        overrides: Option<Vec<Override>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Override {
        sha256: String,
    }

    fn error(document: &str) -> String {
        parse::<Document>(document.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_path_what_was_found_and_what_is_accepted() {
        let error = error(r#"{"rate": "x"}"#);
        assert!(error.starts_with("rate: ") && error.contains("\"x\"") && error.contains("u32"), "{error}");
    }

    #[test]
    fn the_path_alone_says_where() {
        assert!(!error(r#"{"rate": "x"}"#).contains("line"));
        assert!(error(r#"{"rate": 1"#).contains("line 1"));
    }

    #[test]
    fn invalid_json_is_refused_with_what_is_accepted() {
        for document in ["", "{", "\n\u{4}rate", "{} {}"] {
            let error = error(document);
            assert!(error.contains("JSON object") && error.contains("StringValue"), "{document:?}: {error}");
        }
    }

    #[test]
    fn a_key_in_clear_is_not_repeated() {
        for document in [
            r#"{"overrides": ["sk-live"]}"#,
            r#"{"overrides": "sk-live"}"#,
            r#"{"overrides": [{"sk-live": 1}]}"#,
            r#"{"overrides": [{"sha256": ["sk-live"]}]}"#,
        ] {
            let error = error(document);
            assert!(!error.contains("sk-live") && error.contains("accepted is"), "{error}");
        }
    }
}
