//! The smallest filter: it counts requests, and refuses all of them where it is told to.

#[cfg(feature = "describe")]
mod describe;

use serde::Deserialize;
use tidegate_host::config::{ConfigError, parse};
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::reply::{ErrorObject, Reply};

const ADMITTED: usize = 0;
const REFUSED: usize = 1;

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
        ["admitted", "refused"].map(|what| format!("tidegate.ninth.{what}")).into()
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
            exchange.count(ADMITTED, 1);
            return Flow::Continue;
        }
        exchange.count(REFUSED, 1);
        let error =
            ErrorObject { message: "Refused.", kind: "invalid_request_error", param: None, code: "refused" };
        Flow::Reply(Reply::error(403, error, "tidegate.ninth.refused".to_owned()))
    }
}
