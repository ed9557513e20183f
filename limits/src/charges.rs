//! Computes the charges of a request: those that its head decides at once, and those that wait for its body, which
//! names the model and determines the cost.

use crate::client::{Client, ClientSources};
use crate::exempt::Exempt;
use crate::identity::Identity;
use crate::model::Named;
use crate::rule::Rule;
use crate::unit::Unit;
use crate::written::RawRule;
use sha2::{Digest, Sha256};
use tidegate_config::ConfigError;
use tidegate_host::exchange::Exchange;
use tidegate_host::protocol::Protocol;
use tidegate_policy::admission::Charge;
use tidegate_policy::bucket::Bucket;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};
use tidegate_policy::slots::Table;

/// The maximum length of a client's key in bytes. A longer key has no override, and is not hashed.
pub const MAX_KEY: usize = 4_096;

/// The maximum number of rules in a filter.
pub const MAX_RULES: usize = 256;

/// All rules of a filter, with the settings that they share.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The distinct identities of the rules.
    identities: Vec<Identity>,
    clients: ClientSources,
    exempt: Exempt,
    table: Table,
}

/// The charges of a request that follow from its head.
#[derive(Debug, Default)]
pub struct Due {
    /// The charges that the head decides.
    pub charges: Vec<Charge>,
    /// The charges that wait for the body.
    pub later: Vec<Later>,
}

/// A charge that waits for the body.
#[derive(Clone, Debug)]
pub struct Later {
    rule: usize,
    head: Fingerprint,
    bucket: Bucket,
    /// The model that the path names.
    model: Option<Named>,
}

impl Rules {
    /// Validates `limits`, each rule with its unit. The buckets are kept in `table`.
    pub fn new(
        written: impl ExactSizeIterator<Item = (RawRule, Unit)>,
        clients: ClientSources,
        exempt: Exempt,
        table: Table,
    ) -> Result<Self, ConfigError> {
        let mut all =
            Self { rules: Vec::with_capacity(written.len()), identities: Vec::new(), clients, exempt, table };
        for (index, (raw, unit)) in written.enumerate() {
            let path = format!("limits[{index}]");
            if all.rules.iter().any(|known| known.name == raw.name.as_str()) {
                let problem = format!("found {:?} a second time, accepted is each name once", raw.name);
                return Err(ConfigError::new(format!("{path}.name"), problem));
            }
            let rule = Rule::new(raw, unit, &path, &all.clients, &mut all.identities)?;
            all.rules.push(rule);
        }
        Ok(all)
    }

    /// Returns an iterator over the rules, in the order written. [`Charge::limit`] is an index in it.
    pub fn iter(&self) -> core::slice::Iter<'_, Rule> {
        self.rules.iter()
    }

    /// Returns the rule that made a charge.
    pub fn of(&self, charge: &Charge) -> Option<&Rule> {
        self.rules.get(charge.limit)
    }

    /// Returns the sources that identify clients.
    pub const fn clients(&self) -> &ClientSources {
        &self.clients
    }

    /// Returns the requests that no rule charges.
    pub const fn exempt(&self) -> &Exempt {
        &self.exempt
    }

    /// Returns the table of the buckets.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Returns the identity that `rule` counts by.
    pub fn identity(&self, rule: &Rule) -> Option<&Identity> {
        self.identities.get(rule.identity)
    }

    /// Returns true if a rule depends on the model that a request names.
    pub fn need_model(&self) -> bool {
        self.rules.iter().any(|rule| rule.needs_model)
    }

    /// Returns the charges of a request, in its first callback. `cost` returns the cost by a rule of a request without
    /// a readable body.
    pub fn due(&self, exchange: &dyn Exchange, cost: impl Fn(&Rule) -> u32) -> Due {
        let mut prints: Vec<Option<Fingerprint>> = vec![None; self.identities.len()];
        let mut key_hash = None;
        let mut due = Due { charges: Vec::with_capacity(self.rules.len()), later: Vec::new() };
        if self.exempt.holds(exchange, &self.clients) {
            return due;
        }
        let fingerprinter = exchange.fingerprinter();
        let by_path = self.need_model().then(|| Named::by_path(exchange)).flatten();
        let is_grpc = exchange.protocol() == Protocol::Grpc;
        let is_read = !is_grpc && exchange.request_goes_on();
        let unnamed = if is_grpc { Named::Unreadable } else { Named::Name(String::new()) };
        for (place, rule) in self.rules.iter().enumerate() {
            if !rule.applies(exchange, &self.clients) {
                continue;
            }
            let (Some(identity), Some(print)) =
                (self.identities.get(rule.identity), prints.get_mut(rule.identity))
            else {
                continue;
            };
            let head = *print.get_or_insert_with(|| identity.fingerprint(exchange, &self.clients));
            let own = (!rule.overrides.is_empty())
                .then(|| *key_hash.get_or_insert_with(|| self.key_hash(exchange)))
                .flatten();
            let bucket = rule.amount_of(own).bucket;
            let later = Later { rule: place, head, bucket, model: by_path.clone() };
            let waits = rule.unit.needs_body() || (rule.needs_model && by_path.is_none());
            if is_read && waits {
                due.later.push(later);
            } else {
                due.charges.extend(self.charge(&later, &unnamed, &cost, fingerprinter));
            }
        }
        due
    }

    /// Returns the charge for a request whose body names this model and has this cost by the rule, or `None` if the
    /// rule does not apply to the model.
    pub fn charge(
        &self,
        later: &Later,
        model: &Named,
        cost: impl Fn(&Rule) -> u32,
        prints: Fingerprinter,
    ) -> Option<Charge> {
        let rule = self.rules.get(later.rule)?;
        let identity = self.identities.get(rule.identity)?;
        let model = later.model.as_ref().unwrap_or(model);
        if rule.models.as_ref().is_some_and(|models| !models.hold(model)) {
            return None;
        }
        let print = identity.with_model(later.head, model, prints);
        Some(Charge {
            limit: later.rule,
            key: match identity.parts.as_slice() {
                [] => self.table.single(rule.mark),
                _ => self.table.set(print.place ^ rule.mark),
            },
            mark: print.mark ^ rule.mark,
            bucket: later.bucket,
            cost: cost(rule),
            shadow: rule.shadow,
        })
    }

    fn key_hash(&self, exchange: &dyn Exchange) -> Option<[u8; 32]> {
        match self.clients.client(exchange) {
            Client::Key(key) | Client::Name(key) if key.len() <= MAX_KEY => Some(Sha256::digest(key).into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::{Exceed, RawAmount, RawCondition};
    use serde_json::json;
    use tidegate_config::text::RuleName;
    use tidegate_host::fake::FakeProxy;
    use tidegate_host::plugin::Proxy;

    fn amount(rate: &str, burst: u32) -> RawAmount {
        serde_json::from_value(json!({ "rate": rate, "burst": burst })).unwrap()
    }

    fn rule(name: &str, unit: Unit, when: serde_json::Value) -> (RawRule, Unit) {
        let when: RawCondition = serde_json::from_value(when).unwrap();
        let raw = RawRule {
            name: RuleName::new(name).unwrap(),
            per: vec!["client".to_owned()],
            amount: amount("1000/s", 500),
            when,
            exceed: Exceed::Reject,
            shadow: false,
            overrides: Vec::new(),
        };
        (raw, unit)
    }

    fn rules(written: Vec<(RawRule, Unit)>) -> Rules {
        let clients = ClientSources::new(None, None).unwrap();
        let table = Table::within(*b"tidegate.xx.", Table::MIN_BYTES).unwrap();
        Rules::new(written.into_iter(), clients, Exempt::new(None).unwrap(), table).unwrap()
    }

    fn price(rule: &Rule) -> u32 {
        if rule.unit == Unit::Tokens { 120 } else { 1 }
    }

    #[test]
    fn a_rule_on_tokens_waits_for_the_body_and_charges_its_cost() {
        let rules = rules(vec![
            rule("requests", Unit::Requests, json!({})),
            rule("tokens", Unit::Tokens, json!({})),
            rule("r1", Unit::Tokens, json!({ "model": "r1" })),
        ]);
        let proxy = FakeProxy::default();
        let exchange = proxy.exchange(&[(":path", "/v1/chat/completions"), ("x-api-key", "k")]);
        exchange.request_goes_on.set(true);
        let due = rules.due(&exchange, price);
        let charged: Vec<_> = due.charges.iter().map(|charge| (charge.limit, charge.cost)).collect();
        assert_eq!(charged, [(0, 1)]);
        let model = Named::Name("v3".to_owned());
        let charges =
            due.later.iter().filter_map(|later| rules.charge(later, &model, price, exchange.fingerprinter()));
        let charges: Vec<_> = charges.collect();
        assert_eq!(charges.iter().map(|charge| (charge.limit, charge.cost)).collect::<Vec<_>>(), [(1, 120)]);
        assert_ne!(charges.first().map(|charge| charge.mark), due.charges.first().map(|charge| charge.mark));
    }

    #[test]
    fn a_rule_on_tokens_takes_the_model_from_a_path_that_names_it() {
        let rules = rules(vec![rule("r1", Unit::Tokens, json!({ "model": "r1" }))]);
        let proxy = FakeProxy::default();
        for (path, charges) in [("/v2/models/r1/infer", 1), ("/v2/models/v3/infer", 0)] {
            let exchange = proxy.exchange(&[(":path", path), ("x-api-key", "k")]);
            exchange.request_goes_on.set(true);
            let due = rules.due(&exchange, price);
            let in_body = Named::Name("r1".to_owned());
            let prints = exchange.fingerprinter();
            let charged = due.later.iter().filter_map(|later| rules.charge(later, &in_body, price, prints));
            assert_eq!(charged.count(), charges, "{path}");
        }
    }

    #[test]
    fn a_rule_is_described_and_refused_in_its_unit() {
        let known = rules(vec![rule("a", Unit::Tokens, json!({}))]);
        assert_eq!(known.iter().next().unwrap().amount.text, "1000 tokens per second, bursts of 500");
        let (mut wrong, unit) = rule("a", Unit::Tokens, json!({}));
        wrong.amount = amount("1/d", 32);
        let mut identities = Vec::new();
        let clients = ClientSources::new(None, None).unwrap();
        let error = Rule::new(wrong, unit, "limits[0]", &clients, &mut identities).unwrap_err();
        assert_eq!(error.path, "limits[0].tokens");
    }
}
