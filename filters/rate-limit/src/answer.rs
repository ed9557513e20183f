//! The response to a refused request: which limit it hit, how large the limit is, and when to retry, in the words and
//! headers that SDKs act on.

use core::time::Duration;
use tidegate_host::reply::{ErrorObject, Reply, reset_time};
use tidegate_policy::admission::{Undecided, Wait};
use tidegate_policy::jitter::jitter;
use tidegate_policy::timestamp::SECOND;

/// Returns a 429, which says that the limit `name`, described by `text`, admits again after `wait`, or a 413 if it
/// never can.
pub fn throttled(name: &str, text: &str, wait: Wait) -> Reply {
    let details = format!("tidegate.rate_limit.{name}");
    match wait {
        Wait::For(nanos) => {
            let wait = reset_time(nanos);
            let message = format!("Rate limit '{name}' reached: {text}. Please try again in {wait}.");
            let (kind, code) = ("rate_limit_error", "rate_limit_exceeded");
            let error = ErrorObject { message: &message, kind, code, param: None };
            Reply::error(429, error, details).retry_after(Duration::from_nanos(nanos))
        }
        Wait::Never => {
            let message = format!("This request is more than rate limit '{name}' ever admits: {text}.");
            let (kind, code) = ("invalid_request_error", "request_too_large");
            let error = ErrorObject { message: &message, kind, code, param: None };
            Reply::error(413, error, details).never_retry()
        }
    }
}

/// Returns a 503 for a limit that could not be decided. A request that lost its races may retry after one second, one
/// for which there is no room when there will be, each with a jitter of up to one second.
pub fn undecided(why: Undecided, random: u64) -> Reply {
    let (reason, wait) = match why {
        Undecided::Contended => ("contended", SECOND),
        Undecided::Saturated { wait } => ("saturated", wait.max(SECOND)),
    };
    let jitter = jitter(SECOND, random);
    let error = ErrorObject {
        message: "The rate limits could not be checked because too many requests came at once. Please try again.",
        kind: "server_error",
        code: "rate_limit_undecided",
        param: None,
    };
    let reply = Reply::error(503, error, format!("tidegate.rate_limit.{reason}"));
    reply.retry_after(Duration::from_nanos(wait.saturating_add(jitter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_can_never_be_admitted_is_told_not_to_retry() {
        let reply = throttled("a", "10 requests per second, bursts of 20", Wait::Never);
        assert_eq!((reply.status, reply.invites()), (413, false));
        assert!(reply.headers.contains(&("x-should-retry", "false".to_owned())));
        assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("retry-after")));
    }
}
