//! The kind of an exchange: plain HTTP, a tunnel, whose bytes are not a body, or a gRPC call, whose outcome is in
//! `grpc-status` and whose messages may flow in both directions at any pace.
//!
//! A tunnel is opened by CONNECT (including HTTP/2's extended CONNECT, which Envoy shows as an upgrade) or by a GET
//! that asks for an upgrade (RFC 6455, section 4.1). A request of any other method has an ordinary body even with an
//! `upgrade` header, so that a client cannot hide its body from the filters by asking for an upgrade that the server
//! ignores.

use crate::headers::HeaderMap;

/// The kind of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// An HTTP request, with or without a body.
    #[default]
    Http,
    /// A gRPC call.
    Grpc,
    /// A tunnel.
    Tunnel,
}

impl Protocol {
    /// Determines the protocol from the request headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let upgrades = || headers.all(b"upgrade").any(|value| !value.trim_ascii().is_empty());
        match headers.method() {
            b"CONNECT" => Self::Tunnel,
            b"GET" if upgrades() => Self::Tunnel,
            b"POST" if headers.only(b"content-type").is_some_and(is_grpc) => Self::Grpc,
            _ => Self::Http,
        }
    }
}

/// Returns true if a media type is gRPC's by Envoy's definition: `application/grpc`, alone or followed by `+` and a
/// format.
pub fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// Returns the gRPC status for a filter's own response with this HTTP status.
///
/// Source: `google.rpc.Code`, the HTTP mapping documented for each code.
pub const fn grpc_status(status: u16) -> u8 {
    const CANCELLED: u8 = 1;
    const INVALID_ARGUMENT: u8 = 3;
    const DEADLINE_EXCEEDED: u8 = 4;
    const NOT_FOUND: u8 = 5;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    const UNAUTHENTICATED: u8 = 16;
    match status {
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => NOT_FOUND,
        408 | 504 => DEADLINE_EXCEEDED,
        429 => RESOURCE_EXHAUSTED,
        499 => CANCELLED,
        400..=498 => INVALID_ARGUMENT,
        500 => INTERNAL,
        _ => UNAVAILABLE,
    }
}

/// Returns the HTTP status that corresponds to a `grpc-status` value, for judging the outcome of a call, whose actual
/// HTTP status is always 200. Returns 200 if the value is not a code.
///
/// Source: `google/rpc/code.proto`, which gives each code its HTTP mapping.
pub fn http_status(grpc_status: &[u8]) -> u16 {
    match grpc_status {
        b"1" => 499,
        b"2" | b"13" | b"15" => 500,
        b"3" | b"9" | b"11" => 400,
        b"4" => 504,
        b"5" => 404,
        b"6" | b"10" => 409,
        b"7" => 403,
        b"8" => 429,
        b"12" => 501,
        b"14" => 503,
        b"16" => 401,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_policy::health::outcome::{Ending, Outcome};

    fn of(headers: &[(&str, &str)]) -> Protocol {
        Protocol::of(&headers.iter().copied().collect())
    }

    #[test]
    fn connect_and_get_with_upgrade_are_tunnels() {
        assert_eq!(of(&[(":method", "CONNECT"), (":protocol", "websocket")]), Protocol::Tunnel);
        assert_eq!(of(&[(":method", "GET"), ("upgrade", "websocket")]), Protocol::Tunnel);
        assert_eq!(of(&[(":method", "POST"), ("upgrade", "websocket")]), Protocol::Http);
        assert_eq!(of(&[(":method", "GET"), ("upgrade", " ")]), Protocol::Http);
        assert_eq!(of(&[]), Protocol::Http);
    }

    #[test]
    fn a_refusal_has_the_code_that_grpc_callers_act_on() {
        for (status, code) in [
            (400, 3),
            (401, 16),
            (403, 7),
            (404, 5),
            (408, 4),
            (413, 3),
            (415, 3),
            (429, 8),
            (431, 3),
            (499, 1),
            (500, 13),
            (503, 14),
            (504, 4),
            (200, 14),
        ] {
            assert_eq!(grpc_status(status), code, "{status}");
        }
    }

    #[test]
    fn grpc_is_known_by_its_media_type() {
        let typed = |media| of(&[(":method", "POST"), ("content-type", media)]);
        for media in ["application/grpc", "application/grpc+proto", "application/grpc+json"] {
            assert_eq!(typed(media), Protocol::Grpc, "{media}");
        }
        for media in ["application/grpc-web", "application/grpcx", "application/json", ""] {
            assert_eq!(typed(media), Protocol::Http, "{media}");
        }
    }

    #[test]
    fn grpc_codes_have_the_outcome_of_their_http_status() {
        let of = |code: u8| {
            let status = http_status(code.to_string().as_bytes());
            Ending { status, details: b"via_upstream", flags: 0 }.outcome()
        };
        assert_eq!(of(0), Outcome::Success);
        for code in [2, 4, 13, 14, 15] {
            assert_eq!(of(code), Outcome::Failure, "{code}");
        }
        assert_eq!(of(8), Outcome::Overload);
        for code in [1, 3, 5, 6, 7, 9, 10, 11, 12, 16] {
            assert_eq!(of(code), Outcome::Ignored, "{code}");
        }
        assert_eq!([http_status(b""), http_status(b"00"), http_status(b"99")], [200; 3]);
    }
}
