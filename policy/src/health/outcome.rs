//! Classifies what a request says about its cluster. Only the cluster's own behaviour counts. Envoy's local replies are
//! recognised by their response code details, so a filter's refusal, a missing route or a client that left says
//! nothing. 429, Anthropic's 529 and Envoy's connection limits are overload, not failure. An invalid request says
//! nothing either, so that many of them cannot hide the failure of valid ones.
//!
//! If a reply was replaced, its details are gone and the response flags decide; without these, nothing is known.
//!
//! Source: Envoy, `stream_info.h` (`ResponseCodeDetailValues`, `CoreResponseFlag`).

use crate::answer::blame::Blame;

/// The outcome of a request for its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The cluster did what the request asked for.
    Success,
    /// The cluster was unreachable, failed, or was too late.
    Failure,
    /// The cluster failed within a response that had been recorded as a success.
    Broken,
    /// The cluster has more work than it accepts.
    Overload,
    /// The request says nothing: it was invalid, its client left, or it never reached the cluster.
    Ignored,
    /// The client left before a response began. The request counts as slow after a long wait.
    GivenUp,
}

/// The end of a request as Envoy reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending<'a> {
    /// The status, or 0 without one.
    pub status: u16,
    /// `response.code_details`, empty if unknown.
    pub details: &'a [u8],
    /// `response.flags`.
    pub flags: u64,
}

impl Outcome {
    /// Returns the outcome of an error for which this party is to blame.
    pub const fn of(blame: Blame) -> Self {
        match blame {
            Blame::Client => Self::Ignored,
            Blame::Load => Self::Overload,
            Blame::Server => Self::Failure,
        }
    }
}

const OVERFLOW: u64 = 1 << 7;
/// The flags of failure: unhealthy host, timeout, resets and connection failures, stream duration, protocol error, no
/// cluster, no DNS.
const FAILED: u64 =
    1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 15 | 1 << 19 | 1 << 23 | 1 << 24 | 1 << 26;
/// The flags of a client that left: connection terminated, protocol error, stream reset.
const CLIENT_LEFT: u64 = 1 << 14 | 1 << 18 | 1 << 28;

impl Ending<'_> {
    /// Returns the outcome for the cluster.
    pub fn outcome(&self) -> Outcome {
        if self.flags & CLIENT_LEFT != 0 {
            return Outcome::Ignored;
        }
        let name = self.details.split(|byte| *byte == b'{').next().unwrap_or_default();
        match name {
            b"via_upstream" => self.answered(),
            b"upstream_reset_before_response_started" if self.overflowed() => Outcome::Overload,
            b"upstream_reset_before_response_started"
            | b"upstream_reset_after_response_started"
            | b"no_healthy_upstream"
            | b"response_timeout"
            | b"upstream_per_try_timeout"
            | b"upstream_per_try_idle_timeout"
            | b"upstream_max_stream_duration_reached"
            | b"cluster_not_found" => Outcome::Failure,
            b"stream_idle_timeout" | b"request_overall_timeout" if self.status == 504 => Outcome::Failure,
            b"" => self.flagged(),
            _ => Outcome::Ignored,
        }
    }

    const fn answered(&self) -> Outcome {
        match Blame::of_status(self.status) {
            Some(blame) => Outcome::of(blame),
            None if self.status >= 600 => Outcome::Failure,
            None if self.status >= 300 => Outcome::Ignored,
            None => Outcome::Success,
        }
    }

    fn overflowed(&self) -> bool {
        self.flags & OVERFLOW != 0 || self.details.ends_with(b"{overflow}")
    }

    const fn flagged(&self) -> Outcome {
        match self.flags {
            flags if flags & OVERFLOW != 0 => Outcome::Overload,
            flags if flags & FAILED != 0 => Outcome::Failure,
            _ => Outcome::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome(status: u16, details: &str, flags: u64) -> Outcome {
        Ending { status, details: details.as_bytes(), flags }.outcome()
    }

    #[test]
    fn a_response_of_the_cluster_counts_by_its_status() {
        for status in [101, 200, 206] {
            assert_eq!(outcome(status, "via_upstream", 0), Outcome::Success, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 405, 408, 413, 422, 499, 501, 505] {
            assert_eq!(outcome(status, "via_upstream", 0), Outcome::Ignored, "{status}");
        }
        for status in [500, 502, 503, 504, 520, 599, 600, 999] {
            assert_eq!(outcome(status, "via_upstream", 0), Outcome::Failure, "{status}");
        }
        for status in [429, 529] {
            assert_eq!(outcome(status, "via_upstream", 0), Outcome::Overload, "{status}");
        }
        assert_eq!(outcome(503, "via_upstream", 0x8000), Outcome::Failure);
    }

    #[test]
    fn a_local_reply_of_envoy_counts_by_its_details() {
        let reset = "upstream_reset_before_response_started";
        for (status, details, flags) in [
            (503, format!("{reset}{{remote_connection_failure|delayed_connect_error:_111}}"), 0x20),
            (503, format!("{reset}{{connection_termination}}"), 0x40),
            (503, format!("{reset}{{remote_reset}}"), 0x10),
            (200, "upstream_reset_after_response_started{remote_reset}".to_owned(), 0x10),
            (503, "no_healthy_upstream".to_owned(), 0x2),
            (504, "response_timeout".to_owned(), 0x4),
            (504, "upstream_per_try_timeout".to_owned(), 0x4),
            (503, "cluster_not_found".to_owned(), 0x100_0000),
            (504, "stream_idle_timeout".to_owned(), 0x1_0000),
        ] {
            assert_eq!(outcome(status, &details, flags), Outcome::Failure, "{details}");
        }
        assert_eq!(outcome(503, &format!("{reset}{{overflow}}"), 0x80), Outcome::Overload);
    }

    #[test]
    fn a_client_that_left_and_a_refusal_of_our_own_say_nothing() {
        for (status, details, flags) in [
            (0, "downstream_remote_disconnect", 0x4000),
            (200, "via_upstream", 0x4000),
            (200, "via_upstream", 0x4_0000),
            (0, "", 0x1000_0000),
            (408, "stream_idle_timeout", 0x1_0000),
            (408, "request_overall_timeout", 0),
            (413, "request_payload_too_large", 0),
            (404, "route_not_found", 0x100),
            (200, "direct_response", 0),
            (429, "tidegate.rate_limit.per-client", 0),
            (503, "tidegate.degradation.default", 0),
            (503, "maintenance_mode", 0),
            (503, "via_upstream_or_so", 0),
        ] {
            assert_eq!(outcome(status, details, flags), Outcome::Ignored, "{details}");
        }
    }

    #[test]
    fn without_details_the_flags_decide() {
        for flags in [0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x8000, 0x8_0000, 0x80_0000, 0x100_0000] {
            assert_eq!(outcome(503, "", flags), Outcome::Failure, "{flags:#x}");
        }
        assert_eq!(outcome(503, "", 0x80 | 0x20), Outcome::Overload);
        assert_eq!(outcome(503, "", 0), Outcome::Ignored);
        assert_eq!(outcome(429, "", 0x800), Outcome::Ignored);
    }

    proptest! {
        #[test]
        fn a_client_that_left_says_nothing_whatever_the_details(status: u16, details: Vec<u8>, flags: u64) {
            let ending = Ending { status, details: &details, flags: flags | 0x4000 };
            prop_assert_eq!(ending.outcome(), Outcome::Ignored);
        }
    }
}
