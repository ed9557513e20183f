//! From a configuration document to something that can be enforced, or to a sentence that says where it is
//! wrong, what was found and what is accepted.

use core::fmt;
use serde::de::DeserializeOwned;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Such as `limits[0].requests.rate`; empty for the document itself.
    pub path: String,
    /// What was found and what is accepted.
    pub problem: String,
}

impl ConfigError {
    /// At `path`.
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

/// Reads `document` as JSON of the shape `T`.
pub fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, ConfigError> {
    let mut json = serde_json::Deserializer::from_slice(document);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        ConfigError::new(path, error.into_inner().to_string())
    })?;
    json.end().map_err(|error| ConfigError::new("", error.to_string()))?;
    Ok(value)
}
