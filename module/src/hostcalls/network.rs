//! The calls about one connection.

use crate::ffi;
use proxy_wasm::types::BufferType;

/// At most `most` bytes from `offset` of what the current connection's read buffer holds.
pub fn downstream_data(offset: usize, most: usize) -> Vec<u8> {
    ffi::buffer(BufferType::DownstreamData, offset, most)
}

/// Closes the current connection.
pub fn close_downstream() {
    ffi::close_downstream();
}
