//! The headers that report a bucket's level to its client: `x-ratelimit-*` always, Anthropic's on requests for its API,
//! and the IETF's if the operator enables them.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-10.

use crate::unit::{HeaderNames, Unit};
use core::cmp::Ordering;
use tidegate_host::exchange::Exchange;
use tidegate_host::reply::{Reply, reset_time};
use tidegate_policy::api::Dialect;
use tidegate_policy::bucket::Level;
use tidegate_policy::timestamp::SECOND;
use tidegate_policy::{date, retry_hint};

/// The level of a client's bucket, with the form in which to report it.
#[derive(Clone, Copy, Debug)]
pub struct LevelHeaders {
    /// The bucket's level.
    pub level: Level,
    /// The unit of the bucket.
    pub unit: Unit,
    /// True if the IETF's headers are enabled.
    pub ietf: bool,
}

impl LevelHeaders {
    /// Sets the headers on the upstream's response, unless it reports a limit of its own that is at least as tight.
    /// Costs one host call to read, and one for each header set.
    pub fn set(self, exchange: &dyn Exchange) {
        let anthropic = (exchange.dialect() == Dialect::Anthropic).then(|| self.unit.anthropic());
        for names in [Some(self.unit.openai()), anthropic].into_iter().flatten() {
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

    /// Adds the headers to a response of ours.
    pub fn on(self, reply: Reply, exchange: &dyn Exchange) -> Reply {
        let anthropic = exchange.dialect() == Dialect::Anthropic;
        let anthropic = anthropic.then(|| self.named(self.unit.anthropic(), exchange));
        let headers =
            self.named(self.unit.openai(), exchange).into_iter().chain(anthropic.into_iter().flatten());
        headers.chain(self.ietf()).fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    fn named(self, names: HeaderNames, exchange: &dyn Exchange) -> [(&'static str, String); 3] {
        let Level { capacity, remaining, reset } = self.level;
        let reset = match names == self.unit.anthropic() {
            true => date::to_rfc3339(exchange.wall_clock().saturating_add(reset)),
            false => reset_time(reset),
        };
        [(names.limit, capacity.to_string()), (names.remaining, remaining.to_string()), (names.reset, reset)]
    }

    fn ietf(self) -> impl Iterator<Item = (&'static str, String)> {
        let Level { capacity, remaining, reset } = self.level;
        let (policy, seconds) = (self.unit.plural(), reset.div_ceil(SECOND));
        let headers = [
            ("ratelimit-policy", format!("\"{policy}\";q={capacity}")),
            ("ratelimit", format!("\"{policy}\";r={remaining};t={seconds}")),
        ];
        headers.into_iter().filter(move |_| self.ietf)
    }

    /// Returns true if the response reports a limit with fewer left, or with as many left and a later reset.
    fn is_looser_than_named(self, exchange: &dyn Exchange, names: HeaderNames) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_host::fake::FakeProxy;
    use tidegate_host::reply::ErrorObject;

    fn told(unit: Unit, path: &str) -> Vec<(&'static str, String)> {
        let (proxy, level) =
            (FakeProxy::default(), Level { capacity: 9, remaining: 4, reset: 1_500_000_000 });
        let exchange = proxy.exchange(&[(":path", path)]);
        let error = ErrorObject { message: "", kind: "", code: "", param: None };
        let reply = Reply { headers: Vec::new(), ..Reply::error(429, error, String::new()) };
        LevelHeaders { level, unit, ietf: true }.on(reply, &exchange).headers
    }

    #[test]
    fn the_level_is_reported_in_its_unit() {
        for (unit, name) in [(Unit::Requests, "requests"), (Unit::Tokens, "tokens")] {
            let headers = told(unit, "/v1/messages");
            let find = |wanted: String| headers.iter().find(|(name, _)| *name == wanted).unwrap().1.as_str();
            assert_eq!(find(format!("x-ratelimit-limit-{name}")), "9");
            assert_eq!(find(format!("x-ratelimit-remaining-{name}")), "4");
            assert_eq!(find(format!("x-ratelimit-reset-{name}")), "1.5s");
            assert_eq!(find(format!("anthropic-ratelimit-{name}-remaining")), "4");
            assert_eq!(find("ratelimit-policy".to_owned()), format!("\"{name}\";q=9"));
            assert_eq!(find("ratelimit".to_owned()), format!("\"{name}\";r=4;t=2"));
        }
        assert_eq!(told(Unit::Tokens, "/v1/chat/completions").len(), 5);
    }
}
