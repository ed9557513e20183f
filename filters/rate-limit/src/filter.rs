//! One request against the limits: which apply, whose buckets they charge, and what the client gets.

use crate::admission::admit;
use crate::answer::{level_headers, throttled, undecided};
use crate::config::{Config, Limit, Requests};
use core::cell::RefCell;
use core::time::Duration;
use sha2::{Digest, Sha256};
use std::rc::Rc;
use tidegate_host::client::Client;
use tidegate_host::config::{ConfigError, FailureMode};
use tidegate_host::exchange::{Exchange, Filter, Flow, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_policy::admission::{Charge, Refusal, Ruling, Terms, Undecided};
use tidegate_policy::bucket::Level;
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::refused::Refused;
use tidegate_policy::slots::Place;
use tidegate_policy::timestamp::Timestamp;

const ADMITTED: usize = 0;
const THROTTLED: usize = 1;
const SHADOWED: usize = 2;
const DELAYED: usize = 3;
const CONTENDED: usize = 4;
const SATURATED: usize = 5;
const EVICTED: usize = 6;
const TOTALS: [&str; 7] =
    ["admitted", "throttled", "shadowed", "delayed", "contended", "saturated", "evicted"];

/// No key of a client is longer; what is longer has no override, and costs no SHA-256.
const MAX_KEY: usize = 4_096;

/// Token buckets per client, address, path, method or header.
#[derive(Debug)]
pub struct RateLimit {
    pub(crate) worker: Rc<Worker>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    refused: RefCell<Refused>,
}

/// One request against the limits.
#[derive(Debug)]
pub struct RateLimitStream {
    worker: Rc<Worker>,
    level: Option<Level>,
}

impl Plugin for RateLimit {
    const ROOT_ID: &'static str = "rate-limit";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::read(document)?;
        Ok(Self { worker: Rc::new(Worker { config, refused: RefCell::default() }) })
    }

    fn metrics(&self) -> Vec<String> {
        let limits = &self.worker.config.limits;
        let totals = TOTALS.iter().map(|what| format!("tidegate.rate_limit.{what}"));
        let each =
            |what| limits.iter().map(move |limit| format!("tidegate.rate_limit.{what}.{}", limit.name));
        totals.chain(each("throttled")).chain(each("shadowed")).collect()
    }
}

impl Filter for RateLimit {
    type Stream = RateLimitStream;

    fn max_held(&self) -> usize {
        self.worker.config.max_held
    }

    fn stream(&self) -> RateLimitStream {
        RateLimitStream { worker: Rc::clone(&self.worker), level: None }
    }
}

impl Stream for RateLimitStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = Rc::clone(&self.worker);
        let mut charges = worker.charges(exchange);
        if charges.is_empty() {
            return Flow::Continue;
        }
        let now = exchange.now();
        if let Some(refusal) = worker.recall(&charges, now) {
            return worker.refuse(exchange, &refusal, now);
        }
        let lenient = worker.config.failure_mode == FailureMode::Allow;
        let terms = Terms { may_hold: exchange.can_hold(), lenient };
        let ruling = admit(exchange.store(), &mut charges, terms, now, || exchange.clock());
        self.level =
            ruling.tightest.map(|level| Level { reset: level.reset.saturating_sub(ruling.hold), ..level });
        worker.answer(exchange, &ruling, terms, now)
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if let Some(level) = self.level.filter(|_| self.worker.config.headers_on_admitted) {
            for (name, value) in level_headers(level) {
                exchange.set_response_header(name, &value);
            }
        }
        Flow::Keep
    }
}

impl Worker {
    fn charges(&self, exchange: &dyn Exchange) -> Vec<Charge> {
        let Config { limits, identities, clients, table, .. } = &self.config;
        let mut prints: Vec<Option<Fingerprint>> = vec![None; identities.len()];
        let mut key_hash = None;
        let mut charges = Vec::with_capacity(limits.len());
        for (place, limit) in limits.iter().enumerate() {
            if !limit.applies(exchange) {
                continue;
            }
            let (Some(identity), Some(print)) =
                (identities.get(limit.identity), prints.get_mut(limit.identity))
            else {
                continue;
            };
            let print = *print.get_or_insert_with(|| identity.fingerprint(exchange, clients));
            let own = (!limit.overrides.is_empty())
                .then(|| *key_hash.get_or_insert_with(|| self.key_hash(exchange)))
                .flatten();
            charges.push(Charge {
                limit: place,
                place: match identity.parts.as_slice() {
                    [] => Place::Own(limit.mark),
                    _ => table.set(print.place ^ limit.mark),
                },
                mark: print.mark ^ limit.mark,
                bucket: requests(limit, own).bucket,
                shadow: limit.shadow,
            });
        }
        charges
    }

    fn recall(&self, charges: &[Charge], now: Timestamp) -> Option<Refusal> {
        let refused = self.refused.try_borrow().ok()?;
        let enforced = charges.iter().filter(|charge| !charge.shadow);
        let known = enforced.filter_map(|charge| refused.recall(charge, now));
        known.max_by_key(|refusal| refusal.wait)
    }

    fn key_hash(&self, exchange: &dyn Exchange) -> Option<[u8; 32]> {
        match self.config.clients.client(exchange) {
            Client::Key(key) if key.len() <= MAX_KEY => Some(Sha256::digest(key).into()),
            _ => None,
        }
    }

    fn answer(&self, exchange: &dyn Exchange, ruling: &Ruling, terms: Terms, now: Timestamp) -> Flow {
        for limit in &ruling.shadowed {
            exchange.count(SHADOWED, 1);
            exchange.count(metric_of(self.config.limits.len().saturating_add(*limit)), 1);
        }
        if ruling.evicted > 0 {
            exchange.count(EVICTED, ruling.evicted);
        }
        if let Some(undecided) = ruling.undecided {
            exchange.count(if undecided == Undecided::Contended { CONTENDED } else { SATURATED }, 1);
        }
        match (&ruling.refusal, ruling.undecided) {
            (Some(refusal), _) => return self.refuse(exchange, refusal, now),
            (None, Some(why)) if !terms.lenient => return Flow::Reply(undecided(why, exchange.random())),
            (None, _) => exchange.count(ADMITTED, 1),
        }
        if ruling.hold == 0 {
            return Flow::Continue;
        }
        exchange.count(DELAYED, 1);
        exchange.set_alarm(Some(now.plus(ruling.hold)));
        Flow::Hold
    }

    fn refuse(&self, exchange: &dyn Exchange, refusal: &Refusal, now: Timestamp) -> Flow {
        let Refusal { charge, wait, level } = refusal;
        let Some(limit) = self.config.limits.get(charge.limit) else { return Flow::Continue };
        exchange.count(THROTTLED, 1);
        exchange.count(metric_of(charge.limit), 1);
        let told = match self.refused.try_borrow_mut() {
            Ok(mut refused) => refused.remember(refusal, now, exchange.random()),
            Err(_) => *wait,
        };
        let own = limit.overrides.values().find(|own| own.bucket == charge.bucket);
        let text = &own.unwrap_or(&limit.requests).text;
        Flow::Reply(throttled(&limit.name, text, *level, Duration::from_nanos(told)))
    }
}

fn metric_of(place: usize) -> usize {
    TOTALS.len().saturating_add(place)
}

fn requests(limit: &Limit, key_hash: Option<[u8; 32]>) -> &Requests {
    key_hash.and_then(|hash| limit.overrides.get(&hash)).unwrap_or(&limit.requests)
}

#[cfg(test)]
mod tests;
