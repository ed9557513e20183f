//! The reduction of a request, and the response header that reports it. [`smaller`] finds what to change.

pub mod smaller;

use crate::config::Config;
use crate::fallback::answer::DEGRADED;
use crate::metrics::Counter;
use smaller::smaller;
use tidegate_host::exchange::Exchange;
use tidegate_policy::api::Api;

/// The reduction of one request.
#[derive(Debug, Default)]
pub struct Reduction {
    note: Option<String>,
}

impl Reduction {
    /// Returns true if the request has been reduced.
    pub const fn is_made(&self) -> bool {
        self.note.is_some()
    }

    /// Removes the `content-length` of a request whose body is still to come and will change.
    pub fn announce(exchange: &dyn Exchange, config: &Config) {
        if !config.shadow {
            exchange.remove_request_header("content-length");
        }
    }

    /// Reduces a request whose body is known.
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

    /// Reports the reduction in a response header.
    pub fn note(&self, exchange: &dyn Exchange) {
        if let Some(note) = &self.note {
            exchange.set_response_header(DEGRADED, note);
        }
    }
}
