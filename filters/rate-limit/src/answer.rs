//! What a refused client is told: which limit, how large it is, and when to come back, in the words and headers
//! that its SDK acts on.

use core::cmp::Ordering;
use core::time::Duration;
use tidegate_host::exchange::Exchange;
use tidegate_host::reply::{ErrorObject, Reply, reset_time};
use tidegate_policy::admission::Undecided;
use tidegate_policy::bucket::Level;
use tidegate_policy::retry_hint;

const SECOND: u64 = 1_000_000_000;

const REMAINING: &str = "x-ratelimit-remaining-requests";
const RESET: &str = "x-ratelimit-reset-requests";

/// The headers by which a client sees how full its bucket is.
pub fn level_headers(level: Level) -> [(&'static str, String); 3] {
    [
        ("x-ratelimit-limit-requests", level.capacity.to_string()),
        (REMAINING, level.remaining.to_string()),
        (RESET, reset_time(level.reset)),
    ]
}

/// Whether the response names a limit of its own that is at least as tight: with fewer requests left, or as many for
/// longer. One host call, and two more if it has just as many.
pub fn names_a_tighter_limit(exchange: &dyn Exchange, level: Level) -> bool {
    let remaining = exchange.response_header(REMAINING);
    let remaining = remaining.and_then(|text| core::str::from_utf8(&text).ok()?.trim().parse::<u64>().ok());
    match remaining.map(|remaining| remaining.cmp(&u64::from(level.remaining))) {
        Some(Ordering::Less) => true,
        Some(Ordering::Equal) => {
            let reset = exchange.response_header(RESET);
            let reset = reset.and_then(|text| retry_hint::reset(&text, exchange.wall_clock()));
            reset.is_some_and(|reset| reset > level.reset)
        }
        Some(Ordering::Greater) | None => false,
    }
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

/// 503: a limit could not be decided. A request that lost its races may come back in a second, one for which there
/// is no room when there is; `random` spreads the crowd over one second more.
pub fn undecided(why: Undecided, random: u64) -> Reply {
    let (reason, wait) = match why {
        Undecided::Contended => ("contended", SECOND),
        Undecided::Saturated { wait } => ("saturated", wait.max(SECOND)),
    };
    let jitter = random.checked_rem(SECOND).unwrap_or(0);
    let error = ErrorObject {
        message: "The rate limits could not be checked because too many requests came at once. Please try again.",
        kind: "server_error",
        code: "rate_limit_undecided",
        param: None,
    };
    let reply = Reply::error(503, error, format!("tidegate.rate_limit.{reason}"));
    reply.retry_after(Duration::from_nanos(wait.saturating_add(jitter)))
}
