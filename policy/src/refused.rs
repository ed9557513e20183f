//! What a worker remembers of the buckets that refused last, in a small table of fixed size.
//!
//! It answers a client that comes back early without asking the shared store: a bucket that had no token until a
//! time has none before it, whoever asks. (A token that is given back after a lost race can be a moment early;
//! nobody is refused for longer than was told.) So a flood of refused requests costs the other workers nothing.
//!
//! And it spreads what clients are told. The SDKs add no jitter to a server's delay, so a crowd that is refused
//! together would come back together: the n-th that waits for a bucket is told the exact wait plus a random part
//! of the time in which the bucket makes n tokens. Each worker counts the crowd that it has seen.

use crate::admission::{Charge, Refusal};
use crate::bucket::Level;
use crate::retry_hint::jitter;
use crate::timestamp::Timestamp;

const ENTRIES: u64 = 1_024;

/// The longest wait that is told as an invitation to retry, in nanoseconds: 60 s. Beyond it, clients are
/// told to stop, since some of them would sleep it out.
pub const MAX_RETRY: u64 = 60_000_000_000;

/// The longest time over which a crowd is spread, in nanoseconds: a flood that heeds no hint counts as a crowd too,
/// and must not push the others further away than this.
const MAX_SPREAD: u64 = 10_000_000_000;

/// The buckets that refused last on one worker.
#[derive(Debug)]
pub struct Refused {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    mark: u64,
    empty_until: Timestamp,
    full_at: Timestamp,
    spoken_for: Timestamp,
}

impl Default for Refused {
    fn default() -> Self {
        Self { entries: vec![Entry::default(); usize::try_from(ENTRIES).unwrap_or(0)] }
    }
}

impl Refused {
    /// The refusal of `charge` at `now`, if its bucket is known to have no token and none to promise.
    pub fn recall(&self, charge: &Charge, now: Timestamp) -> Option<Refusal> {
        let entry = self.entries.get(place(charge.mark)).filter(|entry| entry.mark == charge.mark)?;
        let wait = entry.empty_until.nanos_since(now);
        let reset = entry.full_at.nanos_since(now);
        let level = Level { capacity: charge.bucket.capacity(), remaining: 0, reset };
        (!charge.bucket.promises(wait)).then_some(Refusal { charge: *charge, wait, level })
    }

    /// Forgets what is known of these buckets, as tokens were given back to them.
    pub fn forget(&mut self, charged: &[Charge]) {
        for charge in charged {
            if let Some(entry) =
                self.entries.get_mut(place(charge.mark)).filter(|entry| entry.mark == charge.mark)
            {
                *entry = Entry::default();
            }
        }
    }

    /// Remembers a refusal at `now`, and gives the wait to tell: at least the refusal's own, spread by `random`.
    /// A wait of at most [`MAX_RETRY`] is never spread beyond it. In nanoseconds.
    pub fn remember(&mut self, refusal: &Refusal, now: Timestamp, random: u64) -> u64 {
        let Refusal { charge, wait, level } = refusal;
        let Some(entry) = self.entries.get_mut(place(charge.mark)) else { return *wait };
        let empty_until = now.plus(*wait);
        let known = if entry.mark == charge.mark { entry.spoken_for } else { empty_until };
        let furthest = empty_until.plus(MAX_SPREAD).min(now.plus(MAX_RETRY.max(*wait)));
        let spoken_for = known.max(empty_until).plus(charge.bucket.interval()).min(furthest);
        *entry = Entry { mark: charge.mark, empty_until, full_at: now.plus(level.reset), spoken_for };
        wait.saturating_add(jitter(spoken_for.nanos_since(empty_until), random))
    }
}

fn place(mark: u64) -> usize {
    usize::try_from(mark.checked_rem(ENTRIES).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use crate::bucket::{Bucket, Rate};
    use crate::slots::Place;
    use core::time::Duration;
    use proptest::prelude::*;

    const INTERVAL: u64 = 10_000_000;

    fn refusal(mark: u64, wait: u64) -> Refusal {
        let bucket = Bucket::new(Rate { requests: 100, period: Duration::from_secs(1) }, 5).unwrap();
        let charge = Charge { limit: 0, place: Place::Set(0), mark, bucket, shadow: false };
        Refusal { charge, wait, level: Level { capacity: 5, remaining: 0, reset: wait + 4 * INTERVAL } }
    }

    #[test]
    fn a_refusal_is_recalled_until_the_token_is_there_and_not_a_nanosecond_longer() {
        let (mut refused, now) = (Refused::default(), Timestamp::from_nanos(1_000));
        let first = refusal(7, 500);
        refused.remember(&first, now, 0);
        let recalled = refused.recall(&first.charge, now.plus(499)).unwrap();
        assert_eq!((recalled.wait, recalled.level.reset), (1, 1 + 4 * INTERVAL));
        assert_eq!(refused.recall(&first.charge, now.plus(500)), None);
        assert_eq!(refused.recall(&refusal(8, 1).charge, now), None);
        assert_eq!(refused.recall(&refusal(7 + ENTRIES, 1).charge, now), None);
    }

    #[test]
    fn what_can_be_promised_is_not_refused_from_memory() {
        let mut refused = Refused::default();
        let mut slow = refusal(7, 500);
        slow.charge.bucket = slow.charge.bucket.promising(Duration::from_nanos(200));
        refused.remember(&slow, Timestamp::default(), 0);
        assert!(refused.recall(&slow.charge, Timestamp::from_nanos(299)).is_some());
        assert_eq!(refused.recall(&slow.charge, Timestamp::from_nanos(300)), None);
    }

    #[test]
    fn a_crowd_is_spread_over_the_time_its_tokens_take() {
        let mut refused = Refused::default();
        let told: Vec<_> = (0..1_000)
            .map(|_| refused.remember(&refusal(7, INTERVAL), Timestamp::default(), u64::MAX))
            .collect();
        assert!(told.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(told.last().map(|last| last / INTERVAL), Some(1_000));
    }

    #[test]
    fn one_client_alone_waits_less_than_one_more_interval() {
        let told = Refused::default().remember(&refusal(7, 1_000), Timestamp::default(), u64::MAX);
        assert!(told < 1_000 + INTERVAL);
    }

    proptest! {
        #[test]
        fn never_earlier_than_the_wait_and_never_past_the_longest_retry(
            calls in prop::collection::vec((0_u64..4, 1_u64..u64::MAX / 2, 0_u64..1_000, any::<u64>()), 1..200),
        ) {
            let (mut refused, mut now) = (Refused::default(), Timestamp::default());
            for (mark, wait, gap, random) in calls {
                now = now.plus(gap);
                let told = refused.remember(&refusal(mark, wait), now, random);
                prop_assert!(told >= wait);
                prop_assert!(told <= wait.max(MAX_RETRY));
            }
        }
    }
}
