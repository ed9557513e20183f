//! Elects a leader among many workers by one record that they all share.
//!
//! The leader holds a lease, not a lock: if it dies, another worker leads once the lease has ended. All workers read
//! the same monotonic clock and change the record by compare-and-swap, so the lease ends for all of them at the same
//! instant and two never lead at once. A leader renews its lease once half of it is left; renewing at every tick would
//! cost a write each time.

use crate::record::Record;
use crate::timestamp::Timestamp;
use std::borrow::Cow;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, Unaligned};

/// The length of a lease: 10 ms to 60 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(u64);

impl Term {
    const SHORTEST: u64 = 10_000_000;
    const LONGEST: u64 = 60_000_000_000;

    /// Creates a term of this many nanoseconds; `None` outside the range.
    pub const fn new(nanos: u64) -> Option<Self> {
        if nanos < Self::SHORTEST || nanos > Self::LONGEST { None } else { Some(Self(nanos)) }
    }

    /// Returns the length in nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

/// The record of the leader, in the store's format. The default stands for an absent record: there is no leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub struct Lease {
    leader: U64,
    /// The end of the lease, in nanoseconds.
    ends: U64,
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The worker leads until this instant, which is not part of its lease.
    Leads(Timestamp),
    /// Another worker leads until this instant, unless it renews.
    Follows(Timestamp),
}

impl Record for Lease {
    /// Bytes that are no lease mean that there is no leader.
    fn from_bytes(stored: &[u8]) -> Self {
        Self::read_from_bytes(stored).unwrap_or_default()
    }

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(IntoBytes::as_bytes(self))
    }
}

impl Lease {
    /// Claims the lead at `now` for `worker`, a number that no other worker has. Returns the record to store, if it
    /// changes, and the outcome. The worker leads only once the record is stored.
    pub fn claim(self, worker: u64, now: Timestamp, term: Term) -> (Option<Self>, Standing) {
        let (leader, ends) = (self.leader.get(), Timestamp::from_nanos(self.ends.get()));
        // No lease is longer than the longest term, so a longer one was not written by this software.
        let left = Some(ends.nanos_since(now)).filter(|left| *left <= Term::LONGEST).unwrap_or(0);
        if left > 0 && leader != worker {
            return (None, Standing::Follows(ends));
        }
        if left > term.nanos() / 2 {
            return (None, Standing::Leads(ends));
        }
        let ends = now.plus(term.nanos());
        let record = Self { leader: worker.into(), ends: ends.as_nanos().into() };
        (Some(record), Standing::Leads(ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::timestamp::SECOND;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn term() -> Term {
        Term::new(SECOND).unwrap()
    }

    fn led_by(worker: u64, now: u64) -> Lease {
        Lease::default().claim(worker, at(now), term()).0.unwrap()
    }

    #[test]
    fn the_first_worker_to_claim_leads_for_a_term() {
        let (stored, standing) = Lease::default().claim(7, at(5), term());
        assert_eq!(standing, Standing::Leads(at(5 + SECOND)));
        assert_eq!(stored, Some(led_by(7, 5)));
    }

    #[test]
    fn no_other_worker_leads_until_the_lease_has_ended_and_claims_change_nothing() {
        let lease = led_by(7, 5);
        assert_eq!(lease.claim(8, at(4 + SECOND), term()), (None, Standing::Follows(at(5 + SECOND))));
        assert_eq!(
            lease.claim(8, at(5 + SECOND), term()),
            (Some(led_by(8, 5 + SECOND)), Standing::Leads(at(5 + 2 * SECOND)))
        );
    }

    #[test]
    fn a_leader_renews_once_half_of_its_lease_is_left() {
        let lease = led_by(7, 0);
        let (early, half) = (at(SECOND / 2 - 1), at(SECOND / 2));
        assert_eq!(lease.claim(7, early, term()), (None, Standing::Leads(at(SECOND))));
        assert_eq!(
            lease.claim(7, half, term()),
            (Some(led_by(7, SECOND / 2)), Standing::Leads(at(SECOND * 3 / 2)))
        );
    }

    #[test]
    fn a_term_is_neither_too_short_to_be_renewed_nor_too_long_to_be_waited_for() {
        assert_eq!([0, 9_999_999, 60_000_000_001].map(Term::new), [None; 3]);
        assert_eq!(
            [10_000_000, 60_000_000_000].map(|nanos| Term::new(nanos).map(Term::nanos)),
            [Some(10_000_000), Some(60_000_000_000)]
        );
    }

    #[test]
    fn an_invalid_record_keeps_no_worker_from_the_lead() {
        let never_ends = [[9; 8], [255; 8]].concat();
        for bytes in [&b""[..], b"short", &[9; 17], &never_ends] {
            let (stored, standing) = Lease::from_bytes(bytes).claim(7, at(5), term());
            assert_eq!((stored, standing), (Some(led_by(7, 5)), Standing::Leads(at(5 + SECOND))));
        }
    }

    /// The next step of one worker.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The worker reads the clock and the record.
        Look(usize),
        /// The worker decides on what it read, and stores the result unless another worker was faster.
        Store(usize),
        /// The worker's VM traps, and a new one without memory replaces it.
        Die(usize),
        /// Time passes.
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let worker = 0..4_usize;
        let step = prop_oneof![
            4 => worker.clone().prop_map(Step::Look),
            4 => worker.clone().prop_map(Step::Store),
            1 => worker.prop_map(Step::Die),
            3 => (0..SECOND).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 1..400)
    }

    proptest! {
        #[test]
        fn two_workers_never_lead_at_once_despite_deaths_and_lost_races(steps in steps()) {
            let (mut record, mut version, mut now) = (Lease::default(), 0_u32, 0_u64);
            let mut names = [1_u64, 2, 3, 4];
            let mut seen = [None; 4];
            let mut leads_until = [0_u64; 4];
            for step in steps {
                match step {
                    Step::Look(worker) => seen[worker] = Some((record, version, now)),
                    Step::Store(worker) => {
                        let Some((found, at_version, looked)) = seen[worker].take() else { continue };
                        let (stored, standing) = found.claim(names[worker], at(looked), term());
                        if let Some(stored) = stored {
                            if at_version != version {
                                continue;
                            }
                            (record, version) = (stored, version.wrapping_add(1));
                        }
                        if let Standing::Leads(ends) = standing {
                            leads_until[worker] = ends.as_nanos();
                        }
                    }
                    Step::Die(worker) => {
                        names[worker] = names[worker].wrapping_add(4);
                        (seen[worker], leads_until[worker]) = (None, 0);
                    }
                    Step::Wait(nanos) => now = now.saturating_add(nanos),
                }
                let leaders = leads_until.iter().filter(|ends| **ends > now).count();
                prop_assert!(leaders <= 1, "{leads_until:?} at {now}");
            }
        }

        #[test]
        fn a_worker_that_claims_often_leads_within_a_term_of_the_leaders_death(
            died in 0..SECOND, pause in 1..SECOND / 2,
        ) {
            let lease = led_by(1, 0);
            let asks = core::iter::successors(Some(died), |asked| asked.checked_add(pause));
            let led = asks.map(|now| (now, lease.claim(2, at(now), term()).1))
                .find(|(_, standing)| matches!(standing, Standing::Leads(_)));
            prop_assert!(led.is_some_and(|(now, _)| now.saturating_sub(pause) < SECOND));
        }

        #[test]
        fn a_leader_that_claims_twice_a_term_stays_leader(pauses in proptest::collection::vec(0..SECOND / 2, 1..100)) {
            let (mut lease, mut now) = (led_by(1, 0), 0_u64);
            for pause in pauses {
                now = now.saturating_add(pause);
                let (stored, standing) = lease.claim(1, at(now), term());
                prop_assert!(matches!(standing, Standing::Leads(ends) if ends > at(now)));
                prop_assert!(matches!(lease.claim(2, at(now), term()).1, Standing::Follows(_)));
                lease = stored.unwrap_or(lease);
            }
        }
    }
}
