//! What a failed response asks its client to do: to wait, and for how long.

use crate::exchange::Exchange;
use tidegate_policy::retry_hint::{self, Asked};

/// What the response that is about to leave asks for. One host call for its headers, if they were not read, and one for
/// the clock if they hold a date and not their own.
pub fn asked(exchange: &dyn Exchange) -> Asked {
    let headers = exchange.response_headers();
    match retry_hint::asked(headers.iter(), None) {
        Some(asked) => asked,
        None => retry_hint::asked(headers.iter(), Some(exchange.wall_clock())).unwrap_or(Asked::Nothing),
    }
}
