//! The conditions of `x-envoy-retry-on` that Envoy can evaluate before a response has begun.

use tidegate_config::text::{Kind, Text};

/// One or more of them, with commas between.
pub(super) type RetryOn = Text<Conditions>;

/// The kind of a [`RetryOn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conditions {}

macro_rules! conditions {
    ($first:literal $(, $next:literal)*) => {
        const ALL: &[&str] = &[$first $(, $next)*];
        const LISTED: &str = concat!("are ", $first $(, ", ", $next)*, ", with commas between");
        const MATCHED: &str = concat!(r"^\s*(", $first $(, "|", $next)*, r")\s*(,\s*(", $first $(, "|", $next)*, r")\s*)*$");
    };
}

conditions!(
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "http3-post-connect-failure"
);

/// Returns each condition of a text, trimmed.
pub(super) fn conditions(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

impl Kind for Conditions {
    const ACCEPTED: &'static str = LISTED;
    const PATTERN: &'static str = MATCHED;
    const EXAMPLE: &'static str = "5xx,reset";

    fn is(text: &str) -> bool {
        conditions(text).all(|condition| ALL.contains(&condition))
    }

    fn found(text: &str) -> String {
        format!("{:?}", conditions(text).find(|condition| !ALL.contains(condition)).unwrap_or_default())
    }
}
