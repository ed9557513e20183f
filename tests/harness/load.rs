//! Many connections that race: each sends its requests as fast as they are answered, and counts what it gets.
//! None is pipelined: Envoy closes a connection on which several pipelined requests get its own answers.

use crate::http::Connection;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many answers had which status.
pub type Counts = BTreeMap<u16, usize>;

/// Sends `requests` requests over `connections` connections; `request(n)` is the nth.
pub fn race(
    front: SocketAddr,
    connections: usize,
    requests: usize,
    request: impl Fn(usize) -> Vec<u8> + Sync,
) -> Counts {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < requests);
    drive(front, connections, take, &request)
}

/// Sends over `connections` connections while `go()` holds.
pub fn flood(
    front: SocketAddr,
    connections: usize,
    go: impl Fn() -> bool + Sync,
    request: impl Fn(usize) -> Vec<u8> + Sync,
) -> Counts {
    let next = AtomicUsize::new(0);
    drive(front, connections, || go().then(|| next.fetch_add(1, Ordering::Relaxed)), &request)
}

fn drive(
    front: SocketAddr,
    connections: usize,
    take: impl Fn() -> Option<usize> + Sync,
    request: &(impl Fn(usize) -> Vec<u8> + Sync),
) -> Counts {
    let one = || {
        let mut counts = Counts::new();
        let mut connection = Connection::open(front);
        while let Some(number) = take() {
            let answer = connection.exchange(&request(number)).expect("every request is answered");
            *counts.entry(answer.status).or_default() += 1;
        }
        counts
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        let mut all = Counts::new();
        for thread in threads {
            for (status, count) in thread.join().expect("no client panics") {
                *all.entry(status).or_default() += count;
            }
        }
        all
    })
}
