//! Host calls that the SDK does not offer in the required form: keys and values as bytes, no copy of every header,
//! response code details, the monotonic clock. This is the only file with `unsafe`. Each block upholds the
//! requirements of the ABI: arguments are pointers and lengths of live slices, and a result is either nothing or a
//! buffer that the host obtained from this module's own allocator (`proxy_on_memory_allocate`, a `Vec<u8>` of exactly
//! that capacity).
//!
//! Source: proxy-wasm ABI 0.2.1; WASI preview 1.
#![allow(unsafe_code)]

use core::ptr;
use proxy_wasm::types::{BufferType, MapType};

/// The status of a successful host call.
const OK: u32 = 0;

/// WASI's wall clock.
const CLOCK_REALTIME: u32 = 0;

/// WASI's monotonic clock.
const CLOCK_MONOTONIC: u32 = 1;

/// The stream type of a network filter's client side.
#[cfg(feature = "network")]
const DOWNSTREAM: u32 = 2;

#[allow(dead_code, reason = "a module imports those of its own adapter")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: BufferType,
        offset: usize,
        most: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: BufferType,
        offset: usize,
        length: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, queue: *mut u32) -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, size: usize) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(buffer: *mut u8, size: usize) -> u16;
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
}

/// Returns a header map in the ABI's serialised form; empty if there is none.
pub fn headers(map: MapType) -> Vec<u8> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_header_map_pairs(map, &mut data, &mut size) };
    if status == OK { unsafe { take(data, size) } } else { Vec::new() }
}

/// Returns the first value of a header; `None` if the header or the map is absent.
#[cfg(feature = "http")]
pub fn header(map: MapType, name: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &mut data, &mut size) };
    (status == OK).then(|| unsafe { take(data, size) })
}

/// Sets or replaces a header. Returns false if the map is absent.
#[cfg(feature = "http")]
pub fn set_header(map: MapType, name: &[u8], value: &[u8]) -> bool {
    let (name_size, value_size) = (name.len(), value.len());
    let status =
        unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name_size, value.as_ptr(), value_size) };
    status == OK
}

/// Removes a header. Returns false if the map is absent.
#[cfg(feature = "http")]
pub fn remove_header(map: MapType, name: &[u8]) -> bool {
    let status = unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    status == OK
}

/// Returns at most `most` bytes of a buffer from `offset` on; empty if it is absent.
pub fn buffer(buffer: BufferType, offset: usize, most: usize) -> Vec<u8> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_buffer_bytes(buffer, offset, most, &mut data, &mut size) };
    if status == OK { unsafe { take(data, size) } } else { Vec::new() }
}

/// Replaces the contents of a buffer with `bytes`. Returns false if it is absent.
#[cfg(feature = "http")]
pub fn replace_buffer(buffer: BufferType, bytes: &[u8]) -> bool {
    let status = unsafe { proxy_set_buffer_bytes(buffer, 0, usize::MAX, bytes.as_ptr(), bytes.len()) };
    status == OK
}

/// Returns the property at a path whose parts are separated by zero bytes; `None` if there is none.
pub fn property(path: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    (status == OK).then(|| unsafe { take(data, size) })
}

/// Returns a shared entry and its version; `None` if there is none.
pub fn shared_data(key: &[u8]) -> Option<(Vec<u8>, u32)> {
    let (mut data, mut size, mut cas) = (ptr::null_mut(), 0, 0);
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut cas) };
    (status == OK).then(|| (unsafe { take(data, size) }, cas))
}

/// Writes a shared entry if it is still at version `cas` or absent. Returns false if it is at another version.
pub fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> bool {
    let status = unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    status == OK
}

/// Responds to the current request. `headers` is in the ABI's serialised form; `grpc_status` is for a gRPC call only.
/// Returns false if the host refuses.
#[cfg(feature = "http")]
pub fn send_local_response(
    status: u16,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: u8,
) -> bool {
    let answered = unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(grpc_status),
        )
    };
    answered == OK
}

/// Closes the current connection. Returns false if it is gone.
#[cfg(feature = "network")]
pub fn close_downstream() -> bool {
    let status = unsafe { proxy_close_stream(DOWNSTREAM) };
    status == OK
}

/// Creates or opens the queue of this name; its messages are delivered to this thread. Returns `None` if the host has
/// no queues.
pub fn register_queue(name: &[u8]) -> Option<u32> {
    let mut queue = 0;
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &mut queue) };
    (status == OK).then_some(queue)
}

/// Appends a message to a queue. Returns false if there is no such queue.
pub fn enqueue(queue: u32, message: &[u8]) -> bool {
    let status = unsafe { proxy_enqueue_shared_queue(queue, message.as_ptr(), message.len()) };
    status == OK
}

/// Removes the oldest message from a queue; `None` if it is empty or absent.
pub fn dequeue(queue: u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_dequeue_shared_queue(queue, &mut data, &mut size) };
    (status == OK).then(|| unsafe { take(data, size) })
}

/// Returns 16 random bytes; `None` if the host has none.
pub fn random_bytes() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let status = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    (status == 0).then_some(bytes)
}

/// Returns nanoseconds on the host's monotonic clock; `None` if it has none.
pub fn monotonic_nanos() -> Option<u64> {
    nanos(CLOCK_MONOTONIC)
}

/// Returns nanoseconds since 1970 on the host's wall clock; `None` if it has none.
pub fn wall_nanos() -> Option<u64> {
    nanos(CLOCK_REALTIME)
}

fn nanos(clock: u32) -> Option<u64> {
    let mut nanos = 0;
    let status = unsafe { clock_time_get(clock, 1, &mut nanos) };
    (status == 0).then_some(nanos)
}

unsafe fn take(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() { Vec::new() } else { unsafe { Vec::from_raw_parts(data, size, size) } }
}
