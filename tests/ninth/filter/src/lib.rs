//! The smallest filter: it counts requests, and refuses all of them where it is told to.

#[cfg(feature = "describe")]
mod describe;

use serde::Deserialize;
use tidegate_config::{ConfigError, parse};
use tidegate_host::counters;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::reply::{ErrorObject, Reply};

counters! {
    /// What is counted.
    pub(crate) enum Counter in "tidegate.ninth." {
        /// Requests that were admitted.
        Admitted = "admitted",
        /// Requests that were refused.
        Refused = "refused",
    }
}

/// The filter, and its document.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ninth {
    /// Whether every request is refused.
    #[serde(default)]
    refuse: bool,
}

impl Plugin for Ninth {
    const ROOT_ID: &'static str = "ninth";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        parse(document)
    }

    fn metrics(&self) -> Vec<String> {
        Counter::names()
    }
}

impl Filter for Ninth {
    type Stream = Self;
    const STAGE: Stage = Stage::Judge;

    fn stream(&self) -> Self {
        *self
    }
}

impl Stream for Ninth {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if !self.refuse {
            Counter::Admitted.count(exchange, 1);
            return Flow::Continue;
        }
        Counter::Refused.count(exchange, 1);
        let error =
            ErrorObject { message: "Refused.", kind: "invalid_request_error", param: None, code: "refused" };
        Flow::Reply(Reply::error(403, error, "tidegate.ninth.refused".to_owned()))
    }
}
