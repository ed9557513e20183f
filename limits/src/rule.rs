//! Creates an enforceable rule from a written one. A rule that cannot be enforced is refused with its path, what was
//! found and what is accepted.

use crate::client::{ClientSources, header_name};
use crate::identity::{Identity, Part};
use crate::model::Models;
use crate::unit::Unit;
use crate::when::When;
use crate::written::{Exceed, RawAmount, RawRule};
use core::time::Duration;
use hex::FromHex;
use std::collections::BTreeMap;
use tidegate_config::ConfigError;
use tidegate_host::exchange::Exchange;
use tidegate_policy::bucket::Bucket;
use tidegate_policy::fingerprint::Fingerprinter;

/// An enforceable rule.
#[derive(Debug)]
pub struct Rule {
    /// The unique name: letters, digits, `-` and `_`.
    pub name: String,
    /// The unit that the rule counts.
    pub unit: Unit,
    /// The index of the identity that the rule counts by, in the list of all identities.
    pub identity: usize,
    /// The mark that separates the rule's buckets from those of other rules with the same identity.
    pub mark: u64,
    /// The amount for clients without an override.
    pub amount: Amount,
    /// The amounts of named clients, by the SHA-256 of their key.
    pub overrides: BTreeMap<[u8; 32], Amount>,
    /// True if the rule is in shadow mode.
    pub shadow: bool,
    /// The models that the rule applies to, or `None` for all.
    pub models: Option<Models>,
    /// True if the rule applies to some models only, or counts by model.
    pub needs_model: bool,
    when: When,
}

/// A bucket and its description.
#[derive(Clone, Debug)]
pub struct Amount {
    /// The bucket.
    pub bucket: Bucket,
    /// The description, such as `10 requests per second, bursts of 20`.
    pub text: String,
}

impl Rule {
    /// Validates a rule at `path` that counts in `unit`. Its identity is added to `identities`, unless it is there.
    pub(crate) fn new(
        raw: RawRule,
        unit: Unit,
        path: &str,
        clients: &ClientSources,
        identities: &mut Vec<Identity>,
    ) -> Result<Self, ConfigError> {
        let identity = identity(&raw.per, path)?;
        let per_model = identity.parts.contains(&Part::Model);
        let by_key = identity.parts.contains(&Part::Client) && clients.have_keys();
        if !raw.overrides.is_empty() && !by_key {
            let problem = format!(
                "found overrides on per: {:?}, accepted are they where per names client and clients are known by a key",
                raw.per
            );
            return Err(ConfigError::new(format!("{path}.overrides"), problem));
        }
        let promised = match raw.exceed {
            Exceed::Reject => Duration::ZERO,
            Exceed::Delay(delay) => delay.duration(),
        };
        let amount = |written, path: &str| Amount::new(written, unit, promised, path);
        let mut overrides = BTreeMap::new();
        for (index, (hash, written)) in raw.overrides.iter().enumerate() {
            let path = format!("{path}.overrides[{index}]");
            let own = amount(*written, &path)?;
            if overrides.insert(sha256(hash, &path)?, own).is_some() {
                let problem = "found the same client twice, accepted is each once";
                return Err(ConfigError::new(format!("{path}.sha256"), problem));
            }
        }
        let place = identities.iter().position(|known| *known == identity);
        let place = place.unwrap_or_else(|| {
            identities.push(identity);
            identities.len().saturating_sub(1)
        });
        let (when, models) = raw.when.parts();
        let when_path = format!("{path}.when");
        Ok(Self {
            unit,
            identity: place,
            mark: Fingerprinter::new([0; 16]).of([raw.name.as_str().as_bytes()]).mark,
            amount: amount(raw.amount, path)?,
            overrides,
            shadow: raw.shadow,
            needs_model: per_model || models.is_some(),
            models: models.map(|names| Models::new(&names, &format!("{when_path}.model"))).transpose()?,
            when: When::new(when, &when_path)?,
            name: raw.name.into_string(),
        })
    }

    /// Returns true if the rule applies to a request by its head.
    pub fn applies(&self, exchange: &dyn Exchange, clients: &ClientSources) -> bool {
        self.when.applies_to(exchange, clients)
    }

    /// Returns the requests that the rule applies to.
    pub const fn when(&self) -> &When {
        &self.when
    }

    /// Returns the amount of the client whose key has this hash.
    pub fn amount_of(&self, key_hash: Option<[u8; 32]>) -> &Amount {
        key_hash.and_then(|hash| self.overrides.get(&hash)).unwrap_or(&self.amount)
    }

    /// Returns the amount that has this bucket.
    pub fn amount_with(&self, bucket: Bucket) -> &Amount {
        self.overrides.values().find(|own| own.bucket == bucket).unwrap_or(&self.amount)
    }
}

impl Amount {
    fn new(raw: RawAmount, unit: Unit, promised: Duration, path: &str) -> Result<Self, ConfigError> {
        let (rate, burst) = (raw.rate.get(), raw.burst.number());
        let per = match rate.period.as_secs() {
            1 => "second",
            60 => "minute",
            3_600 => "hour",
            _ => "day",
        };
        let bucket = Bucket::new(rate, burst).map_err(|invalid| {
            let found = format!("found {} per {per} with a burst of {burst}; {invalid}", rate.requests);
            ConfigError::new(format!("{path}.{}", unit.plural()), found)
        })?;
        let counted = if rate.requests == 1 { unit.singular() } else { unit.plural() };
        let text = format!("{} {counted} per {per}, bursts of {burst}", rate.requests);
        Ok(Self { bucket: bucket.promising(promised), text })
    }
}

fn identity(per: &[String], path: &str) -> Result<Identity, ConfigError> {
    let mut parts = Vec::with_capacity(per.len());
    for (index, name) in per.iter().enumerate() {
        let path = format!("{path}.per[{index}]");
        let part = match (name.as_str(), name.strip_prefix("header:")) {
            ("client", _) => Part::Client,
            ("address", _) => Part::Address,
            ("path", _) => Part::Path,
            ("method", _) => Part::Method,
            (_, Some(header)) => Part::Header(header_name(header, &path)?),
            ("model", _) => Part::Model,
            (other, _) => {
                let problem = format!(
                    "found {other:?}, accepted are client, address, model, path, method and header:<name>"
                );
                return Err(ConfigError::new(path, problem));
            }
        };
        if parts.contains(&part) {
            return Err(ConfigError::new(
                path,
                format!("found {name:?} a second time, accepted is each once"),
            ));
        }
        parts.push(part);
    }
    Ok(Identity { parts })
}

fn sha256(hex: &str, path: &str) -> Result<[u8; 32], ConfigError> {
    <[u8; 32]>::from_hex(hex).map_err(|_| {
        let problem = format!(
            "found {} characters, accepted are the 64 hexadecimal digits of the key's SHA-256 \
             (printf %s \"$KEY\" | sha256sum)",
            hex.chars().count()
        );
        ConfigError::new(format!("{path}.sha256"), problem)
    })
}
