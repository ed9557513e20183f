//! The response that a client gets in place of the cluster's: the last good response to its question ([`cache`]), a
//! default response in the format of its API ([`default`]), or an error that says when to retry ([`answer`]).
//! Responses are cached for this purpose by [`collect`] and [`good`].

pub mod answer;
pub mod cache;
pub mod collect;
pub mod default;
pub mod good;

use crate::asked::Asked;
use crate::config::{Cached, Config};
use crate::metrics::Counter;
use answer::Why;
use cache::Occasion;
use collect::{Collect, Gathered};
use core::cell::Cell;
use tidegate_host::exchange::Exchange;
use tidegate_host::reply::Reply;
use tidegate_limits::attempt::{RetryHeaders, Return};
use tidegate_policy::answer::Shown;
use tidegate_policy::retry_hint::Crowd;
use tidegate_policy::timestamp::Timestamp;

/// The fallback state that all exchanges of one worker share.
#[derive(Debug, Default)]
pub struct Fallbacks {
    gathered: Gathered,
    crowd: Cell<Crowd>,
}

/// The fallback of one exchange.
#[derive(Debug, Default)]
pub struct Fallback {
    returning: Return,
    collect: Option<Collect>,
}

impl Fallback {
    /// Reads the retry attempt from the request headers.
    pub fn read_head(&mut self, exchange: &dyn Exchange, config: &Config) {
        self.returning = Return::of(exchange, &config.clients, &RetryHeaders::default());
    }

    /// Returns the fallback, or `None` in shadow mode. `wait` is the time until a retry may succeed, in nanoseconds,
    /// if it is known.
    pub fn reply(
        &self,
        exchange: &dyn Exchange,
        (config, shared): (&Config, &Fallbacks),
        asked: &Asked,
        (why, wait): (Why, Option<u64>),
    ) -> Option<Reply> {
        let (counter, reply) = shared.instead(exchange, config, asked, (why, wait));
        let reply = enforce(exchange, config, counter, reply)?;
        if matches!(why, Why::Open | Why::Tier) {
            self.returning.refused(exchange, &reply);
        }
        Some(reply)
    }

    /// Begins to collect the response with these headers to `asked`, sent at `asked_at`, if it may be cached.
    pub fn gather(
        &mut self,
        exchange: &dyn Exchange,
        (cached, shared): (&Cached, &Fallbacks),
        (asked, asked_at): (&Asked, Timestamp),
    ) {
        if asked.question.is_some() {
            let headers = exchange.response_headers();
            self.collect = Collect::begin(headers, cached, (asked, asked_at), &shared.gathered);
        }
    }

    /// Returns true if a response is being collected.
    pub const fn gathers(&self) -> bool {
        self.collect.is_some()
    }

    /// Collects the bytes that have arrived, unless they are too many.
    pub fn add(&mut self, exchange: &dyn Exchange) {
        self.collect.take_if(|collect| !collect.add(exchange.arrived()));
    }

    /// Discards the collected response.
    pub fn discard(&mut self) {
        self.collect = None;
    }

    /// Caches the response if it is complete and good. `shown` is what was read of it on the way.
    pub fn keep(&mut self, exchange: &dyn Exchange, config: &Config, asked: &Asked, shown: Shown) {
        let Some(collect) = self.collect.take() else { return };
        let Some((cached, question)) = config.cached.as_ref().zip(asked.question.as_ref()) else { return };
        let now = exchange.now();
        let Some(good) = collect.good(shown, now) else { return };
        let put = cache::keep(exchange.store(), cached, (question, asked.asker(exchange)), good, now);
        let Some(put) = put else { return };
        Counter::Kept.count(exchange, 1);
        if put.evicted {
            Counter::Evicted.count(exchange, 1);
        }
        if put.grown > 0 {
            exchange.count(Counter::Bytes.place(), put.grown);
        }
    }
}

impl Fallbacks {
    fn instead(
        &self,
        exchange: &dyn Exchange,
        config: &Config,
        asked: &Asked,
        (why, wait): (Why, Option<u64>),
    ) -> (Counter, Reply) {
        let may_be_another = !asked.opted_out;
        if may_be_another
            && why != Why::Path
            && let Some(reply) = kept(exchange, config, asked, Occasion::Failing)
        {
            return (Counter::Cached, reply);
        }
        let random = exchange.random();
        if may_be_another && let Some(reply) = answer::ordinary_default(&config.default, asked, why, random) {
            return (Counter::Defaulted, reply);
        }
        let mut crowd = self.crowd.get();
        let hint = config.hints.hint(&mut crowd, 0, wait, exchange.now(), random);
        self.crowd.set(crowd);
        let counter = if why == Why::Path { Counter::RefusedPath } else { Counter::Refused };
        (counter, answer::error(&config.default, why, hint))
    }
}

/// Returns the cached response to the question, if it may be sent on this occasion.
pub fn kept(exchange: &dyn Exchange, config: &Config, asked: &Asked, occasion: Occasion) -> Option<Reply> {
    let (cached, question) = config.cached.as_ref().zip(asked.question.as_ref())?;
    let allowed = (question, Some(&asked.control).filter(|control| control.allows_kept())?);
    let found = cache::find(exchange.store(), cached, allowed, occasion, exchange.now());
    let outcome = if found.is_some() { Counter::Hits } else { Counter::Misses };
    outcome.count(exchange, 1);
    found.map(answer::kept)
}

/// Returns the cached response in place of a failure, if there is one and the client accepts it.
pub fn kept_instead(exchange: &dyn Exchange, config: &Config, asked: &Asked) -> Option<Reply> {
    if asked.opted_out {
        return None;
    }
    let kept = kept(exchange, config, asked, Occasion::Failing)?;
    enforce(exchange, config, Counter::Cached, kept)
}

/// Returns the response to a request that accepts only a cached response (`only-if-cached`) and never reaches the
/// cluster, whatever its health. Applies to the APIs whose responses may be cached; for any other there is no cache
/// to ask.
///
/// Source: RFC 9111, section 5.2.1.7.
pub fn kept_or_none(exchange: &dyn Exchange, config: &Config, asked: &Asked) -> Option<Reply> {
    if !asked.may_be_kept(config) || !asked.control.only_if_cached || asked.opted_out {
        return None;
    }
    let (counter, reply) = match kept(exchange, config, asked, Occasion::Well(u64::MAX)) {
        Some(reply) => (Counter::Cached, reply),
        None => (Counter::Refused, answer::none_is_kept()),
    };
    enforce(exchange, config, counter, reply)
}

/// Counts a response, and returns it unless in shadow mode.
pub fn enforce(exchange: &dyn Exchange, config: &Config, counter: Counter, reply: Reply) -> Option<Reply> {
    let counted = if config.shadow { Counter::Shadowed } else { counter };
    counted.count(exchange, 1);
    (!config.shadow).then_some(reply)
}
