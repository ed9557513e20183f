//! One request against the limits: which apply, whose buckets they charge, and what the client gets.

use crate::admission::admit;
use crate::answer::{level_headers, throttled, undecided};
use crate::config::{Config, FailureMode, Limit, Requests};
use core::cell::RefCell;
use core::time::Duration;
use sha2::{Digest, Sha256};
use std::rc::Rc;
use tidegate_host::client::Client;
use tidegate_host::config::ConfigError;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stream};
use tidegate_host::store::Contended;
use tidegate_policy::admission::{Charge, Refusal, Ruling};
use tidegate_policy::bucket::Level;
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::hint::Crowds;
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
    worker: Rc<Worker>,
}

#[derive(Debug)]
struct Worker {
    config: Config,
    crowds: RefCell<Crowds>,
}

/// One request against the limits.
#[derive(Debug)]
pub struct RateLimitStream {
    worker: Rc<Worker>,
    level: Option<Level>,
}

impl Filter for RateLimit {
    const ROOT_ID: &'static str = "rate-limit";
    type Stream = RateLimitStream;

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::read(document)?;
        Ok(Self { worker: Rc::new(Worker { config, crowds: RefCell::default() }) })
    }

    fn metrics(&self) -> Vec<String> {
        let limits = &self.worker.config.limits;
        let totals = TOTALS.iter().map(|what| format!("tidegate.rate_limit.{what}"));
        let each =
            |what| limits.iter().map(move |limit| format!("tidegate.rate_limit.{what}.{}", limit.name));
        totals.chain(each("throttled")).chain(each("shadowed")).collect()
    }

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
        match admit(exchange.store(), &mut charges, now, exchange.can_hold()) {
            Ok(ruling) => {
                self.level = ruling.tightest;
                worker.answer(exchange, &ruling, now)
            }
            Err(Contended) => worker.undecided(exchange, CONTENDED, "contended"),
        }
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) {
        if let Some(level) = self.level.filter(|_| self.worker.config.headers_on_admitted) {
            for (name, value) in level_headers(level) {
                exchange.set_response_header(name, &value);
            }
        }
    }
}

impl Worker {
    fn charges(&self, exchange: &dyn Exchange) -> Vec<Charge> {
        let Config { limits, identities, clients, table, .. } = &self.config;
        let mut prints: Vec<Option<Fingerprint>> = vec![None; identities.len()];
        let mut key_hash = None;
        let mut charges = Vec::with_capacity(limits.len());
        for (place, limit) in limits.iter().enumerate() {
            if !limit.applies(exchange.request_headers()) {
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
                set: table.set(print.place),
                mark: print.mark ^ limit.mark,
                bucket: requests(limit, own).bucket,
                shadow: limit.shadow,
            });
        }
        charges
    }

    fn key_hash(&self, exchange: &dyn Exchange) -> Option<[u8; 32]> {
        match self.config.clients.client(exchange) {
            Client::Key(key) if key.len() <= MAX_KEY => Some(Sha256::digest(key).into()),
            _ => None,
        }
    }

    fn answer(&self, exchange: &dyn Exchange, ruling: &Ruling, now: Timestamp) -> Flow {
        let count = |metric, by| exchange.count(metric, by);
        for limit in &ruling.shadowed {
            count(SHADOWED, 1);
            count(self.metric_of(self.config.limits.len().saturating_add(*limit)), 1);
        }
        if ruling.evicted > 0 {
            count(EVICTED, ruling.evicted);
        }
        if let Some(refusal) = &ruling.refusal {
            count(THROTTLED, 1);
            count(self.metric_of(refusal.charge.limit), 1);
            return self.refuse(exchange, refusal, now);
        }
        if ruling.full {
            return self.undecided(exchange, SATURATED, "saturated");
        }
        count(ADMITTED, 1);
        if ruling.hold == 0 {
            return Flow::Continue;
        }
        count(DELAYED, 1);
        Flow::Hold(now.plus(ruling.hold))
    }

    fn refuse(&self, exchange: &dyn Exchange, refusal: &Refusal, now: Timestamp) -> Flow {
        let Refusal { charge, wait, level } = refusal;
        let Some(limit) = self.config.limits.get(charge.limit) else { return Flow::Continue };
        let told = match self.crowds.try_borrow_mut() {
            Ok(mut crowds) => {
                crowds.spread(charge.mark, charge.bucket.interval(), *wait, now, exchange.random())
            }
            Err(_) => *wait,
        };
        let own = limit.overrides.values().find(|own| own.bucket == charge.bucket);
        let text = &own.unwrap_or(&limit.requests).text;
        Flow::Reply(throttled(&limit.name, text, *level, Duration::from_nanos(told)))
    }

    fn undecided(&self, exchange: &dyn Exchange, metric: usize, reason: &str) -> Flow {
        exchange.count(metric, 1);
        match self.config.failure_mode {
            FailureMode::Allow => Flow::Continue,
            FailureMode::Deny => {
                let jitter = exchange.random().checked_rem(1_000_000_000).unwrap_or(0);
                Flow::Reply(undecided(
                    reason,
                    Duration::from_secs(1).saturating_add(Duration::from_nanos(jitter)),
                ))
            }
        }
    }

    fn metric_of(&self, place: usize) -> usize {
        TOTALS.len().saturating_add(place)
    }
}

fn requests(limit: &Limit, key_hash: Option<[u8; 32]>) -> &Requests {
    key_hash.and_then(|hash| limit.overrides.get(&hash)).unwrap_or(&limit.requests)
}

#[cfg(test)]
mod tests;
