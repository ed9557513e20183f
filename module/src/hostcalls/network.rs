//! Host calls about one connection.

use crate::ffi;
use proxy_wasm::types::BufferType;

/// Returns at most `most` bytes of the current connection's read buffer from `offset` on.
pub fn downstream_data(offset: usize, most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::DownstreamData, offset, most)
}

/// Closes the current connection.
pub fn close_downstream() {
    ffi::close_downstream();
}
