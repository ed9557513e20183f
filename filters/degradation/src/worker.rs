//! What all exchanges of one worker share.

use crate::breaker::Breaker;
use crate::config::Config;
use crate::fallback::Fallbacks;

/// What all exchanges of one worker share.
#[derive(Debug)]
pub struct Worker {
    /// What is enforced.
    pub config: Config,
    /// Whether requests reach the cluster.
    pub breaker: Breaker,
    /// What clients get instead.
    pub fallbacks: Fallbacks,
}

impl Worker {
    /// That enforces `config`.
    pub fn new(config: Config) -> Self {
        Self { config, breaker: Breaker::default(), fallbacks: Fallbacks::default() }
    }

    /// Whether requests' heads matter even while all is well.
    pub fn reads_heads(&self) -> bool {
        self.config.timeouts.differ() || !self.config.opt_out.is_empty()
    }

    /// Whether it matters what requests with a body ask for: an error says the same to all.
    pub fn reads_bodies(&self) -> bool {
        let Config { reduce, cached, default, models, timeouts, hold_headers, .. } = &self.config;
        let may_answer = reduce.is_some() || cached.is_some() || default.status == Some(200);
        may_answer || timeouts.differ() || !models.is_empty() || *hold_headers
    }
}
