//! The cost of one request, or one connection, in host calls, counted while the filter runs on the fake proxy; and
//! the number of the same at one instant that it admits, if it refuses any of the first thousands.

use core::net::{IpAddr, Ipv4Addr};
use tidegate_host::connection::{Connection, Fate, Guard};
use tidegate_host::exchange::{Filter, Flow, Stream};
use tidegate_host::fake::FakeProxy;

const MOST: u32 = 10_000;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const START: u64 = 1_000_000_000_000;

const HEADERS: [(&str, &str); 6] = [
    (":method", "POST"),
    (":path", "/v1/chat/completions"),
    (":authority", "model.example"),
    ("authorization", "Bearer sk-example"),
    ("content-type", "application/json"),
    ("content-length", "60"),
];
const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"Hello."}]}"#;
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: model.example\r\n\r\n";

/// The counts of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Host calls of each step with a cost of its own, such as `a request`.
    pub admitted: Vec<(&'static str, Calls)>,
    /// Number of requests admitted at one instant before the first refusal, and the host calls of that refusal.
    pub refused: Option<(u32, Calls)>,
}

/// Numbers of host calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// All host calls.
    pub all: u32,
    /// Host calls that read shared data.
    pub reads: u32,
    /// Host calls that write shared data.
    pub writes: u32,
}

/// Runs requests with an API key and one chunk of body through `filter`.
pub fn requests<F: Filter>(filter: &F) -> Trial {
    let proxy = proxy(filter);
    let mut first = Calls::default();
    let refused = (0..MOST).find_map(|place| {
        let (calls, admitted) = counted(&proxy, || request(filter, &proxy));
        if place == 0 {
            first = calls;
        }
        (!admitted).then_some((place, calls))
    });
    let what = "a request with a key and one chunk of body";
    let admitted = if matches!(refused, Some((0, _))) { Vec::new() } else { vec![(what, first)] };
    Trial { admitted, refused }
}

/// Runs connections from one address through `guard`.
pub fn connections<G: Guard>(guard: &G) -> Trial {
    let proxy = proxy(guard);
    let link = proxy.link();
    let mut connection = guard.connection();
    let (open, _) = counted(&proxy, || connection.on_open(&link));
    link.buffer.borrow_mut().extend_from_slice(HEAD);
    let (head, _) = counted(&proxy, || connection.on_data(&link, HEAD.len()));
    let (close, ()) = counted(&proxy, || connection.on_close(&link));
    let admitted = vec![("a connection's opening", open), ("a request", head), ("a connection's end", close)];
    let mut kept = Vec::new();
    let proxy = self::proxy(guard);
    let refused = (0..MOST).find_map(|place| {
        let mut connection = guard.connection();
        let (calls, fate) = counted(&proxy, || {
            let fate = connection.on_open(&proxy.link());
            if fate == Fate::Close {
                proxy.calls.make();
            }
            fate
        });
        kept.push(connection);
        (fate == Fate::Close).then_some((place, calls))
    });
    Trial { admitted, refused }
}

fn proxy<P: tidegate_host::plugin::Plugin>(plugin: &P) -> FakeProxy {
    let mut proxy = FakeProxy::running(plugin);
    proxy.peer = Some(PEER);
    proxy.advance(START);
    proxy
}

/// Runs one request. Returns true if it was admitted.
fn request<F: Filter>(filter: &F, proxy: &FakeProxy) -> bool {
    let mut exchange = proxy.exchange(&HEADERS);
    let mut stream = filter.stream();
    exchange.request_goes_on.set(true);
    let mut flow = stream.on_request_headers(&exchange);
    if !matches!(flow, Flow::Reply(_)) {
        proxy.calls.begin();
        flow = exchange.receive(filter, &mut stream, BODY, true);
    }
    let admitted = !matches!(flow, Flow::Reply(_));
    proxy.calls.begin();
    if admitted {
        exchange.respond(&[(":status", "200"), ("content-type", "application/json")]);
        exchange.response_goes_on.set(true);
        stream.on_response_headers(&exchange);
        proxy.calls.begin();
    } else {
        proxy.calls.make();
    }
    stream.on_gone(&exchange);
    admitted
}

fn counted<T>(proxy: &FakeProxy, run: impl FnOnce() -> T) -> (Calls, T) {
    let count = || (proxy.calls.made(), proxy.store.loads(), proxy.store.swaps());
    proxy.calls.begin();
    let before = count();
    let result = run();
    let after = count();
    let (made, reads, writes) = (
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
        after.2.saturating_sub(before.2),
    );
    (Calls { all: made.saturating_add(reads).saturating_add(writes), reads, writes }, result)
}
