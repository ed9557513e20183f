//! The state of a requested tunnel. Until the server opens it, it is a request and its response; from then on its
//! bytes belong to no body. The proxy withholds bytes that the client sends earlier, so no filter sees them.

use crate::headers::HeaderMap;
use crate::protocol::Protocol;

/// The state of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnel {
    /// The request asks for no tunnel.
    #[default]
    None,
    /// An upgrade was requested; 101 grants it.
    Upgrade,
    /// CONNECT was requested; any 2xx grants it.
    Connect,
    /// The server has opened the tunnel, and bytes flow.
    Open,
}

impl Tunnel {
    /// Determines the tunnel that a request with these headers asks for.
    pub fn of(request: &HeaderMap) -> Self {
        match (Protocol::of(request), request.method()) {
            (Protocol::Tunnel, b"CONNECT") => Self::Connect,
            (Protocol::Tunnel, _) => Self::Upgrade,
            (Protocol::Http | Protocol::Grpc, _) => Self::None,
        }
    }

    /// Returns the state after a response with these headers.
    #[must_use]
    pub fn answered(self, response: &HeaderMap) -> Self {
        let status = response.only(b":status").unwrap_or_default();
        match self {
            Self::Upgrade if status == b"101" => Self::Open,
            Self::Connect if status.starts_with(b"2") => Self::Open,
            Self::Upgrade | Self::Connect | Self::Open | Self::None => self,
        }
    }

    /// Returns true if a tunnel was requested.
    pub fn is_any(self) -> bool {
        self != Self::None
    }

    /// Returns true if the server has opened the tunnel.
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
    fn a_tunnel_opens_when_the_server_grants_the_requested_kind() {
        let (upgrade, connect) = ([(":method", "GET"), ("upgrade", "websocket")], [(":method", "CONNECT")]);
        assert!(open(&upgrade, "101") && !open(&upgrade, "200") && !open(&upgrade, "503"));
        assert!(open(&connect, "200") && !open(&connect, "101") && !open(&connect, "407"));
        assert!(
            !open(&[(":method", "GET")], "101") && !open(&[(":method", "POST"), ("upgrade", "x")], "101")
        );
    }
}
