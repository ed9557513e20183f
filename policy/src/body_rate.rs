//! Decides when a request body is too slow: because of silence, a drip, or a body that never ends.
//!
//! A body has a due time, initially `grace` after its beginning. Each byte extends it by the time that a byte takes at
//! the minimum rate, but to at most `grace` from now, so clients cannot send fast first and trickle later. A body is
//! too slow once its due time passes, or if it is incomplete at its deadline. Tiny chunks cost a worker as much as
//! large ones; they are detected by the average size over each `window` of chunks.
//!
//! Source: the due time is the virtual scheduling of ITU-T I.371 with bytes for cells, inverted: it bounds a rate from
//! below.

use crate::timestamp::SECOND;
use crate::timestamp::Timestamp;

/// The rule for request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRule {
    /// The time below the minimum rate that is tolerated, in nanoseconds.
    pub grace: u64,
    /// The minimum rate in bytes per second, at least 1.
    pub min_rate: u32,
    /// The time limit for a whole body, in nanoseconds.
    pub timeout: u64,
    /// The rule for tiny chunks, if there is one.
    pub tiny_chunks: Option<TinyChunks>,
}

/// The minimum average size of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TinyChunks {
    /// The number of chunks in the average, at least 1.
    pub window: u32,
    /// The minimum average in bytes.
    pub min_average: u32,
}

/// The reason why a body is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooSlow {
    /// The body was below the minimum rate for longer than the grace.
    Rate,
    /// The body was incomplete at its deadline.
    Timeout,
    /// The body arrived in tiny chunks.
    TinyChunks,
}

/// The timing of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyWatch {
    due: Timestamp,
    deadline: Timestamp,
    chunks: u32,
    chunk_bytes: u64,
}

impl BodyWatch {
    /// Begins a body at `now`.
    pub fn new(rule: &BodyRule, now: Timestamp) -> Self {
        Self { due: now.plus(rule.grace), deadline: now.plus(rule.timeout), chunks: 0, chunk_bytes: 0 }
    }

    /// Returns the time at which the body is too slow if nothing arrives before.
    pub fn next_check(&self) -> Timestamp {
        self.due.min(self.deadline)
    }

    /// Returns an error if the body is too slow at `now`.
    pub fn judge(&self, now: Timestamp) -> Result<(), TooSlow> {
        if now >= self.deadline {
            Err(TooSlow::Timeout)
        } else if now >= self.due {
            Err(TooSlow::Rate)
        } else {
            Ok(())
        }
    }

    /// Adds a chunk of this many bytes at `now`.
    ///
    /// # Errors
    /// Returns an error if the body is too slow, or its chunks are too small.
    pub fn chunk(&mut self, rule: &BodyRule, bytes: u64, now: Timestamp) -> Result<(), TooSlow> {
        self.judge(now)?;
        let earned = bytes.saturating_mul(SECOND).checked_div(u64::from(rule.min_rate)).unwrap_or(0);
        self.due = self.due.plus(earned).min(now.plus(rule.grace));
        let Some(tiny) = rule.tiny_chunks.filter(|_| bytes > 0) else { return Ok(()) };
        self.chunks = self.chunks.saturating_add(1);
        self.chunk_bytes = self.chunk_bytes.saturating_add(bytes);
        if self.chunks < tiny.window {
            return Ok(());
        }
        let least = u64::from(tiny.window).saturating_mul(u64::from(tiny.min_average));
        let came = core::mem::take(&mut self.chunk_bytes);
        self.chunks = 0;
        if came < least { Err(TooSlow::TinyChunks) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    const RULE: BodyRule =
        BodyRule { grace: 5 * SECOND, min_rate: 500, timeout: 60 * SECOND, tiny_chunks: None };

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn silence_is_tolerated_for_the_grace_and_not_a_nanosecond_longer() {
        let watch = BodyWatch::new(&RULE, at(7));
        assert_eq!(watch.next_check(), at(7 + 5 * SECOND));
        assert_eq!(watch.judge(at(6 + 5 * SECOND)), Ok(()));
        assert_eq!(watch.judge(at(7 + 5 * SECOND)), Err(TooSlow::Rate));
    }

    #[test]
    fn sending_fast_first_earns_no_credit() {
        let mut watch = BodyWatch::new(&RULE, at(0));
        assert_eq!(watch.chunk(&RULE, 1_000_000, at(SECOND)), Ok(()));
        assert_eq!(watch.judge(at(6 * SECOND)), Err(TooSlow::Rate));
    }

    #[test]
    fn a_body_that_never_ends_meets_its_deadline() {
        let mut watch = BodyWatch::new(&RULE, at(0));
        for second in 1..60 {
            assert_eq!(watch.chunk(&RULE, 2_000, at(second * SECOND)), Ok(()));
        }
        assert_eq!(watch.next_check(), at(60 * SECOND));
        assert_eq!(watch.chunk(&RULE, 2_000, at(60 * SECOND)), Err(TooSlow::Timeout));
    }

    #[test]
    fn a_drip_of_tiny_chunks_is_distinguished_from_a_body_with_a_small_end() {
        let rule = BodyRule { tiny_chunks: Some(TinyChunks { window: 4, min_average: 16 }), ..RULE };
        let chunks = |sizes: &[u64]| {
            let mut watch = BodyWatch::new(&rule, at(0));
            sizes.iter().try_for_each(|bytes| watch.chunk(&rule, *bytes, at(1)))
        };
        assert_eq!(chunks(&[16, 16, 16, 16, 9_000, 1, 1, 1]), Ok(()));
        assert_eq!(chunks(&[1, 0, 1, 0, 1]), Ok(()));
        assert_eq!(chunks(&[16, 16, 16, 15]), Err(TooSlow::TinyChunks));
    }

    proptest! {
        #[test]
        fn a_client_at_the_minimum_rate_is_never_cut_before_the_deadline(
            chunks in prop::collection::vec(1_u64..5 * 500, 1..60),
        ) {
            let mut watch = BodyWatch::new(&RULE, at(0));
            let mut now = 0;
            for bytes in chunks {
                now += bytes * SECOND / 500;
                if now >= RULE.timeout {
                    break;
                }
                prop_assert_eq!(watch.chunk(&RULE, bytes, at(now.saturating_sub(1))), Ok(()));
            }
        }

        #[test]
        fn a_client_below_the_rate_is_cut_once_its_deficit_exceeds_the_grace(
            rate in 1_u64..400, step in 1_u64..1_000,
        ) {
            let mut watch = BodyWatch::new(&RULE, at(0));
            let (mut now, mut cut) = (0, None);
            while now < RULE.timeout && cut.is_none() {
                now += step * SECOND / 1_000;
                cut = watch.chunk(&RULE, rate * step / 1_000, at(now)).err();
            }
            prop_assert!(cut.is_some());
            let longest = RULE.grace * 500 / (500 - rate) + SECOND;
            prop_assert!(now <= longest.min(RULE.timeout + SECOND), "cut after {now} ns");
        }

        #[test]
        fn nothing_overflows(grace: u64, min_rate: u32, timeout: u64, bytes: u64, begin: u64, now: u64) {
            let tiny_chunks = Some(TinyChunks { window: 1, min_average: 16 });
            let rule = BodyRule { grace, min_rate, timeout, tiny_chunks };
            let mut watch = BodyWatch::new(&rule, at(begin));
            let _ = watch.chunk(&rule, bytes, at(now));
            watch.next_check();
        }
    }
}
