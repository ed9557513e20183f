//! A request that is made smaller on its way, and the response that says so. [`smaller`] finds what to change.

pub mod smaller;

use crate::config::Config;
use crate::fallback::answer::DEGRADED;
use crate::metrics::Counter;
use smaller::smaller;
use tidegate_host::exchange::Exchange;
use tidegate_policy::api::Api;

/// What was done to one request.
#[derive(Debug, Default)]
pub struct Reduction {
    note: Option<String>,
}

impl Reduction {
    /// Whether the request asks for less than its client did.
    pub const fn is_made(&self) -> bool {
        self.note.is_some()
    }

    /// The request's body is still to come and will change: its length, which goes on before, is taken out.
    pub fn announce(exchange: &dyn Exchange, config: &Config) {
        if !config.shadow {
            exchange.remove_request_header("content-length");
        }
    }

    /// Makes a request smaller whose body is known.
    pub fn make(&mut self, exchange: &dyn Exchange, config: &Config, api: Api) {
        let Some(rule) = config.reduce.as_ref().filter(|_| exchange.can_edit_request()) else { return };
        let Some(scan) = exchange.scan().filter(|scan| scan.is_complete() && scan.facts().is_object) else {
            return;
        };
        let Some(reduced) = smaller(rule, api, scan.facts(), &exchange.held()) else { return };
        if config.shadow {
            return Counter::Shadowed.count(exchange, 1);
        }
        Counter::Reduced.count(exchange, 1);
        reduced.edits.into_iter().for_each(|edit| exchange.edit_request(edit));
        self.note = Some(reduced.note);
    }

    /// Says so on the response.
    pub fn note(&self, exchange: &dyn Exchange) {
        if let Some(note) = &self.note {
            exchange.set_response_header(DEGRADED, note);
        }
    }
}
