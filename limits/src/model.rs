//! The model that a request names, and which models a limit is about. A request without one names the empty name: many
//! servers then take their first model. What cannot be read, as it is compressed or no JSON, may name any to the
//! server, so it is counted by every limit on models. A path that names one decides alone: the APIs that have such paths
//! do not look for a model in the body, where a client could write any.

use tidegate_config::ConfigError;
use tidegate_host::exchange::Exchange;
use tidegate_host::scan::Scan;
use tidegate_policy::api;

const MAX_NAMES: usize = 256;
const MAX_NAME: usize = 256;

/// What a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// This model, by its first 256 bytes; empty where it names none.
    Name(String),
    /// It cannot be told.
    Unreadable,
}

/// The models that a limit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl Named {
    /// What a request's path names, if it does.
    pub fn by_path(exchange: &dyn Exchange) -> Option<Self> {
        let path = exchange.request_headers().path();
        let name = String::from_utf8_lossy(api::model_in(&path)?);
        let kept = |(at, character): &(usize, char)| at.saturating_add(character.len_utf8()) <= MAX_NAME;
        Some(Self::Name(name.char_indices().take_while(kept).map(|(_, character)| character).collect()))
    }

    /// What a whole body names.
    pub fn of(scan: &Scan) -> Self {
        if !scan.is_complete() {
            return Self::Unreadable;
        }
        Self::Name(scan.facts().model().map(|model| model.name.clone()).unwrap_or_default())
    }
}

impl Models {
    /// From names as written at `path`; one that ends in `*` stands for all that begin so.
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

    /// Whether `named` may be one of them.
    pub fn hold(&self, named: &Named) -> bool {
        match named {
            Named::Unreadable => true,
            Named::Name(name) => {
                self.exact.iter().any(|known| known == name)
                    || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
            }
        }
    }

    /// As they were written.
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
    fn a_name_is_that_model_and_a_star_all_that_begin_so() {
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
    fn what_cannot_be_read_may_be_any() {
        assert!(Models::new(&["r1".to_owned()], "").unwrap().hold(&Named::Unreadable));
    }
}
