//! What a refused client is told: which limit, how large it is, and when to come back, in the words and headers
//! that its SDK acts on.

use core::time::Duration;
use tidegate_host::reply::{ErrorObject, Reply, reset_time};
use tidegate_policy::bucket::Level;

/// The headers by which a client sees how full its bucket is.
pub fn level_headers(level: Level) -> [(&'static str, String); 3] {
    [
        ("x-ratelimit-limit-requests", level.capacity.to_string()),
        ("x-ratelimit-remaining-requests", level.remaining.to_string()),
        ("x-ratelimit-reset-requests", reset_time(level.reset)),
    ]
}

/// 429: the limit `name`, described by `text`, admits again after `wait`.
pub fn throttled(name: &str, text: &str, level: Level, wait: Duration) -> Reply {
    let wait_text = reset_time(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    let message = format!("Rate limit '{name}' reached: {text}. Please try again in {wait_text}.");
    let error =
        ErrorObject { message: &message, kind: "rate_limit_error", code: "rate_limit_exceeded", param: None };
    let reply = Reply::error(429, error, format!("tidegate.rate_limit.{name}")).retry_after(wait);
    level_headers(level).into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
}

/// 503: the limits could not be decided, for `reason` (`contended`, `saturated`); `wait` is a guess.
pub fn undecided(reason: &str, wait: Duration) -> Reply {
    let error = ErrorObject {
        message: "The rate limits could not be checked because too many requests came at once. Please try again.",
        kind: "server_error",
        code: "rate_limit_undecided",
        param: None,
    };
    Reply::error(503, error, format!("tidegate.rate_limit.{reason}")).retry_after(wait)
}
