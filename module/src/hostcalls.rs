//! Every call to the proxy, as values. Nothing else in this project reaches it.
//!
//! "Create if absent" is a write at version `u32::MAX`: the host writes an absent key whatever version is
//! given, and refuses a present one at a version that is not its own, which that one never is.

use crate::ffi;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};
use tidegate_host::call::{GrpcCall, HttpCall};
use tidegate_host::headers::HeaderMap;
use tidegate_host::protocol::grpc_status;
use tidegate_host::reply::Reply;
use tidegate_host::store::{Store, Version};
use tidegate_policy::identity;
use tidegate_policy::timestamp::Timestamp;

const ABSENT: u32 = u32::MAX;
const HASH_KEY: &[u8] = b"tidegate-hash-key";

/// One of an exchange's two bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request's.
    Request,
    /// The response's.
    Response,
}

impl Body {
    const fn buffer(self) -> BufferType {
        match self {
            Self::Request => BufferType::HttpRequestBody,
            Self::Response => BufferType::HttpResponseBody,
        }
    }
}

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

/// Monotonic time.
pub fn now() -> Timestamp {
    Timestamp::from_nanos(ffi::monotonic_nanos().unwrap_or(0))
}

/// Nanoseconds since 1970.
pub fn wall_clock() -> u64 {
    ffi::wall_nanos().unwrap_or(0)
}

/// 64 random bits.
pub fn random_seed() -> u64 {
    let bytes = ffi::random_bytes().unwrap_or_default();
    bytes.first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// The key under which names are hashed: made by whoever needs it first, the same for all workers.
/// `None` if the host has no randomness or no shared data.
pub fn hash_key() -> Option<[u8; 16]> {
    let stored = || SharedData.load(HASH_KEY).and_then(|(key, _)| key.try_into().ok());
    stored().or_else(|| {
        SharedData.swap(HASH_KEY, &ffi::random_bytes()?, None);
        stored()
    })
}

/// The plugin's configuration.
pub fn configuration(size: usize) -> Vec<u8> {
    ffi::buffer(BufferType::PluginConfiguration, 0, size)
}

/// The headers of a request or a response.
pub fn headers(map: MapType) -> HeaderMap {
    let wire = ffi::headers(map);
    let fields = fields(&wire).unwrap_or_default();
    HeaderMap::new(wire, fields)
}

/// Whether a header is there, in a map that is.
pub fn has_header(map: MapType, name: &str) -> bool {
    ffi::header(map, name.as_bytes()).is_some()
}

/// The first value of a header, if it is there.
pub fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    ffi::header(map, name.as_bytes())
}

/// Sets a header, replacing what is there.
pub fn set_header(map: MapType, name: &str, value: &[u8]) {
    ffi::set_header(map, name.as_bytes(), value);
}

/// Takes a header out.
pub fn remove_header(map: MapType, name: &str) {
    ffi::remove_header(map, name.as_bytes());
}

/// `most` bytes of a body from `offset`.
pub fn body(body: Body, offset: usize, most: usize) -> Vec<u8> {
    ffi::buffer(body.buffer(), offset, most)
}

/// Puts `bytes` in the place of all of a body that is there.
pub fn replace_body(body: Body, bytes: &[u8]) {
    ffi::replace_buffer(body.buffer(), bytes);
}

/// What the host knows under this path.
pub fn property(path: &[&[u8]]) -> Option<Vec<u8>> {
    ffi::property(&path.join(&0))
}

/// The address at the other end of the connection.
pub fn peer() -> Option<IpAddr> {
    identity::address(&property(&[b"source", b"address"])?)
}

/// At most `most` bytes from `offset` of what the current connection's read buffer holds.
pub fn downstream_data(offset: usize, most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::DownstreamData, offset, most)
}

/// Closes the current connection.
pub fn close_downstream() {
    ffi::close_downstream();
}

/// Answers the current request.
pub fn reply(reply: &Reply) -> bool {
    let Reply { status, headers, body, details, .. } = reply;
    let headers = wire(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    ffi::send_local_response(*status, details.as_bytes(), body, &headers, grpc_status(*status))
}

/// Sends an HTTP request to a cluster; what the host calls it, or `None` if it would not. The SDK brings the answer to the
/// root whose callback this is.
pub fn call_http(call: &HttpCall<'_>) -> Option<u32> {
    let pseudo = [(":method", call.method), (":authority", call.authority), (":path", call.path)];
    let headers = pseudo.iter().chain(call.headers).copied().collect();
    let body = (!call.body.is_empty()).then_some(call.body);
    let timeout = Duration::from_millis(u64::from(call.deadline.millis()));
    sdk::dispatch_http_call(call.cluster, headers, body, Vec::new(), timeout).ok()
}

/// Sends a gRPC message to a cluster; as [`call_http`].
pub fn call_grpc(call: &GrpcCall<'_>) -> Option<u32> {
    let timeout = Duration::from_millis(u64::from(call.deadline.millis()));
    let upstream = call.upstream.as_str();
    sdk::dispatch_grpc_call(upstream, call.service, call.method, Vec::new(), Some(call.message), timeout).ok()
}

/// At most `most` bytes of the body that answers an HTTP call.
pub fn http_answer(most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::HttpCallResponseBody, 0, most)
}

/// At most `most` bytes of the message that answers a gRPC call.
pub fn grpc_answer(most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::GrpcReceiveBuffer, 0, most)
}

/// A queue whose messages come to this thread, under a name that nobody can know.
pub fn new_queue() -> Option<u32> {
    ffi::register_queue(&[b"tidegate-".as_slice(), &ffi::random_bytes()?].concat())
}

/// Puts a message into a queue. False if there is no such queue.
pub fn enqueue(queue: u32, message: &[u8]) -> bool {
    ffi::enqueue(queue, message)
}

/// Takes the oldest message out of a queue.
pub fn dequeue(queue: u32) -> Option<Vec<u8>> {
    ffi::dequeue(queue)
}

/// Makes the stream of the context `id` the one that calls are about. False if it is gone.
pub fn act_for(id: u32) -> bool {
    sdk::set_effective_context(id).is_ok()
}

/// Lets the paused request, or response, of the current stream go on.
pub fn resume(side: Body) {
    let _ = match side {
        Body::Request => sdk::resume_http_request(),
        Body::Response => sdk::resume_http_response(),
    };
}

/// Asks for a tick in every `period`, zero for none.
pub fn tick_every(period: Duration) {
    let _ = sdk::set_tick_period(period);
}

/// A counter's id; `None` if the host will not have it.
pub fn define_counter(name: &str) -> Option<u32> {
    sdk::define_metric(MetricType::Counter, name).ok()
}

/// A gauge's id; `None` if the host will not have it.
pub fn define_gauge(name: &str) -> Option<u32> {
    sdk::define_metric(MetricType::Gauge, name).ok()
}

/// Sets a gauge.
pub fn set_gauge(id: u32, value: u64) {
    let _: Result<(), Status> = sdk::record_metric(id, value);
}

/// Adds to a counter.
pub fn count(id: u32, by: u32) {
    let _: Result<(), Status> = sdk::increment_metric(id, i64::from(by));
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

fn wire<'a>(pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut wire = u32::try_from(pairs.len()).unwrap_or(0).to_le_bytes().to_vec();
    for (name, value) in pairs.clone() {
        wire.extend(size(name));
        wire.extend(size(value));
    }
    for bytes in pairs.flat_map(|(name, value)| [name, value]) {
        wire.extend(bytes);
        wire.push(0);
    }
    wire
}
