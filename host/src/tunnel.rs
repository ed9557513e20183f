//! The state of a tunnel that a request asked for. Until the server has opened it, it is a request and its response; from then on
//! the bytes belong to no body. Bytes that the client sends before are shown to no filter: the proxy keeps them back.

use crate::headers::HeaderMap;
use crate::protocol::Protocol;

/// How far a tunnel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnel {
    /// The request asks for no tunnel.
    #[default]
    None,
    /// An upgrade was asked for, which 101 grants.
    Upgrade,
    /// CONNECT was, which any 2xx grants.
    Connect,
    /// The server has opened the tunnel, and bytes flow.
    Open,
}

impl Tunnel {
    /// What a request with these headers asks for.
    pub fn of(request: &HeaderMap) -> Self {
        match (Protocol::of(request), request.method()) {
            (Protocol::Tunnel, b"CONNECT") => Self::Connect,
            (Protocol::Tunnel, _) => Self::Upgrade,
            (Protocol::Http | Protocol::Grpc, _) => Self::None,
        }
    }

    /// What a response with these headers makes of it.
    #[must_use]
    pub fn answered(self, response: &HeaderMap) -> Self {
        let status = response.only(b":status").unwrap_or_default();
        match self {
            Self::Upgrade if status == b"101" => Self::Open,
            Self::Connect if status.starts_with(b"2") => Self::Open,
            Self::Upgrade | Self::Connect | Self::Open | Self::None => self,
        }
    }

    /// Whether one was asked for.
    pub fn is_any(self) -> bool {
        self != Self::None
    }

    /// Whether the server has opened it.
    pub fn is_open(self) -> bool {
        self == Self::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(request: &[(&str, &str)], status: &str) -> bool {
        let tunnel = Tunnel::of(&request.iter().copied().collect());
        tunnel.answered(&[(":status", status)].into_iter().collect()).is_open()
    }

    #[test]
    fn a_tunnel_is_open_when_the_server_has_granted_what_was_asked_for() {
        let (upgrade, connect) = ([(":method", "GET"), ("upgrade", "websocket")], [(":method", "CONNECT")]);
        assert!(open(&upgrade, "101") && !open(&upgrade, "200") && !open(&upgrade, "503"));
        assert!(open(&connect, "200") && !open(&connect, "101") && !open(&connect, "407"));
        assert!(
            !open(&[(":method", "GET")], "101") && !open(&[(":method", "POST"), ("upgrade", "x")], "101")
        );
    }
}
