//! The retry headers of a failed response: when to retry, with jitter against a thundering herd, or not to. All four
//! SDKs retry the statuses handled here (408, 409, 429 and all 5xx) and obey these headers. An upstream's own wait
//! takes precedence, and `x-should-retry: false` stays. Headers that name no wait are replaced, since their `true`
//! would cause endless retries, and a wait of 0 an immediate one. A wait that cannot be parsed here is left to the
//! client. Responses of other filters already carry these headers.

use crate::accounts::Refusal;
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_host::retry_after::{RetryAfter, SHOULD_RETRY};
use tidegate_host::wait;
use tidegate_limits::attempt;
use tidegate_policy::retry_hint::{Asked, Hint};

/// Returns true if clients retry a response of this status.
pub const fn is_retried(status: u16) -> bool {
    matches!(status, 408 | 409 | 429 | 500..)
}

/// Returns the status of a response; 0 if it has none.
pub fn status(exchange: &dyn Exchange) -> u16 {
    let status = exchange.fact(Fact::ResponseStatus).map_or(0, |status| status.number());
    u16::try_from(status).unwrap_or(0)
}

/// The origin of a failed response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The cluster, or Envoy itself: it does not say yet when to retry.
    Cluster,
    /// A filter that refused the request before the cluster saw it.
    Refused,
    /// A filter that replaced the cluster's response.
    Replaced,
}

impl Origin {
    /// Returns the origin of the response about to be sent. A filter's response that says neither when nor whether to
    /// retry counts as Envoy's. One host call, and one or two more if it is a filter's.
    pub fn of(exchange: &dyn Exchange) -> Self {
        let details = exchange.fact(Fact::ResponseDetails).map(|details| details.0).unwrap_or_default();
        let says = |name| exchange.response_header(name).is_some();
        if !details.starts_with(b"tidegate.") || !(says("retry-after-ms") || says(SHOULD_RETRY)) {
            Self::Cluster
        } else if attempt::is_refusal(&details) {
            Self::Refused
        } else {
            Self::Replaced
        }
    }
}

/// Returns the wait that a failed response asks for, and whether it forbids retries.
pub fn wishes(exchange: &dyn Exchange) -> (Asked, bool) {
    let mut says = exchange.response_headers().all(SHOULD_RETRY.as_bytes());
    (wait::asked(exchange), says.any(|value| value == b"false"))
}

/// Replaces the response's retry headers with `hint`, except for a wait that cannot be parsed.
pub fn tell(exchange: &dyn Exchange, asked: Asked, hint: Hint) {
    RetryAfter::from(hint).set(exchange, asked != Asked::Unreadable);
}

/// Returns the response to a refused retry, which forbids further ones. `wait`, at most 60 s in nanoseconds, is for
/// clients that retry regardless.
pub fn refused(why: Refusal, wait: u64) -> Reply {
    let (status, kind, code, rule, message) = match why {
        Refusal::Exhausted => (
            429,
            "rate_limit_error",
            "retry_budget_exhausted",
            "exhausted",
            "The retry budget is exhausted: too many requests are retries of failed ones. Please try again later.",
        ),
        Refusal::Contended => (
            503,
            "server_error",
            "retry_budget_undecided",
            "contended",
            "The retry budget could not be checked because too many retries came at once. Please try again later.",
        ),
    };
    let error = ErrorObject { message, kind, code, param: None };
    let reply = Reply::error(status, error, format!("tidegate.retry_budget.{rule}"));
    reply.retry_after(RetryAfter::after(wait).never())
}

#[cfg(test)]
mod tests;
