//! Responses that the filters send themselves: an error in the format of the requested API (by default OpenAI's) or,
//! for gRPC, a status with a message, each stating whether and when to retry ([`RetryAfter`]).

use crate::protocol::Protocol;
use crate::retry_after::{RetryAfter, SHOULD_RETRY};
use serde::Serialize;
use std::borrow::Cow;
use tidegate_policy::api::Dialect;

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// Body, JSON.
    pub body: Vec<u8>,
    /// Plain-text message, all that a gRPC status has room for; empty if the response is not an error.
    pub message: String,
    /// Response details in the proxy's access log, `tidegate.<module>.<rule>`.
    pub details: String,
}

/// The OpenAI error object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorObject<'a> {
    /// Message for humans.
    pub message: &'a str,
    /// Error class, such as `rate_limit_error`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Request field at fault, if there is one.
    pub param: Option<&'a str>,
    /// Error code, such as `rate_limit_exceeded`.
    pub code: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    error: ErrorObject<'a>,
}

/// Source: the API reference of Anthropic, "Errors".
#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    error: AnthropicError<'a>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

/// Source: the API reference of Ollama, "Errors".
#[derive(Serialize)]
struct OllamaBody<'a> {
    error: &'a str,
}

/// Returns Anthropic's error type for an HTTP status.
const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

impl Reply {
    /// Returns an error response.
    pub fn error(status: u16, error: ErrorObject<'_>, details: String) -> Self {
        let body = serde_json::to_vec(&Body { error }).unwrap_or_default();
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body, message: error.message.to_owned(), details }
    }

    /// Returns the response as sent to a client of this protocol and API dialect.
    pub fn for_asker(&self, protocol: Protocol, dialect: Dialect) -> Cow<'_, Self> {
        match (protocol, dialect) {
            (Protocol::Grpc, _) => Cow::Owned(self.for_grpc()),
            (_, Dialect::OpenAi) => Cow::Borrowed(self),
            _ if self.message.is_empty() => Cow::Borrowed(self),
            (_, Dialect::Anthropic) => {
                let error = AnthropicError { kind: anthropic_type(self.status), message: &self.message };
                self.saying(&AnthropicBody { kind: "error", error })
            }
            (_, Dialect::Ollama) => self.saying(&OllamaBody { error: &self.message }),
        }
    }

    fn saying(&self, body: &impl Serialize) -> Cow<'_, Self> {
        Cow::Owned(Self { body: serde_json::to_vec(body).unwrap_or_default(), ..self.clone() })
    }

    /// Returns the response for a gRPC call. The proxy turns it into a status, whose `grpc-message` is the body. The
    /// wait is repeated in the header that gRPC's own retries obey.
    ///
    /// Source: gRFC A6, "Pushback".
    #[must_use]
    pub fn for_grpc(&self) -> Self {
        let told = |wanted: &str| {
            self.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
        };
        let stops = told("x-should-retry").is_some_and(|value| value == "false");
        let pushback = if stops { Some("-1".to_owned()) } else { told("retry-after-ms") };
        let headers = self.headers.iter().filter(|(name, _)| *name != "content-type").cloned();
        let headers = headers.chain(pushback.map(|wait| ("grpc-retry-pushback-ms", wait))).collect();
        Self { headers, body: self.message.clone().into_bytes(), ..self.clone() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns true if the response invites a retry: it names a wait and does not forbid a retry.
    pub fn invites(&self) -> bool {
        let says = |wanted: &str| self.headers.iter().any(|(name, _)| *name == wanted);
        says("retry-after-ms") && !says("x-should-retry")
    }

    /// Adds the headers that say when to retry, or that retrying does not help.
    #[must_use]
    pub fn retry_after(self, after: impl Into<RetryAfter>) -> Self {
        after.into().headers().fold(self, |reply, (name, value)| reply.with(name, value))
    }

    /// Adds the headers that say that retrying never helps.
    #[must_use]
    pub fn never_retry(self) -> Self {
        self.with(SHOULD_RETRY, "false".to_owned())
    }
}

/// Formats a time as in the `x-ratelimit-reset-*` headers, rounded up to a millisecond: `120ms`, `1.5s`, `6m0s`,
/// `1h0m0s`.
pub fn reset_time(nanos: u64) -> String {
    let millis = nanos.div_ceil(1_000_000);
    let part = |unit: u64, of: u64| millis.checked_div(unit).and_then(|n| n.checked_rem(of)).unwrap_or(0);
    let (hours, minutes, seconds, rest) =
        (part(3_600_000, u64::MAX), part(60_000, 60), part(1_000, 60), part(1, 1_000));
    let seconds = match rest {
        0 => format!("{seconds}s"),
        _ if millis < 1_000 => format!("{rest}ms"),
        _ => format!("{seconds}.{rest:03}").trim_end_matches('0').to_owned() + "s",
    };
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn error() -> Reply {
        let object = ErrorObject { message: "a \"b\"", kind: "t", code: "c", param: None };
        Reply::error(429, object, "tidegate.test".to_owned())
    }

    fn header(reply: &Reply, name: &str) -> Option<String> {
        reply.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn an_error_has_the_shape_that_the_sdks_read() {
        let body: serde_json::Value = serde_json::from_slice(&error().body).unwrap();
        assert_eq!(body["error"]["message"], "a \"b\"");
        assert!(body["error"]["param"].is_null());
    }

    #[test]
    fn an_error_has_the_format_of_the_requested_api() {
        let body = |status, dialect| -> serde_json::Value {
            let reply = Reply { status, ..error() };
            serde_json::from_slice(&reply.for_asker(Protocol::Http, dialect).body).unwrap()
        };
        for (status, kind) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (408, "timeout_error"),
            (413, "request_too_large"),
            (415, "invalid_request_error"),
            (429, "rate_limit_error"),
            (431, "invalid_request_error"),
            (500, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            let error = serde_json::json!({ "type": kind, "message": "a \"b\"" });
            let anthropic = body(status, Dialect::Anthropic);
            assert_eq!(anthropic, serde_json::json!({ "type": "error", "error": error }), "{status}");
        }
        assert_eq!(body(429, Dialect::Ollama), serde_json::json!({ "error": "a \"b\"" }));
        assert_eq!(body(429, Dialect::OpenAi)["error"]["code"], "c");
        assert_eq!(error().for_asker(Protocol::Grpc, Dialect::Anthropic).body, b"a \"b\"");
        let answer = Reply { message: String::new(), body: b"kept".to_vec(), ..error() };
        assert_eq!(answer.for_asker(Protocol::Http, Dialect::Anthropic).body, b"kept");
    }

    #[test]
    fn grpc_gets_the_message_alone_and_the_wait_as_pushback() {
        let reply = error().retry_after(Duration::from_secs(2));
        let grpc = reply.for_grpc();
        assert_eq!(grpc.body, b"a \"b\"");
        assert_eq!(header(&grpc, "content-type"), None);
        assert_eq!(header(&grpc, "retry-after-ms").as_deref(), Some("2000"));
        assert_eq!(header(&grpc, "grpc-retry-pushback-ms").as_deref(), Some("2000"));
        let never = error().never_retry().for_grpc();
        assert_eq!(header(&never, "grpc-retry-pushback-ms").as_deref(), Some("-1"));
        assert_eq!(header(&error().for_grpc(), "grpc-retry-pushback-ms"), None);
    }

    #[test]
    fn reset_times_are_written_as_openai_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (8_640, "8.64s"),
            (59_999, "59.999s"),
            (360_000, "6m0s"),
            (3_600_000, "1h0m0s"),
            (90_061_007, "25h1m1.007s"),
        ] {
            assert_eq!(reset_time(millis * 1_000_000), text);
        }
        assert_eq!(reset_time(1), "1ms");
        assert!(reset_time(u64::MAX).ends_with('s'));
    }
}
