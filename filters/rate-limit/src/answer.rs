//! What a refused client is told: which limit, how large it is, and when to come back, in the words and headers
//! that its SDK acts on.

use core::cmp::Ordering;
use core::time::Duration;
use tidegate_host::exchange::Exchange;
use tidegate_host::reply::{ErrorObject, Reply, reset_time};
use tidegate_policy::admission::Undecided;
use tidegate_policy::api::Dialect;
use tidegate_policy::bucket::Level;
use tidegate_policy::{date, retry_hint};

const SECOND: u64 = 1_000_000_000;

const OPENAI: Names = Names {
    limit: "x-ratelimit-limit-requests",
    remaining: "x-ratelimit-remaining-requests",
    reset: "x-ratelimit-reset-requests",
};

const ANTHROPIC: Names = Names {
    limit: "anthropic-ratelimit-requests-limit",
    remaining: "anthropic-ratelimit-requests-remaining",
    reset: "anthropic-ratelimit-requests-reset",
};

/// What an API calls the headers by which a client sees how full its bucket is.
#[derive(Clone, Copy, Debug)]
struct Names {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

/// The headers by which a client sees how full its bucket is: `x-ratelimit-*` always, Anthropic's where it is asked in its
/// words, and the IETF's where the operator wants them.
///
/// Sources: the API references of OpenAI and Anthropic, "Rate limits"; draft-ietf-httpapi-ratelimit-headers-10.
#[derive(Clone, Copy, Debug)]
pub struct LevelHeaders {
    /// How full it is.
    pub level: Level,
    /// Whether the IETF's are wanted.
    pub ietf: bool,
}

impl LevelHeaders {
    /// On the answer of the upstream, unless that names a limit of its own that is at least as tight. One host call to see,
    /// and one for each header.
    pub fn set(self, exchange: &dyn Exchange) {
        let families = [Some(OPENAI), (exchange.dialect() == Dialect::Anthropic).then_some(ANTHROPIC)];
        for names in families.into_iter().flatten() {
            if !self.is_looser_than_named(exchange, names) {
                for (name, value) in self.named(names, exchange) {
                    exchange.set_response_header(name, &value);
                }
            }
        }
        for (name, value) in self.ietf() {
            exchange.set_response_header(name, &value);
        }
    }

    /// On an answer of ours.
    pub fn on(self, reply: Reply, exchange: &dyn Exchange) -> Reply {
        let anthropic = (exchange.dialect() == Dialect::Anthropic).then(|| self.named(ANTHROPIC, exchange));
        let headers = self.named(OPENAI, exchange).into_iter().chain(anthropic.into_iter().flatten());
        headers.chain(self.ietf()).fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    fn named(self, names: Names, exchange: &dyn Exchange) -> [(&'static str, String); 3] {
        let Level { capacity, remaining, reset } = self.level;
        let reset = match names.reset == ANTHROPIC.reset {
            true => date::to_rfc3339(exchange.wall_clock().saturating_add(reset)),
            false => reset_time(reset),
        };
        [(names.limit, capacity.to_string()), (names.remaining, remaining.to_string()), (names.reset, reset)]
    }

    fn ietf(self) -> impl Iterator<Item = (&'static str, String)> {
        let Level { capacity, remaining, reset } = self.level;
        let seconds = reset.div_ceil(SECOND);
        let headers = [
            ("ratelimit-policy", format!("\"requests\";q={capacity}")),
            ("ratelimit", format!("\"requests\";r={remaining};t={seconds}")),
        ];
        headers.into_iter().filter(move |_| self.ietf)
    }

    /// Whether the response names a limit with fewer requests left, or as many for longer.
    fn is_looser_than_named(self, exchange: &dyn Exchange, names: Names) -> bool {
        let remaining = exchange.response_header(names.remaining);
        let remaining =
            remaining.and_then(|text| core::str::from_utf8(&text).ok()?.trim().parse::<u64>().ok());
        match remaining.map(|remaining| remaining.cmp(&u64::from(self.level.remaining))) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => {
                let reset = exchange.response_header(names.reset);
                let reset = reset.and_then(|text| retry_hint::reset(&text, exchange.wall_clock()));
                reset.is_some_and(|reset| reset > self.level.reset)
            }
            Some(Ordering::Greater) | None => false,
        }
    }
}

/// 429: the limit `name`, described by `text`, admits again after `wait`.
pub fn throttled(name: &str, text: &str, wait: Duration) -> Reply {
    let wait_text = reset_time(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    let message = format!("Rate limit '{name}' reached: {text}. Please try again in {wait_text}.");
    let error =
        ErrorObject { message: &message, kind: "rate_limit_error", code: "rate_limit_exceeded", param: None };
    Reply::error(429, error, format!("tidegate.rate_limit.{name}")).retry_after(wait)
}

/// 503: a limit could not be decided. A request that lost its races may come back in a second, one for which there
/// is no room when there is, with a jitter of up to one second.
pub fn undecided(why: Undecided, random: u64) -> Reply {
    let (reason, wait) = match why {
        Undecided::Contended => ("contended", SECOND),
        Undecided::Saturated { wait } => ("saturated", wait.max(SECOND)),
    };
    let jitter = retry_hint::jitter(SECOND, random);
    let error = ErrorObject {
        message: "The rate limits could not be checked because too many requests came at once. Please try again.",
        kind: "server_error",
        code: "rate_limit_undecided",
        param: None,
    };
    let reply = Reply::error(503, error, format!("tidegate.rate_limit.{reason}"));
    reply.retry_after(Duration::from_nanos(wait.saturating_add(jitter)))
}
