//! A call to one of the proxy's clusters, made by a [`Task`](crate::task::Task).
//!
//! Three limits protect the proxy. A call has a deadline of at least 1 ms, because a deadline of 0 ends the call at
//! once. A plugin has at most [`MAX_IN_FLIGHT`] pending calls on one worker, because thousands of calls to an
//! upstream that hangs all end at once and trap the VM. A response has at most [`MAX_ANSWER`] bytes.

use crate::headers::HeaderMap;
use tidegate_policy::timestamp::MILLISECOND;
use tidegate_policy::timestamp::Timestamp;

/// Maximum number of pending calls of one plugin on one worker.
pub const MAX_IN_FLIGHT: usize = 16;

/// Maximum size of a response body or message, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;

/// Time after its deadline at which a call is given up, in nanoseconds.
pub const GRACE: u64 = 1_000_000_000;

/// The id of a call, unique to its plugin and worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

/// The deadline of a call: 1 ms to 60 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u32);

impl Deadline {
    const LONGEST: u64 = 60_000;

    /// Returns a deadline of `nanos` nanoseconds, rounded up to a millisecond; `None` if it is out of range.
    pub const fn new(nanos: u64) -> Option<Self> {
        let millis = nanos.div_ceil(MILLISECOND);
        if millis == 0 || millis > Self::LONGEST {
            return None;
        }
        let [a, b, c, d, ..] = millis.to_le_bytes();
        Some(Self(u32::from_le_bytes([a, b, c, d])))
    }

    /// Returns the deadline in milliseconds, never 0.
    pub const fn millis(self) -> u32 {
        self.0
    }

    /// Returns the time at which a call made at `now` is given up.
    pub fn gives_up_at(self, now: Timestamp) -> Timestamp {
        now.plus(u64::from(self.0).saturating_mul(MILLISECOND)).plus(GRACE)
    }
}

/// A call to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// An HTTP request.
    Http(HttpCall<'a>),
    /// A unary gRPC call.
    Grpc(GrpcCall<'a>),
}

/// An HTTP request to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpCall<'a> {
    /// Name of the cluster in the proxy's configuration.
    pub cluster: &'a str,
    /// HTTP method, such as `GET` or `POST`.
    pub method: &'a str,
    /// Value of `:authority`.
    pub authority: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Other headers, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body; empty for none.
    pub body: &'a [u8],
    /// Deadline of the call.
    pub deadline: Deadline,
}

/// A gRPC request to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcCall<'a> {
    /// Target of the call.
    pub upstream: &'a GrpcUpstream,
    /// Service name, such as `envoy.service.ratelimit.v3.RateLimitService`.
    pub service: &'a str,
    /// Method name, such as `ShouldRateLimit`.
    pub method: &'a str,
    /// Serialised message, without a frame.
    pub message: &'a [u8],
    /// Deadline of the call.
    pub deadline: Deadline,
}

impl Call<'_> {
    /// Returns the deadline of the call.
    pub const fn deadline(&self) -> Deadline {
        match self {
            Self::Http(call) => call.deadline,
            Self::Grpc(call) => call.deadline,
        }
    }

    /// Returns true if none of the texts that become headers contains a control character, which could end the
    /// header.
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

/// A cluster that speaks gRPC, and the `:authority` by which to call it.
///
/// A separate authority is needed where the cluster's name is not a valid one: Istio's cluster names contain `|`, and
/// gRPC servers written in Rust reset such a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcUpstream(String);

impl GrpcUpstream {
    /// Maximum length of the cluster's name and of the authority, in bytes.
    pub const LONGEST: usize = 125;

    /// Creates an upstream from the cluster's name in the proxy's configuration. Without an authority, the name is
    /// the authority. Returns `None` for a name that is empty, contains a control character, or is longer than
    /// [`LONGEST`](Self::LONGEST).
    pub fn new(cluster: &str, authority: Option<&str>) -> Option<Self> {
        if [Some(cluster), authority].into_iter().flatten().any(|name| name.contains(char::is_control)) {
            return None;
        }
        let cluster = service(CLUSTER_NAME, cluster)?;
        let authority = authority.map_or(Some(String::new()), |authority| service(AUTHORITY, authority))?;
        Some(Self(cluster + &authority))
    }

    /// Returns the serialised `GrpcService` that the proxy expects. A bare name would do for most clusters, but one
    /// that happens to be a valid serialised message would be parsed as one.
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

/// Returns a `GrpcService` with one field of its `EnvoyGrpc`. Two of them concatenated are one with both fields,
/// since protobuf merges repeated messages. Every length is below 128 and so takes one byte; the result is UTF-8, as
/// the SDK requires.
fn service(field: u8, text: &str) -> Option<String> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
    let outer = length.checked_add(2).filter(|outer| outer.is_ascii())?;
    let head = [ENVOY_GRPC, outer, field, length];
    Some(head.into_iter().map(char::from).chain(text.chars()).collect())
}

/// The reason why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The maximum number of calls is pending.
    Full,
    /// A text of the call contains a control character.
    Malformed,
    /// The proxy refused: the cluster does not exist, has no endpoint, or has an open circuit breaker.
    Unreachable,
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response of the upstream, or of the proxy: 504 after the deadline, 503 if no endpoint could be
    /// reached.
    Http(HttpResponse),
    /// The serialised message of a gRPC response, without a frame.
    Grpc(Vec<u8>),
    /// A gRPC status other than OK, of the upstream, or of the proxy: `UNAVAILABLE` (14) after the deadline or if no
    /// endpoint could be reached.
    GrpcStatus(u32),
    /// The upstream reset an HTTP response before it was complete.
    Reset,
    /// The response was longer than [`MAX_ANSWER`].
    TooLong,
    /// The proxy has reported nothing for [`GRACE`] after the deadline. A later report is dropped.
    Silence,
}

/// A complete HTTP response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// HTTP status; 0 if it is not a number.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// The pending calls of one plugin on one worker, by the proxy's key for each.
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
    /// Returns true if one more call may be made.
    pub const fn has_room(&self) -> bool {
        self.calls.len() < MAX_IN_FLIGHT
    }

    /// Adds a call that is given up at `gives_up_at`.
    pub fn add(&mut self, key: K, gives_up_at: Timestamp) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        self.calls.push((key, id, gives_up_at));
        id
    }

    /// Removes a call that has ended; `None` if it is not pending, or no longer.
    pub fn take(&mut self, key: &K) -> Option<CallId> {
        self.remove(|(found, ..)| found == key)
    }

    /// Removes a call whose time to be given up has come, if there is one.
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
    fn empty_overlong_and_invalid_names_are_rejected() {
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
    fn a_response_is_taken_once_and_an_unexpected_one_never() {
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
