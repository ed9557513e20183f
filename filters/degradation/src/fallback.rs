//! What a client gets in place of the cluster's response: the last good answer to its question ([`cache`]), a default answer
//! in the shape of its API ([`default`]), or an error that says when to come back ([`answer`]). And the responses that are
//! kept for that ([`collect`], [`good`]).

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

/// What the fallbacks of all exchanges of one worker share.
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
    /// Reads which attempt the request is, while its headers are there.
    pub fn read_head(&mut self, exchange: &dyn Exchange, config: &Config) {
        self.returning = Return::of(exchange, &config.clients, &RetryHeaders::default());
    }

    /// What a client gets instead, or nothing if that is only counted. `wait`: nanoseconds until asking again may help, if
    /// that is known.
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

    /// Begins to gather the response with these headers to what was `asked` at `asked_at`, if it may be kept.
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

    /// Whether a response is being gathered.
    pub const fn gathers(&self) -> bool {
        self.collect.is_some()
    }

    /// Gathers what has arrived, unless that is too much.
    pub fn add(&mut self, exchange: &dyn Exchange) {
        self.collect.take_if(|collect| !collect.add(exchange.arrived()));
    }

    /// The response is not to be kept.
    pub fn discard(&mut self) {
        self.collect = None;
    }

    /// Keeps the response, if it is whole and a good one. `shown`: what it showed while it passed.
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

/// The kept answer to the question, if it may be given on this occasion.
pub fn kept(exchange: &dyn Exchange, config: &Config, asked: &Asked, occasion: Occasion) -> Option<Reply> {
    let (cached, question) = config.cached.as_ref().zip(asked.question.as_ref())?;
    let allowed = (question, Some(&asked.control).filter(|control| control.allows_kept())?);
    let found = cache::find(exchange.store(), cached, allowed, occasion, exchange.now());
    let outcome = if found.is_some() { Counter::Hits } else { Counter::Misses };
    outcome.count(exchange, 1);
    found.map(answer::kept)
}

/// The kept answer instead of one that fails, if there is one and the client takes it.
pub fn kept_instead(exchange: &dyn Exchange, config: &Config, asked: &Asked) -> Option<Reply> {
    if asked.opted_out {
        return None;
    }
    let kept = kept(exchange, config, asked, Occasion::Failing)?;
    enforce(exchange, config, Counter::Cached, kept)
}

/// What a request gets that wants a kept answer or none (`only-if-cached`): it never reaches the cluster, whatever its
/// health. It is for the APIs whose answers may be kept; to any other there is no cache that could be asked.
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

/// Counts an answer, and gives it unless the filter only counts.
pub fn enforce(exchange: &dyn Exchange, config: &Config, counter: Counter, reply: Reply) -> Option<Reply> {
    let counted = if config.shadow { Counter::Shadowed } else { counter };
    counted.count(exchange, 1);
    (!config.shadow).then_some(reply)
}
