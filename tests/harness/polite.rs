//! A client that does as the SDKs do with their defaults: it tries up to three times, says which attempt it makes, waits
//! as it is told and stops when it is told.

use crate::http::{Answer, Connection};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

const ATTEMPTS: u16 = 3;

/// Calls until it is answered well or has to stop; `request(n)` is the attempt n, from 0. Gives the last answer.
pub fn call(front: SocketAddr, request: impl Fn(u16) -> Vec<u8>) -> Answer {
    let mut attempt = 0;
    loop {
        let answer = Connection::open(front).exchange(&request(attempt)).expect("every request is answered");
        let is_retried = matches!(answer.status, 408 | 409 | 429 | 500..);
        attempt += 1;
        if !is_retried || answer.header("x-should-retry") == Some("false") || attempt == ATTEMPTS {
            return answer;
        }
        thread::sleep(Duration::from_millis(answer.number("retry-after-ms")));
    }
}
