//! When a refused client is told to come back. The SDKs add no jitter to a server's delay, so a crowd that is
//! refused together would come back together. Each refusal is therefore spread over the time in which the
//! bucket makes a token for every client that has been refused since it last had one: the n-th that waits is
//! told the exact wait plus a random part of n emission intervals.
//!
//! The crowd is counted per worker in a small table of fixed size; a lost entry costs only jitter.

use crate::timestamp::Timestamp;

const ENTRIES: u64 = 256;

/// The longest wait that is told as an invitation to retry, in nanoseconds: 60 s. Beyond it, clients are
/// told to stop, since some of them would sleep it out.
pub const MAX_RETRY: u64 = 60_000_000_000;

/// Until when the tokens of a bucket are spoken for, for the buckets that refused last.
#[derive(Debug)]
pub struct Crowds {
    entries: Vec<Crowd>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    mark: u64,
    spoken_for: Timestamp,
}

impl Default for Crowds {
    fn default() -> Self {
        Self { entries: vec![Crowd::default(); usize::try_from(ENTRIES).unwrap_or(0)] }
    }
}

impl Crowds {
    /// The wait to tell a client that the bucket `mark` refused at `now`: at least `wait`, spread by `random`.
    /// A wait of at most [`MAX_RETRY`] is never spread beyond it. All in nanoseconds.
    pub fn spread(&mut self, mark: u64, interval: u64, wait: u64, now: Timestamp, random: u64) -> u64 {
        let index = usize::try_from(mark.checked_rem(ENTRIES).unwrap_or(0)).unwrap_or(0);
        let Some(crowd) = self.entries.get_mut(index) else { return wait };
        let earliest = now.plus(wait);
        let known = if crowd.mark == mark { crowd.spoken_for } else { earliest };
        let furthest = now.plus(MAX_RETRY.max(wait));
        let spoken_for = known.max(earliest).plus(interval).min(furthest);
        *crowd = Crowd { mark, spoken_for };
        let room = u128::from(spoken_for.nanos_since(earliest));
        let part = room.saturating_mul(u128::from(random)) >> 64;
        wait.saturating_add(u64::try_from(part).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_crowd_is_spread_over_the_time_its_tokens_take() {
        let mut crowds = Crowds::default();
        let interval = 10_000_000;
        let waits: Vec<_> = (0..1_000)
            .map(|_| crowds.spread(7, interval, interval, Timestamp::default(), u64::MAX))
            .collect();
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(waits.last().map(|last| last / interval), Some(1_000));
    }

    #[test]
    fn one_client_alone_waits_less_than_one_more_interval() {
        assert!(Crowds::default().spread(7, 100, 1_000, Timestamp::default(), u64::MAX) < 1_100);
    }

    proptest! {
        #[test]
        fn never_earlier_than_the_wait_and_never_past_the_longest_retry(
            calls in prop::collection::vec((0_u64..4, 1_u64..u64::MAX, 1_u64..u64::MAX, 0_u64..1_000, any::<u64>()), 1..200),
        ) {
            let (mut crowds, mut now) = (Crowds::default(), Timestamp::default());
            for (mark, interval, wait, gap, random) in calls {
                now = now.plus(gap);
                let told = crowds.spread(mark, interval, wait, now, random);
                prop_assert!(told >= wait);
                prop_assert!(told <= wait.max(MAX_RETRY));
            }
        }
    }
}
