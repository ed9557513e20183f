//! All that is known of one cluster, or of one model on it, in one entry of the store, so that one look tells whether
//! a request may go, and one write tells all workers. Health (4,048 bytes), tiers (27), then the breaker.

use tidegate_host::store::State;
use tidegate_policy::breaker::BreakerRecord;
use tidegate_policy::health::{self, Health};
use tidegate_policy::tier::{self, TierRecord};

/// All that is known of one cluster, or of one model on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// How it is.
    pub health: Health,
    /// Whether requests reach it.
    pub breaker: BreakerRecord,
    /// How far answers are degraded.
    pub tiers: TierRecord,
    bytes: Vec<u8>,
}

impl Condition {
    /// Ready to be stored.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.bytes = [&self.health.to_bytes(), self.tiers.as_bytes(), &self.breaker.to_bytes()].concat();
        self
    }
}

impl State for Condition {
    fn from_bytes(bytes: Vec<u8>) -> Self {
        let (health, rest) = bytes.split_at_checked(health::BYTES).unwrap_or((&bytes, &[]));
        let (tiers, breaker) = rest.split_at_checked(tier::BYTES).unwrap_or((rest, &[]));
        Self {
            health: Health::from_bytes(health),
            breaker: BreakerRecord::from_bytes(breaker),
            tiers: TierRecord::from_bytes(tiers),
            bytes: Vec::new(),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_as_long_as_its_three_records() {
        assert_eq!(Condition::default().packed().as_bytes().len(), 4_048 + 27 + 17);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_condition_and_come_back_as_they_are_read(bytes: Vec<u8>) {
            let read = Condition::from_bytes(bytes);
            let again = Condition::from_bytes(read.clone().packed().as_bytes().to_vec());
            prop_assert_eq!(again, read);
        }
    }
}
