//! Every call to the proxy, with values as arguments and results. Nothing else in this project calls it.
//!
//! "Create if absent" is a write at version `u32::MAX`: the host writes an absent key at any version, and refuses to
//! write a present one unless the versions match, which `u32::MAX` never does.

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "network")]
pub mod network;

use crate::ffi;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};
use tidegate_host::call::{GrpcCall, HttpCall};
use tidegate_host::headers::HeaderMap;
use tidegate_host::store::{Store, Version};
use tidegate_policy::identity;
use tidegate_policy::timestamp::Timestamp;

const ABSENT: u32 = u32::MAX;
const HASH_KEY: &[u8] = b"tidegate-hash-key";

/// Envoy's shared data.
#[derive(Debug)]
pub struct SharedData;

impl Store for SharedData {
    fn load(&self, key: &[u8]) -> Option<(Vec<u8>, Version)> {
        ffi::shared_data(key).map(|(value, cas)| (value, Version(cas)))
    }

    fn swap(&self, key: &[u8], value: &[u8], expected: Option<Version>) -> bool {
        ffi::set_shared_data(key, value, expected.map_or(ABSENT, |Version(cas)| cas))
    }
}

/// Returns the monotonic time.
pub fn now() -> Timestamp {
    Timestamp::from_nanos(ffi::monotonic_nanos().unwrap_or(0))
}

/// Returns the wall-clock time in nanoseconds since 1970.
pub fn wall_clock() -> u64 {
    ffi::wall_nanos().unwrap_or(0)
}

/// Returns 64 random bits.
pub fn random_seed() -> u64 {
    let bytes = ffi::random_bytes().unwrap_or_default();
    bytes.first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// Returns the key for hashing names, created by the first worker that needs it and the same for all workers. Returns
/// `None` if the host has no randomness or no shared data.
pub fn hash_key() -> Option<[u8; 16]> {
    let stored = || SharedData.load(HASH_KEY).and_then(|(key, _)| key.try_into().ok());
    stored().or_else(|| {
        SharedData.swap(HASH_KEY, &ffi::random_bytes()?, None);
        stored()
    })
}

/// Returns the plugin's configuration.
pub fn configuration(size: usize) -> Vec<u8> {
    ffi::buffer(BufferType::PluginConfiguration, 0, size)
}

/// Returns the host's property at this path.
pub fn property(path: &[&[u8]]) -> Option<Vec<u8>> {
    ffi::property(&path.join(&0))
}

/// Returns the address of the remote end of the connection.
pub fn peer() -> Option<IpAddr> {
    identity::address(&property(&[b"source", b"address"])?)
}

/// Sends an HTTP request to a cluster. Returns the host's id of the call, or `None` if the host refuses. The SDK
/// delivers the response to the root whose callback this is.
pub fn call_http(call: &HttpCall<'_>) -> Option<u32> {
    let pseudo = [(":method", call.method), (":authority", call.authority), (":path", call.path)];
    let headers = pseudo.iter().chain(call.headers).copied().collect();
    let body = (!call.body.is_empty()).then_some(call.body);
    let timeout = Duration::from_millis(u64::from(call.deadline.millis()));
    sdk::dispatch_http_call(call.cluster, headers, body, Vec::new(), timeout).ok()
}

/// Sends a gRPC message to a cluster, like [`call_http`].
pub fn call_grpc(call: &GrpcCall<'_>) -> Option<u32> {
    let timeout = Duration::from_millis(u64::from(call.deadline.millis()));
    let upstream = call.upstream.as_str();
    sdk::dispatch_grpc_call(upstream, call.service, call.method, Vec::new(), Some(call.message), timeout).ok()
}

/// Returns at most `most` bytes of the body of an HTTP call's response.
pub fn http_answer(most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::HttpCallResponseBody, 0, most)
}

/// Returns at most `most` bytes of the message of a gRPC call's response.
pub fn grpc_answer(most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::GrpcReceiveBuffer, 0, most)
}

/// Creates a queue whose messages are delivered to this thread, under an unpredictable name.
pub fn new_queue() -> Option<u32> {
    ffi::register_queue(&[b"tidegate-".as_slice(), &ffi::random_bytes()?].concat())
}

/// Appends a message to a queue. Returns false if there is no such queue.
pub fn enqueue(queue: u32, message: &[u8]) -> bool {
    ffi::enqueue(queue, message)
}

/// Removes the oldest message from a queue.
pub fn dequeue(queue: u32) -> Option<Vec<u8>> {
    ffi::dequeue(queue)
}

/// Makes the stream of the context `id` the subject of host calls. Returns false if it is gone.
pub fn act_for(id: u32) -> bool {
    sdk::set_effective_context(id).is_ok()
}

/// Requests a tick every `period`; zero for none.
pub fn tick_every(period: Duration) {
    let _ = sdk::set_tick_period(period);
}

/// Returns a counter's id; `None` if the host refuses to define it.
pub fn define_counter(name: &str) -> Option<u32> {
    sdk::define_metric(MetricType::Counter, name).ok()
}

/// Returns a gauge's id; `None` if the host refuses to define it.
pub fn define_gauge(name: &str) -> Option<u32> {
    sdk::define_metric(MetricType::Gauge, name).ok()
}

/// Sets a gauge.
pub fn set_gauge(id: u32, value: u64) {
    let _: Result<(), Status> = sdk::record_metric(id, value);
}

/// Adds `by` to a counter.
pub fn count(id: u32, by: u32) {
    let _: Result<(), Status> = sdk::increment_metric(id, i64::from(by));
}

/// Returns the headers of a request or a response.
pub fn headers(map: MapType) -> HeaderMap {
    let wire = ffi::headers(map);
    let fields = fields(&wire).unwrap_or_default();
    HeaderMap::new(wire, fields)
}

fn fields(wire: &[u8]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let (count, sizes) = length(wire)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut sizes = sizes.get(..count.checked_mul(8)?)?;
    let mut fields = Vec::with_capacity(count);
    let mut text = |size: usize| {
        let range = at..at.checked_add(size)?;
        at = range.end.checked_add(1)?;
        Some(range)
    };
    while !sizes.is_empty() {
        let (name, rest) = length(sizes)?;
        let (value, rest) = length(rest)?;
        fields.push((text(name)?, text(value)?));
        sizes = rest;
    }
    Some(fields)
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}
