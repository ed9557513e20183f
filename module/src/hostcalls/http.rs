//! Host calls about one HTTP exchange.

use crate::ffi;
use proxy_wasm::hostcalls as sdk;
use proxy_wasm::types::{BufferType, MapType};
use tidegate_host::protocol::grpc_status;
use tidegate_host::reply::Reply;

/// A body of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request body.
    Request,
    /// The response body.
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

/// Returns true if a present map contains a header.
pub fn has_header(map: MapType, name: &str) -> bool {
    ffi::header(map, name.as_bytes()).is_some()
}

/// Returns the first value of a header, if there is one.
pub fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    ffi::header(map, name.as_bytes())
}

/// Sets or replaces a header.
pub fn set_header(map: MapType, name: &str, value: &[u8]) {
    ffi::set_header(map, name.as_bytes(), value);
}

/// Removes a header.
pub fn remove_header(map: MapType, name: &str) {
    ffi::remove_header(map, name.as_bytes());
}

/// Returns `most` bytes of a body from `offset` on.
pub fn body(body: Body, offset: usize, most: usize) -> Vec<u8> {
    ffi::buffer(body.buffer(), offset, most)
}

/// Replaces the contents of a present body with `bytes`.
pub fn replace_body(body: Body, bytes: &[u8]) {
    ffi::replace_buffer(body.buffer(), bytes);
}

/// Responds to the current request.
pub fn reply(reply: &Reply) -> bool {
    let Reply { status, headers, body, details, .. } = reply;
    let headers = wire(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    ffi::send_local_response(*status, details.as_bytes(), body, &headers, grpc_status(*status))
}

/// Resumes the paused request or response of the current stream.
pub fn resume(side: Body) {
    let _ = match side {
        Body::Request => sdk::resume_http_request(),
        Body::Response => sdk::resume_http_response(),
    };
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
