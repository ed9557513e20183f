//! What the end-to-end tests stand on: a real Envoy as a child process ([`envoy`]), what it is configured with
//! ([`bootstrap`], [`reference`]), clients that send any bytes and count what they get ([`http`], [`http2`], [`polite`],
//! [`load`]), an upstream that remembers what it saw ([`upstream`]), and one that speaks WebSocket ([`websocket`]).
//! Everything binds free ports on 127.0.0.1
//! and ends with its test.

pub mod bootstrap;
pub mod envoy;
pub mod http;
pub mod http2;
pub mod load;
pub mod polite;
pub mod reference;
pub mod upstream;
pub mod websocket;

use std::time::{Duration, Instant};

/// How long a test waits for what must come, on a machine that has much else to do. Nobody waits so long where it comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `ready` gives something, for at most `limit`; then fails with `what`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
