//! The buckets that refused last on one worker, in a small table of fixed size. It has two uses.
//!
//! A client that comes back early is refused without asking the shared store, so a flood of refused requests costs the
//! other workers nothing: a bucket is never fuller than it was when seen plus its refill, whoever asks. (Tokens that
//! are given back or settled can be available earlier; nobody is refused for longer than announced.)
//!
//! It also adds jitter to the waits, because the SDKs add none and clients refused together would come back together.
//! The n-th client that waits for a bucket gets the exact wait plus a random part of the time in which the bucket
//! refills the cost of all n. Each worker counts the clients that it has seen.

use crate::admission::{Charge, Charged, Refusal, Wait};
use crate::bucket::Take;
use crate::jitter::jitter;
use crate::timestamp::Timestamp;

const ENTRIES: u64 = 1_024;

/// The longest wait that is announced as an invitation to retry, in nanoseconds: 60 s. Beyond it clients are advised to
/// stop, because some of them would sleep through it.
pub const MAX_RETRY: u64 = 60_000_000_000;

/// The longest jitter, in nanoseconds. A flood that ignores its hints is counted like any other clients and must not
/// delay them further than this.
const MAX_SPREAD: u64 = 10_000_000_000;

/// The buckets that refused last on one worker.
#[derive(Debug)]
pub struct Refused {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    mark: u64,
    tat: Timestamp,
    spoken_for: Timestamp,
}

impl Default for Refused {
    fn default() -> Self {
        Self { entries: vec![Entry::default(); usize::try_from(ENTRIES).unwrap_or(0)] }
    }
}

impl Refused {
    /// Returns the refusal of `charge` at `now`, if its bucket is known neither to have the cost nor to promise it.
    pub fn recall(&self, charge: &Charge, now: Timestamp) -> Option<Refusal> {
        let entry = self.entries.get(place(charge.mark)).filter(|entry| entry.mark == charge.mark)?;
        let tat = Some(entry.tat);
        let Take::NotYet { wait } = charge.bucket.take(tat, now, charge.cost) else { return None };
        Some(Refusal { charge: *charge, wait: Wait::For(wait), level: charge.bucket.level(tat, now) })
    }

    /// Forgets these buckets, because tokens were given back to them.
    pub fn forget(&mut self, charged: &[Charged]) {
        for Charged { charge, .. } in charged {
            if let Some(entry) =
                self.entries.get_mut(place(charge.mark)).filter(|entry| entry.mark == charge.mark)
            {
                *entry = Entry::default();
            }
        }
    }

    /// Remembers a refusal at `now` and returns the wait to announce: the refusal's own plus a jitter drawn from
    /// `random`. The jitter never raises a wait of at most [`MAX_RETRY`] above that.
    pub fn remember(&mut self, refusal: &Refusal, now: Timestamp, random: u64) -> Wait {
        let Refusal { charge, wait: Wait::For(wait), level } = refusal else { return Wait::Never };
        let Some(entry) = self.entries.get_mut(place(charge.mark)) else { return Wait::For(*wait) };
        let admits_at = now.plus(*wait);
        let known = if entry.mark == charge.mark { entry.spoken_for } else { admits_at };
        let furthest = admits_at.plus(MAX_SPREAD).min(now.plus(MAX_RETRY.max(*wait)));
        let spoken_for = known.max(admits_at).plus(charge.bucket.time_of(charge.cost)).min(furthest);
        *entry = Entry { mark: charge.mark, tat: now.plus(level.reset), spoken_for };
        Wait::For(wait.saturating_add(jitter(spoken_for.nanos_since(admits_at), random)))
    }
}

fn place(mark: u64) -> usize {
    usize::try_from(mark.checked_rem(ENTRIES).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::bucket::{Bucket, Level, Rate};
    use crate::slot_key::SlotKey;
    use core::time::Duration;
    use proptest::prelude::*;

    const INTERVAL: u64 = 10_000_000;

    fn refusal(mark: u64, wait: u64) -> Refusal {
        let bucket = Bucket::new(Rate { requests: 100, period: Duration::from_secs(1) }, 5).unwrap();
        let charge =
            Charge { limit: 0, key: SlotKey::numbered(b"t.", 0), mark, bucket, cost: 1, shadow: false };
        Refusal {
            charge,
            wait: Wait::For(wait),
            level: Level { capacity: 5, remaining: 0, reset: wait + 4 * INTERVAL },
        }
    }

    #[test]
    fn a_refusal_is_recalled_until_the_token_is_available_and_not_a_nanosecond_longer() {
        let (mut refused, now) = (Refused::default(), Timestamp::from_nanos(1_000));
        let first = refusal(7, 500);
        refused.remember(&first, now, 0);
        let recalled = refused.recall(&first.charge, now.plus(499)).unwrap();
        assert_eq!((recalled.wait, recalled.level.reset), (Wait::For(1), 1 + 4 * INTERVAL));
        assert_eq!(refused.recall(&first.charge, now.plus(500)), None);
        assert_eq!(refused.recall(&refusal(8, 1).charge, now), None);
        assert_eq!(refused.recall(&refusal(7 + ENTRIES, 1).charge, now), None);
    }

    #[test]
    fn a_cost_that_can_be_promised_is_not_refused_from_memory() {
        let mut refused = Refused::default();
        let mut slow = refusal(7, 500);
        slow.charge.bucket = slow.charge.bucket.promising(Duration::from_nanos(200));
        refused.remember(&slow, Timestamp::default(), 0);
        assert!(refused.recall(&slow.charge, Timestamp::from_nanos(299)).is_some());
        assert_eq!(refused.recall(&slow.charge, Timestamp::from_nanos(300)), None);
    }

    fn told(wait: Wait) -> u64 {
        let Wait::For(wait) = wait else { panic!("told to stay away") };
        wait
    }

    #[test]
    fn a_higher_cost_is_refused_for_longer_and_a_lower_one_is_not_recalled() {
        let (mut refused, now) = (Refused::default(), Timestamp::default());
        let costing = |cost| Charge { cost, ..refusal(7, 0).charge };
        let wait = Wait::For(2 * INTERVAL);
        let level = Level { capacity: 5, remaining: 2, reset: 3 * INTERVAL };
        refused.remember(&Refusal { charge: costing(4), wait, level }, now, 0);
        assert_eq!(refused.recall(&costing(2), now), None);
        let again = refused.recall(&costing(4), now).unwrap();
        assert_eq!((again.wait, again.level), (wait, level));
        let dearer = refused.recall(&costing(5), now).unwrap();
        assert_eq!(dearer.wait, Wait::For(3 * INTERVAL));
        assert_eq!(refused.recall(&costing(6), now), None);
    }

    #[test]
    fn a_cost_above_the_capacity_is_not_recalled() {
        let (mut refused, now) = (Refused::default(), Timestamp::default());
        let never = Refusal { wait: Wait::Never, ..refusal(7, 1) };
        assert_eq!(refused.remember(&never, now, u64::MAX), Wait::Never);
        assert_eq!(refused.recall(&never.charge, now), None);
    }

    #[test]
    fn jitter_spreads_a_thundering_herd_over_the_refill_of_its_cost() {
        let mut refused = Refused::default();
        let all_told: Vec<_> = (0..1_000)
            .map(|_| told(refused.remember(&refusal(7, INTERVAL), Timestamp::default(), u64::MAX)))
            .collect();
        assert!(all_told.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(all_told.last().map(|last| last / INTERVAL), Some(1_000));
    }

    #[test]
    fn a_lone_client_waits_less_than_one_extra_interval() {
        let told = told(Refused::default().remember(&refusal(7, 1_000), Timestamp::default(), u64::MAX));
        assert!(told < 1_000 + INTERVAL);
    }

    proptest! {
        #[test]
        fn jitter_never_shortens_a_wait_or_passes_the_longest_retry(
            calls in prop::collection::vec((0_u64..4, 1_u64..u64::MAX / 2, 0_u64..1_000, any::<u64>()), 1..200),
        ) {
            let (mut refused, mut now) = (Refused::default(), Timestamp::default());
            for (mark, wait, gap, random) in calls {
                now = now.plus(gap);
                let told = told(refused.remember(&refusal(mark, wait), now, random));
                prop_assert!(told >= wait);
                prop_assert!(told <= wait.max(MAX_RETRY));
            }
        }
    }
}
