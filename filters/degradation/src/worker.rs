//! The state that all exchanges of one worker share.

use crate::breaker::Breaker;
use crate::config::Config;
use crate::fallback::Fallbacks;

/// The state that all exchanges of one worker share.
#[derive(Debug)]
pub struct Worker {
    /// The enforced configuration.
    pub config: Config,
    /// The circuit breaker.
    pub breaker: Breaker,
    /// The fallback state.
    pub fallbacks: Fallbacks,
}

impl Worker {
    /// Creates the state for `config`.
    pub fn new(config: Config) -> Self {
        Self { config, breaker: Breaker::default(), fallbacks: Fallbacks::default() }
    }

    /// Returns true if request headers are needed even while the cluster is healthy.
    pub fn reads_heads(&self) -> bool {
        self.config.timeouts.differ() || !self.config.opt_out.is_empty()
    }

    /// Returns true if the request's body matters; an error is the same for all requests.
    pub fn reads_bodies(&self) -> bool {
        let Config { reduce, cached, default, models, timeouts, hold_headers, .. } = &self.config;
        let may_answer = reduce.is_some() || cached.is_some() || default.status == Some(200);
        may_answer || timeouts.differ() || !models.is_empty() || *hold_headers
    }
}
