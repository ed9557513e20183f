//! The retry hint of a failed response: whether it asks its client to wait, and for how long.

use crate::exchange::Exchange;
use tidegate_policy::retry_hint::{self, Asked};

/// Returns what the response about to be sent asks of its client. One host call for the headers unless they have been
/// read, and one for the clock if they contain a date without a `date` header.
pub fn asked(exchange: &dyn Exchange) -> Asked {
    let headers = exchange.response_headers();
    match retry_hint::asked(headers.iter(), None) {
        Some(asked) => asked,
        None => retry_hint::asked(headers.iter(), Some(exchange.wall_clock())).unwrap_or(Asked::Nothing),
    }
}
