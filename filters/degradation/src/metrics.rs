//! What is counted, in the order in which the proxy knows it.

use tidegate_host::exchange::Exchange;

macro_rules! counters {
    ($($(#[$doc:meta])* $what:ident = $name:literal),* $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $($(#[$doc])* $what),* }

        impl Counter {
            const ALL: [(Self, &'static str); [$($name),*].len()] = [$((Self::$what, $name)),*];
        }
    };
}

counters! {
    /// Requests that went to the cluster.
    Admitted = "admitted",
    /// Of these, those that were made smaller.
    Reduced = "reduced",
    /// Requests whose path is refused while the tier is on.
    RefusedPath = "refused_path",
    /// Kept answers that were given.
    Cached = "cached",
    /// Default answers that were given.
    Defaulted = "defaulted",
    /// Errors that were given where no default answer was possible or wanted.
    Refused = "refused",
    /// Requests that went to the cluster as probes.
    Probes = "probes",
    /// How often a breaker opened.
    Opened = "breaker_opened",
    /// How often one closed again.
    Closed = "breaker_closed",
    /// Answers of the cluster that counted as failures.
    Failures = "failures",
    /// Of these, those that had no content in time.
    Timeouts = "timeouts",
    /// Answers of the cluster that counted as overload.
    Overloads = "overloads",
    /// Questions to which an answer was kept.
    Hits = "cache_hits",
    /// Questions to which none was.
    Misses = "cache_misses",
    /// Answers that were kept.
    Kept = "kept",
    /// Answers that could still have been given, and made room for others.
    Evicted = "evicted",
    /// Bytes that kept answers take; never less.
    Bytes = "cache_bytes",
    /// Times that sixteen races were lost.
    Contended = "contended",
    /// Actions that shadow mode suppressed.
    Shadowed = "shadowed",
}

/// The gauge of the breaker that changed last: 0 closed, 1 open, 2 half-open.
pub const BREAKER: usize = 0;

impl Counter {
    /// Its place in the list.
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|(counter, _)| *counter == self).unwrap_or(usize::MAX)
    }
}

/// Counts once.
pub fn count(exchange: &dyn Exchange, counter: Counter) {
    exchange.count(counter.place(), 1);
}

/// The names of all counters.
pub fn counters() -> Vec<String> {
    Counter::ALL.iter().map(|(_, what)| format!("tidegate.degradation.{what}")).collect()
}

/// The names of all gauges.
pub fn gauges() -> Vec<String> {
    vec!["tidegate.degradation.breaker_state".to_owned()]
}
