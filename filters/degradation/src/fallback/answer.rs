//! The responses sent in place of the cluster's: a cached one, a default one, or an error that says when to retry.

use crate::asked::Asked;
use crate::config::Fallback;
use crate::fallback::cache::Found;
use tidegate_host::reply::{ErrorObject, Reply};
use tidegate_policy::answer_cache::entry::Kind;
use tidegate_policy::retry_hint::Hint;
use tidegate_policy::timestamp::SECOND;

/// The header that names the degradation of a response.
pub const DEGRADED: &str = "x-tidegate-degraded";

/// The reason why the cluster's own response is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The breaker is open.
    Open,
    /// The cluster failed.
    Failed,
    /// The response had no content in time.
    TimedOut,
    /// The tier is on.
    Tier,
    /// The request's path is refused while requests are reduced.
    Path,
}

impl Why {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "breaker",
            Self::Failed => "failure",
            Self::TimedOut => "timeout",
            Self::Tier => "default",
            Self::Path => "refused_path",
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Open | Self::Failed => "cluster_unavailable",
            Self::TimedOut => "inference_timeout",
            Self::Tier => "cluster_degraded",
            Self::Path => "path_unavailable",
        }
    }
}

/// Returns a cached response.
pub fn kept(found: Found) -> Reply {
    let content_type = match found.kind {
        Kind::Json => "application/json",
        Kind::Sse => "text/event-stream",
    };
    let age = found.age / SECOND;
    ordinary(content_type, found.body, "tidegate.degradation.cached")
        .with("age", age.to_string())
        .with(DEGRADED, format!("cached;age={age}"))
}

/// Returns the response to a request that accepts only a cached response, if there is none.
pub fn none_is_kept() -> Reply {
    let error = ErrorObject {
        message: "There is no kept answer to this request, and its cache-control (only-if-cached) asks for no other.",
        kind: "invalid_request_error",
        code: "not_cached",
        param: None,
    };
    Reply::error(504, error, "tidegate.degradation.only_if_cached".to_owned()).never_retry()
}

/// Returns a default response of status 200; `None` if an error is configured or no other response is possible.
pub fn ordinary_default(default: &Fallback, asked: &Asked, why: Why, random: u64) -> Option<Reply> {
    if default.status != Some(200) || why == Why::Path {
        return None;
    }
    let body = super::default::body(asked, &default.message, random)?;
    let content_type = if asked.stream { "text/event-stream" } else { "application/json" };
    let reply = ordinary(content_type, body, &format!("tidegate.degradation.{}", why.name()));
    Some(reply.with(DEGRADED, "default".to_owned()))
}

/// Returns an error that says when to retry.
pub fn error(default: &Fallback, why: Why, hint: Hint) -> Reply {
    let usual = if why == Why::TimedOut { 504 } else { 503 };
    let status = default.status.filter(|status| *status != 200).unwrap_or(usual);
    let message = match why {
        Why::Path => "This is not available while the cluster is busy. Please try again later.",
        _ => &default.message,
    };
    let error = ErrorObject { message, kind: "server_error", code: why.code(), param: None };
    let reply = Reply::error(status, error, format!("tidegate.degradation.{}", why.name()));
    reply
        .retry_after(hint)
        .with(DEGRADED, if why == Why::Path { "reduce;refused" } else { "default" }.to_owned())
}

fn ordinary(content_type: &str, body: Vec<u8>, details: &str) -> Reply {
    let headers = vec![("content-type", content_type.to_owned())];
    Reply { status: 200, headers, body, message: String::new(), details: details.to_owned() }
}
