//! The state of one cluster, or of one model on it, in one store entry, so that one read decides on a request and one
//! write informs all workers. Health (4,048 bytes), tiers (27), then the breaker.

use std::borrow::Cow;
use tidegate_policy::breaker::BreakerRecord;
use tidegate_policy::health::{self, Health};
use tidegate_policy::record::Record;
use tidegate_policy::tier::{self, TierRecord};

/// The state of one cluster, or of one model on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Recent outcomes and latencies.
    pub health: Health,
    /// State of the circuit breaker.
    pub breaker: BreakerRecord,
    /// Tiers that are on.
    pub tiers: TierRecord,
}

impl Record for Condition {
    fn from_bytes(stored: &[u8]) -> Self {
        let (health, rest) = stored.split_at_checked(health::BYTES).unwrap_or((stored, &[]));
        let (tiers, breaker) = rest.split_at_checked(tier::BYTES).unwrap_or((rest, &[]));
        Self {
            health: Health::from_bytes(health),
            breaker: BreakerRecord::from_bytes(breaker),
            tiers: TierRecord::from_bytes(tiers),
        }
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        let parts = [self.health.to_bytes(), self.tiers.to_bytes(), self.breaker.to_bytes()];
        Cow::Owned(parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_as_long_as_its_three_records() {
        assert_eq!(Condition::default().to_bytes().len(), 4_048 + 27 + 17);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_condition_and_come_back_as_they_are_read(bytes: Vec<u8>) {
            let read = Condition::from_bytes(&bytes);
            let again = Condition::from_bytes(&read.to_bytes());
            prop_assert_eq!(again, read);
        }
    }
}
