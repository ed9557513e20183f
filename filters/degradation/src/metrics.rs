//! The counters and gauges, in order of definition.

use tidegate_host::counters;
use tidegate_host::metrics::Metric;

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.degradation." {
        /// Requests that went to the cluster.
        Admitted = "admitted",
        /// Of these, requests that were made smaller.
        Reduced = "reduced",
        /// Requests refused because of their path while the tier was on.
        RefusedPath = "refused_path",
        /// Cached responses that were given.
        Cached = "cached",
        /// Default responses that were given.
        Defaulted = "defaulted",
        /// Errors that were given where no default response was possible or wanted.
        Refused = "refused",
        /// Requests that went to the cluster as probes.
        Probes = "probes",
        /// How often a breaker opened.
        Opened = "breaker_opened",
        /// How often a breaker closed again.
        Closed = "breaker_closed",
        /// Responses of the cluster that counted as failures.
        Failures = "failures",
        /// Of these, responses that had no content in time.
        Timeouts = "timeouts",
        /// Responses of the cluster that counted as overload.
        Overloads = "overloads",
        /// Questions to which a response was cached.
        Hits = "cache_hits",
        /// Questions to which no response was cached.
        Misses = "cache_misses",
        /// Responses that were cached.
        Kept = "kept",
        /// Cached responses that were still good and made room for others.
        Evicted = "evicted",
        /// Bytes that cached responses have come to take. They are never given back.
        Bytes = "cache_bytes",
        /// Decisions given up because sixteen races were lost.
        Contended = "contended",
        /// Actions that shadow mode suppressed.
        Shadowed = "shadowed",
    }
}

/// Index of the gauge for the breaker that changed last.
pub const BREAKER: usize = 0;

/// All gauges.
pub const GAUGES: [Metric; 1] = [Metric {
    name: "tidegate.degradation.breaker_state",
    meaning: "State of the breaker that changed last: 0 closed, 1 open, 2 half-open.",
}];
