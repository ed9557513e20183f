//! A call out of the proxy, to one of its clusters, made by a [`Task`](crate::task::Task) and answered to it.
//!
//! Three limits are there because a proxy does harm without them. A call has a deadline, which is never 0, since that one is
//! sent as 0 and ends the call at once. A plugin has at most [`MAX_IN_FLIGHT`] calls at a time on one worker: thousands in
//! flight at an upstream that hangs end all at once, and trap the VM. An answer is at most [`MAX_ANSWER`] bytes long.

use crate::headers::HeaderMap;
use tidegate_policy::timestamp::MILLISECOND;
use tidegate_policy::timestamp::Timestamp;

/// How many calls of one plugin may be in flight on one worker.
pub const MAX_IN_FLIGHT: usize = 16;

/// How many bytes of an answer are taken out of the proxy.
pub const MAX_ANSWER: usize = 1 << 20;

/// How many nanoseconds after its deadline a call counts as never answered.
pub const GRACE: u64 = 1_000_000_000;

/// One call of one plugin on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

/// How long a call may take: 1 ms to 60 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u32);

impl Deadline {
    const LONGEST: u64 = 60_000;

    /// So many nanoseconds, rounded up to a millisecond; `None` outside of the range.
    pub const fn new(nanos: u64) -> Option<Self> {
        let millis = nanos.div_ceil(MILLISECOND);
        if millis == 0 || millis > Self::LONGEST {
            return None;
        }
        let [a, b, c, d, ..] = millis.to_le_bytes();
        Some(Self(u32::from_le_bytes([a, b, c, d])))
    }

    /// In milliseconds, never 0.
    pub const fn millis(self) -> u32 {
        self.0
    }

    /// When a call that is made at `now` counts as never answered.
    pub fn gives_up_at(self, now: Timestamp) -> Timestamp {
        now.plus(u64::from(self.0).saturating_mul(MILLISECOND)).plus(GRACE)
    }
}

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// By HTTP.
    Http(HttpCall<'a>),
    /// By gRPC, one message for one.
    Grpc(GrpcCall<'a>),
}

/// An HTTP request to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpCall<'a> {
    /// The cluster's name, as the proxy knows it.
    pub cluster: &'a str,
    /// `GET`, `POST`.
    pub method: &'a str,
    /// The `:authority`.
    pub authority: &'a str,
    /// The path, with its query.
    pub path: &'a str,
    /// Other headers, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// Empty for none.
    pub body: &'a [u8],
    /// How long it may take.
    pub deadline: Deadline,
}

/// A gRPC request to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcCall<'a> {
    /// Where it goes.
    pub upstream: &'a GrpcUpstream,
    /// Such as `envoy.service.ratelimit.v3.RateLimitService`.
    pub service: &'a str,
    /// Such as `ShouldRateLimit`.
    pub method: &'a str,
    /// The message, serialised, without a frame.
    pub message: &'a [u8],
    /// How long it may take.
    pub deadline: Deadline,
}

impl Call<'_> {
    /// How long it may take.
    pub const fn deadline(&self) -> Deadline {
        match self {
            Self::Http(call) => call.deadline,
            Self::Grpc(call) => call.deadline,
        }
    }

    /// Whether it can be sent: no text of it that becomes a header has a control character, which could end that header.
    pub fn is_well_formed(&self) -> bool {
        let is_plain = |text: &str| !text.contains(char::is_control);
        match self {
            Self::Http(call) => {
                let fields = call.headers.iter().flat_map(|(name, value)| [*name, *value]);
                [call.method, call.authority, call.path].into_iter().chain(fields).all(is_plain)
            }
            Self::Grpc(call) => [call.service, call.method].into_iter().all(is_plain),
        }
    }
}

/// A cluster that speaks gRPC, and the `:authority` that it is called by.
///
/// An authority of its own matters where the cluster's name is none: Istio's contain `|`, and servers that are written
/// in Rust reset such a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcUpstream(String);

impl GrpcUpstream {
    /// The longest cluster's name, and the longest authority, in bytes.
    pub const LONGEST: usize = 125;

    /// `cluster` as the proxy knows it; without an authority, its name is the authority. `None` for a name that is empty,
    /// that has a control character, or that is longer than [`LONGEST`](Self::LONGEST).
    pub fn new(cluster: &str, authority: Option<&str>) -> Option<Self> {
        if [Some(cluster), authority].into_iter().flatten().any(|name| name.contains(char::is_control)) {
            return None;
        }
        let cluster = service(CLUSTER_NAME, cluster)?;
        let authority = authority.map_or(Some(String::new()), |authority| service(AUTHORITY, authority))?;
        Some(Self(cluster + &authority))
    }

    /// As the proxy is told: a serialised `GrpcService`. The names alone would do for most clusters, but one that happens to be
    /// a serialised message would be read as one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Field 1 of `EnvoyGrpc`.
const CLUSTER_NAME: u8 = 0x0a;

/// Field 2 of `EnvoyGrpc`.
const AUTHORITY: u8 = 0x12;

/// Field 1 of `GrpcService`, an `EnvoyGrpc`.
const ENVOY_GRPC: u8 = 0x0a;

/// A `GrpcService` with one field of its `EnvoyGrpc`. Two of them side by side are one with both: protobuf merges
/// messages that are repeated. So every length takes one byte below 128, and the whole is UTF-8, as the SDK wants it.
fn service(field: u8, text: &str) -> Option<String> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
    let outer = length.checked_add(2).filter(|outer| outer.is_ascii())?;
    let head = [ENVOY_GRPC, outer, field, length];
    Some(head.into_iter().map(char::from).chain(text.chars()).collect())
}

/// A call that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many as may be are in flight.
    Full,
    /// A text of it has a control character.
    Malformed,
    /// The proxy would not: it has no such cluster, the cluster has no endpoint, or its circuit breaker is open.
    Unreachable,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response: the upstream's, or the proxy's own: 504 once the deadline has passed, 503 if nobody could be
    /// reached.
    Http(HttpResponse),
    /// The message of a gRPC upstream, serialised, without a frame.
    Grpc(Vec<u8>),
    /// A gRPC status that is not OK: the upstream's, or the proxy's own, which is `UNAVAILABLE` (14) once the deadline has
    /// passed and if nobody could be reached.
    GrpcStatus(u32),
    /// The upstream ended an HTTP response before it was whole.
    Reset,
    /// It was longer than [`MAX_ANSWER`].
    TooLong,
    /// The proxy has said nothing for [`GRACE`] beyond the deadline. What it may yet say is dropped.
    Silence,
}

/// An HTTP response, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// 0 if it is none.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// The calls of one plugin on one worker, by what the proxy calls them.
#[derive(Debug)]
pub struct InFlight<K> {
    calls: Vec<(K, CallId, Timestamp)>,
    next: u64,
}

impl<K> Default for InFlight<K> {
    fn default() -> Self {
        Self { calls: Vec::new(), next: 0 }
    }
}

impl<K: PartialEq> InFlight<K> {
    /// Whether one more may be made.
    pub const fn has_room(&self) -> bool {
        self.calls.len() < MAX_IN_FLIGHT
    }

    /// One was made, which counts as never answered at `gives_up_at`.
    pub fn add(&mut self, key: K, gives_up_at: Timestamp) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        self.calls.push((key, id, gives_up_at));
        id
    }

    /// One was answered; `None` if it is not in flight, or no more.
    pub fn take(&mut self, key: &K) -> Option<CallId> {
        self.remove(|(found, ..)| found == key)
    }

    /// One that counts as never answered, if there is one.
    pub fn take_silent(&mut self, now: Timestamp) -> Option<CallId> {
        self.remove(|(_, _, gives_up_at)| *gives_up_at <= now)
    }

    fn remove(&mut self, which: impl FnMut(&(K, CallId, Timestamp)) -> bool) -> Option<CallId> {
        let place = self.calls.iter().position(which)?;
        Some(self.calls.swap_remove(place).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_nanos(7);

    #[test]
    fn a_deadline_is_never_0_and_never_earlier_than_asked_for() {
        assert_eq!([0, 60_000_000_001, u64::MAX].map(Deadline::new), [None; 3]);
        let millis = |nanos| Deadline::new(nanos).map(Deadline::millis);
        assert_eq!([1, 1_000_000, 1_000_001].map(millis), [Some(1), Some(1), Some(2)]);
        assert_eq!(millis(60_000_000_000), Some(60_000));
    }

    #[test]
    fn an_upstream_is_a_grpc_service_with_a_cluster_and_an_authority() {
        let upstream = GrpcUpstream::new("a|b", Some("rls")).expect("short names");
        assert_eq!(upstream.as_str().as_bytes(), b"\x0a\x05\x0a\x03a|b\x0a\x05\x12\x03rls");
        let upstream = GrpcUpstream::new("rls", None).expect("a short name");
        assert_eq!(upstream.as_str().as_bytes(), b"\x0a\x05\x0a\x03rls");
    }

    #[test]
    fn names_that_are_empty_too_long_or_no_names_name_no_upstream() {
        let (longest, longer) = ("x".repeat(125), "x".repeat(126));
        assert!(GrpcUpstream::new(&longest, Some(&longest)).is_some());
        let wrong = [
            ("", None),
            (&longer, None),
            ("a", Some("")),
            ("a", Some(longer.as_str())),
            ("a", Some("b\r\nc")),
        ];
        assert!(
            wrong.into_iter().all(|(cluster, authority)| GrpcUpstream::new(cluster, authority).is_none())
        );
    }

    #[test]
    fn a_call_whose_texts_could_end_a_header_is_malformed() {
        let deadline = Deadline::new(1).expect("in range");
        let call = HttpCall {
            cluster: "c",
            method: "GET",
            authority: "a",
            path: "/caf\u{e9}?a b",
            headers: &[("x-a", "b")],
            body: b"\r\n",
            deadline,
        };
        assert!(Call::Http(call).is_well_formed());
        for wrong in [
            HttpCall { path: "/ HTTP/1.1\r\nx-b: c", ..call },
            HttpCall { authority: "a\0", ..call },
            HttpCall { method: "GET\n", ..call },
            HttpCall { headers: &[("x-a", "b\r")], ..call },
            HttpCall { headers: &[("x\n", "b")], ..call },
        ] {
            assert!(!Call::Http(wrong).is_well_formed(), "{wrong:?}");
        }
        let upstream = GrpcUpstream::new("c", None).expect("a name");
        let call = GrpcCall { upstream: &upstream, service: "s", method: "m\n", message: b"\n", deadline };
        assert!(!Call::Grpc(call).is_well_formed());
        assert!(Call::Grpc(GrpcCall { method: "m", ..call }).is_well_formed());
    }

    #[test]
    fn sixteen_calls_fill_a_worker_and_an_answer_makes_room() {
        let mut calls = InFlight::default();
        for key in 0..MAX_IN_FLIGHT {
            assert!(calls.has_room());
            calls.add(key, NOW);
        }
        assert!(!calls.has_room());
        assert!(calls.take(&3).is_some() && calls.has_room());
    }

    #[test]
    fn an_answer_comes_once_and_one_that_nobody_waits_for_never() {
        let mut calls = InFlight::default();
        let (first, second) = (calls.add("a", NOW), calls.add("b", NOW));
        assert_ne!(first, second);
        assert_eq!([calls.take(&"b"), calls.take(&"b"), calls.take(&"c")], [Some(second), None, None]);
        assert_eq!([calls.take(&"a"), calls.take(&"a")], [Some(first), None]);
    }

    #[test]
    fn a_call_without_an_answer_is_given_up_and_its_late_answer_dropped() {
        let mut calls = InFlight::default();
        let deadline = Deadline::new(5_000_000).expect("in range");
        let id = calls.add("a", deadline.gives_up_at(NOW));
        let end = NOW.plus(5_000_000).plus(GRACE);
        assert_eq!(calls.take_silent(Timestamp::from_nanos(end.as_nanos() - 1)), None);
        assert_eq!(
            [calls.take_silent(end), calls.take_silent(end), calls.take(&"a")],
            [Some(id), None, None]
        );
    }

    proptest! {
        #[test]
        fn whatever_is_answered_when_no_call_ends_twice_and_none_is_lost(
            steps in proptest::collection::vec((0..40_u8, 0..3_u8), 0..200),
        ) {
            let mut calls = InFlight::default();
            let (mut made, mut ended) = (Vec::new(), Vec::new());
            for (key, step) in steps {
                match step {
                    0 if calls.has_room() => made.push(calls.add(key, Timestamp::from_nanos(u64::from(key)))),
                    0 => prop_assert_eq!(made.len(), ended.len().saturating_add(MAX_IN_FLIGHT)),
                    1 => ended.extend(calls.take(&key)),
                    _ => ended.extend(calls.take_silent(Timestamp::from_nanos(u64::from(key)))),
                }
            }
            while let Some(id) = calls.take_silent(Timestamp::from_nanos(u64::MAX)) {
                ended.push(id);
            }
            ended.sort();
            prop_assert_eq!(made, ended);
        }
    }
}
