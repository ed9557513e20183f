//! What clients are told whose request failed: when to come back, spread over the crowd, or to stop. All four SDKs
//! retry what is told here (408, 409, 429 and all 5xx) and do as they are told. The wait that an upstream names comes
//! first, and `x-should-retry: false` stays; what names no wait is replaced, since its `true` would make them retry
//! without end, and 0 at once. What names one that cannot be read here is left to them. An answer that another filter of
//! ours has given says all this already.

use crate::accounts::Refusal;
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_host::retry_after::{RetryAfter, SHOULD_RETRY};
use tidegate_host::wait;
use tidegate_limits::attempt;
use tidegate_policy::retry_hint::{Asked, Hint};

/// Whether clients retry an answer of this status.
pub const fn is_retried(status: u16) -> bool {
    matches!(status, 408 | 409 | 429 | 500..)
}

/// The status of a response; 0 if it has none.
pub fn status(exchange: &dyn Exchange) -> u16 {
    let status = exchange.fact(Fact::ResponseStatus).map_or(0, |status| status.number());
    u16::try_from(status).unwrap_or(0)
}

/// Whose answer a failed response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The cluster's, or Envoy's own: nobody has said yet when to come back.
    Cluster,
    /// One of our filters': the cluster has not seen the request.
    Refused,
    /// One of our filters' in the place of the cluster's.
    Replaced,
}

impl Origin {
    /// Of the response that is about to leave. One of ours that does not say when to come back, or to stop, counts as
    /// Envoy's. One host call, and one or two more if it is ours.
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

/// What a failed response asks for, and whether it tells clients to stop.
pub fn wishes(exchange: &dyn Exchange) -> (Asked, bool) {
    let mut says = exchange.response_headers().all(SHOULD_RETRY.as_bytes());
    (wait::asked(exchange), says.any(|value| value == b"false"))
}

/// Puts `hint` in the place of what the response says; but for its wait, if that is not to be read.
pub fn tell(exchange: &dyn Exchange, asked: Asked, hint: Hint) {
    RetryAfter::from(hint).set(exchange, asked != Asked::Unreadable);
}

/// What a retry gets that is not admitted: to stop. `wait` nanoseconds, at most 60 s, are for clients that do not.
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
