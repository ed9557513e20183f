//! Reads the model that a request names, and the models that a limit applies to. A request without a model has the
//! empty name: many servers then use their first model. An unreadable body (compressed, or not JSON) may name any model
//! to the server, so all limits on models count it. A path with a model decides alone, because APIs with such paths
//! ignore a model in the body, where a client could write any.

use tidegate_config::ConfigError;
use tidegate_host::exchange::Exchange;
use tidegate_host::scan::Scan;
use tidegate_policy::api;

const MAX_NAMES: usize = 256;
const MAX_NAME: usize = 256;

/// The model that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The first 256 bytes of the name; empty if the request names none.
    Name(String),
    /// The body is unreadable.
    Unreadable,
}

/// The models that a limit applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl Named {
    /// Returns the model in a request's path, if there is one.
    pub fn by_path(exchange: &dyn Exchange) -> Option<Self> {
        let path = exchange.request_headers().path();
        let name = String::from_utf8_lossy(api::model_in(&path)?);
        let kept = |(at, character): &(usize, char)| at.saturating_add(character.len_utf8()) <= MAX_NAME;
        Some(Self::Name(name.char_indices().take_while(kept).map(|(_, character)| character).collect()))
    }

    /// Returns the model in a complete body.
    pub fn of(scan: &Scan) -> Self {
        if !scan.is_complete() {
            return Self::Unreadable;
        }
        Self::Name(scan.facts().model().map(|model| model.name.clone()).unwrap_or_default())
    }
}

impl Models {
    /// Validates the names at `path`. A name that ends in `*` matches every model with that prefix.
    pub fn new(names: &[String], path: &str) -> Result<Self, ConfigError> {
        if names.is_empty() || names.len() > MAX_NAMES {
            let problem = format!("found {} names, accepted are 1 to {MAX_NAMES}", names.len());
            return Err(ConfigError::new(path, problem));
        }
        let (mut exact, mut prefixes) = (Vec::new(), Vec::new());
        for name in names {
            let (stem, list) = match name.strip_suffix('*') {
                Some(stem) => (stem, &mut prefixes),
                None => (name.as_str(), &mut exact),
            };
            if stem.contains('*') || stem.len() >= MAX_NAME {
                let problem = format!(
                    "found {name:?}, accepted are names of less than {MAX_NAME} bytes, with * at their end at most"
                );
                return Err(ConfigError::new(path, problem));
            }
            list.push(stem.to_owned());
        }
        Ok(Self { exact, prefixes })
    }

    /// Returns true if `named` may be one of the models.
    pub fn hold(&self, named: &Named) -> bool {
        match named {
            Named::Unreadable => true,
            Named::Name(name) => {
                self.exact.iter().any(|known| known == name)
                    || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
            }
        }
    }

    /// Returns the names as written.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let prefixes = self.prefixes.iter().map(|prefix| format!("{prefix}*"));
        self.exact.iter().cloned().chain(prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(names: &[&str], model: &str) -> bool {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Models::new(&names, "").unwrap().hold(&Named::Name(model.to_owned()))
    }

    #[test]
    fn a_name_matches_one_model_and_a_star_every_model_with_that_prefix() {
        assert!(hold(&["r1"], "r1") && !hold(&["r1"], "r10") && !hold(&["r1"], "R1"));
        assert!(hold(&["r1*"], "r1") && hold(&["r1*"], "r1-distill") && !hold(&["r1*"], "x-r1"));
        assert!(hold(&["a", "b*"], "b") && !hold(&["a", "b*"], ""));
        assert!(hold(&["*"], "") && hold(&["*"], "any"));
    }

    #[test]
    fn a_request_without_a_model_has_the_empty_name() {
        assert!(hold(&["r1", ""], "") && !hold(&["r1"], ""));
    }

    #[test]
    fn an_unreadable_body_may_name_any_model() {
        assert!(Models::new(&["r1".to_owned()], "").unwrap().hold(&Named::Unreadable));
    }
}
