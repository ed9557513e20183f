//! What a request is charged: what its head tells at once, and what waits for the model that its body names.

use crate::config::{Config, Limit, Requests};
use sha2::{Digest, Sha256};
use tidegate_host::exchange::Exchange;
use tidegate_host::protocol::Protocol;
use tidegate_limits::client::Client;
use tidegate_limits::model::Named;
use tidegate_policy::admission::Charge;
use tidegate_policy::bucket::Bucket;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};
use tidegate_policy::slots::Place;

/// No key of a client is longer; what is longer has no override, and costs no SHA-256.
pub(crate) const MAX_KEY: usize = 4_096;

/// What a request is charged, as far as its head tells.
#[derive(Debug, Default)]
pub struct Due {
    /// By the limits that its head decides.
    pub charges: Vec<Charge>,
    /// By those that wait for its model.
    pub later: Vec<Later>,
}

/// What a limit charges once the model is known.
#[derive(Clone, Debug)]
pub struct Later {
    limit: usize,
    head: Fingerprint,
    bucket: Bucket,
}

impl Config {
    /// What the limits charge for a request, in its first callback.
    pub fn due(&self, exchange: &dyn Exchange) -> Due {
        let mut prints: Vec<Option<Fingerprint>> = vec![None; self.identities.len()];
        let mut key_hash = None;
        let mut due = Due { charges: Vec::with_capacity(self.limits.len()), later: Vec::new() };
        if self.exempt.holds(exchange, &self.clients) {
            return due;
        }
        let fingerprinter = exchange.fingerprinter();
        let by_path =
            self.limits.iter().any(|limit| limit.needs_model).then(|| Named::by_path(exchange)).flatten();
        let (is_read, model) = match (by_path, exchange.protocol()) {
            (Some(model), _) => (false, model),
            (None, Protocol::Grpc) => (false, Named::Unreadable),
            (None, Protocol::Http | Protocol::Tunnel) => {
                (exchange.request_goes_on(), Named::Name(String::new()))
            }
        };
        for (place, limit) in self.limits.iter().enumerate() {
            if !limit.applies(exchange, &self.clients) {
                continue;
            }
            let (Some(identity), Some(print)) =
                (self.identities.get(limit.identity), prints.get_mut(limit.identity))
            else {
                continue;
            };
            let head = *print.get_or_insert_with(|| identity.fingerprint(exchange, &self.clients));
            let own = (!limit.overrides.is_empty())
                .then(|| *key_hash.get_or_insert_with(|| self.key_hash(exchange)))
                .flatten();
            let later = Later { limit: place, head, bucket: requests(limit, own).bucket };
            if is_read && limit.needs_model {
                due.later.push(later);
            } else {
                due.charges.extend(self.charge(&later, &model, fingerprinter));
            }
        }
        due
    }

    /// What is charged for a request that names this model; `None` if the limit is not about it.
    pub fn charge(&self, later: &Later, model: &Named, prints: Fingerprinter) -> Option<Charge> {
        let limit = self.limits.get(later.limit)?;
        let identity = self.identities.get(limit.identity)?;
        if limit.models.as_ref().is_some_and(|models| !models.hold(model)) {
            return None;
        }
        let print = identity.with_model(later.head, model, prints);
        Some(Charge {
            limit: later.limit,
            place: match identity.parts.as_slice() {
                [] => Place::Own(limit.mark),
                _ => self.table.set(print.place ^ limit.mark),
            },
            mark: print.mark ^ limit.mark,
            bucket: later.bucket,
            shadow: limit.shadow,
        })
    }

    fn key_hash(&self, exchange: &dyn Exchange) -> Option<[u8; 32]> {
        match self.clients.client(exchange) {
            Client::Key(key) | Client::Name(key) if key.len() <= MAX_KEY => Some(Sha256::digest(key).into()),
            _ => None,
        }
    }
}

fn requests(limit: &Limit, key_hash: Option<[u8; 32]>) -> &Requests {
    key_hash.and_then(|hash| limit.overrides.get(&hash)).unwrap_or(&limit.requests)
}
