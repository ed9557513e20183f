//! The time at which the client of a refused or failed request may retry, in the headers that the SDKs obey. A delay
//! of up to 60 s is sent exactly (`retry-after-ms`) and in whole seconds (`retry-after`, at least 1). For longer
//! delays, and where no wait helps, `x-should-retry: false` stops the SDKs, some of which would otherwise sleep for
//! the whole delay.

use crate::exchange::Exchange;
use core::time::Duration;
use tidegate_policy::refused::MAX_RETRY;
use tidegate_policy::retry_hint::Hint;

const MILLIS: &str = "retry-after-ms";
const SECONDS: &str = "retry-after";
/// The header that tells an SDK whether to retry at all.
pub const SHOULD_RETRY: &str = "x-should-retry";

/// The time at which to retry, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    wait: u64,
    should_retry: bool,
}

impl RetryAfter {
    /// Returns a retry after `wait` nanoseconds, or none if that is more than 60 s.
    pub const fn after(wait: u64) -> Self {
        Self { wait, should_retry: wait <= MAX_RETRY }
    }

    /// Forbids a retry; the wait is kept for clients that retry regardless.
    #[must_use]
    pub const fn never(self) -> Self {
        Self { should_retry: false, ..self }
    }

    /// Returns the headers for a response of the filter itself.
    pub fn headers(self) -> impl Iterator<Item = (&'static str, String)> {
        let stop = (!self.should_retry).then(|| (SHOULD_RETRY, "false".to_owned()));
        self.waits().into_iter().chain(stop)
    }

    /// Replaces the retry headers of the response about to be sent or, if `has_wait` is false, only the one that says
    /// whether to retry at all. Two host calls for the wait, and one for the other header if it changes.
    pub fn set(self, exchange: &dyn Exchange, has_wait: bool) {
        if has_wait {
            self.waits().iter().for_each(|(name, value)| exchange.set_response_header(name, value));
        }
        if !self.should_retry {
            exchange.set_response_header(SHOULD_RETRY, "false");
        } else if exchange.response_headers().all(SHOULD_RETRY.as_bytes()).next().is_some() {
            exchange.remove_response_header(SHOULD_RETRY);
        }
    }

    fn waits(self) -> [(&'static str, String); 2] {
        let rounded_up = |unit: u64| self.wait.div_ceil(unit).max(1).to_string();
        [(MILLIS, rounded_up(1_000_000)), (SECONDS, rounded_up(1_000_000_000))]
    }
}

impl From<Duration> for RetryAfter {
    fn from(wait: Duration) -> Self {
        Self::after(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Hint> for RetryAfter {
    fn from(hint: Hint) -> Self {
        let after = Self::after(hint.wait);
        if hint.should_retry { after } else { after.never() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeProxy;

    use tidegate_policy::timestamp::MILLISECOND;

    fn written(after: RetryAfter) -> Vec<(&'static str, String)> {
        after.headers().collect()
    }

    #[test]
    fn a_wait_is_given_in_both_units_rounded_up_and_never_zero() {
        for (nanos, millis, seconds) in [(1_200 * MILLISECOND + 1, "1201", "2"), (0, "1", "1")] {
            let expected = [(MILLIS, millis.to_owned()), (SECONDS, seconds.to_owned())];
            assert_eq!(written(RetryAfter::after(nanos)), expected);
        }
    }

    #[test]
    fn waits_over_60_seconds_and_never_forbid_a_retry_once() {
        let stops = |after| written(after).iter().filter(|(name, _)| *name == SHOULD_RETRY).count();
        assert_eq!(stops(RetryAfter::after(60_000 * MILLISECOND)), 0);
        assert_eq!(stops(RetryAfter::after(60_001 * MILLISECOND)), 1);
        assert_eq!(stops(RetryAfter::after(60_001 * MILLISECOND).never()), 1);
        assert_eq!(stops(RetryAfter::from(Duration::from_millis(1)).never()), 1);
        assert_eq!(stops(Hint { wait: 1, should_retry: false }.into()), 1);
        assert_eq!(stops(Hint { wait: 1, should_retry: true }.into()), 0);
        assert_eq!(stops(Duration::MAX.into()), 1);
    }

    #[test]
    fn the_headers_of_a_response_are_replaced() {
        let proxy = FakeProxy::default();
        let mut exchange = proxy.exchange(&[]);
        exchange.respond(&[(":status", "503"), ("retry-after", "0"), ("x-should-retry", "true")]);
        RetryAfter::after(1_200 * MILLISECOND).set(&exchange, true);
        assert_eq!(exchange.response_header(MILLIS).as_deref(), Some("1200"));
        assert_eq!(exchange.response_header(SECONDS).as_deref(), Some("2"));
        assert!(exchange.response_header_removed(SHOULD_RETRY));
        RetryAfter::after(1).never().set(&exchange, true);
        assert_eq!(exchange.response_header(SHOULD_RETRY).as_deref(), Some("false"));
    }

    #[test]
    fn without_a_wait_only_should_retry_is_set() {
        let proxy = FakeProxy::default();
        let mut exchange = proxy.exchange(&[]);
        exchange.respond(&[(":status", "503"), ("retry-after", "soon"), ("x-should-retry", "true")]);
        RetryAfter::after(1).set(&exchange, false);
        assert_eq!([MILLIS, SECONDS].map(|name| exchange.response_header(name)), [None, None]);
        assert!(!exchange.response_header_removed(SECONDS) && exchange.response_header_removed(SHOULD_RETRY));
    }
}
