//! The calls to the host that the SDK does not make as they are needed here: with keys and values as bytes,
//! without copies of every header, with response code details, on the monotonic clock. This is the only file
//! with `unsafe`; each block upholds what the ABI asks: pointers and lengths of live slices in, and out a
//! buffer that the host obtained from this module's own allocator (`proxy_on_memory_allocate`, which is a
//! `Vec<u8>` of just that capacity) or nothing.
//!
//! Source: proxy-wasm ABI 0.2.1; WASI preview 1.
#![allow(unsafe_code)]

use core::ptr;
use proxy_wasm::types::{BufferType, MapType};

/// What the host answers when all is well.
const OK: u32 = 0;

/// WASI's clock on the wall.
const CLOCK_REALTIME: u32 = 0;

/// WASI's monotonic clock.
const CLOCK_MONOTONIC: u32 = 1;

/// The stream of a network filter's client.
const DOWNSTREAM: u32 = 2;

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

/// A map of headers in the ABI's serialised form; empty if it is not there.
pub fn headers(map: MapType) -> Vec<u8> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_header_map_pairs(map, &mut data, &mut size) };
    if status == OK { unsafe { take(data, size) } } else { Vec::new() }
}

/// The first value of a header; `None` if it is not there, or the map is not.
pub fn header(map: MapType, name: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &mut data, &mut size) };
    (status == OK).then(|| unsafe { take(data, size) })
}

/// Sets a header, replacing what is there. False if the map is not there.
pub fn set_header(map: MapType, name: &[u8], value: &[u8]) -> bool {
    let (name_size, value_size) = (name.len(), value.len());
    let status =
        unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name_size, value.as_ptr(), value_size) };
    status == OK
}

/// Takes a header out. False if the map is not there.
pub fn remove_header(map: MapType, name: &[u8]) -> bool {
    let status = unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    status == OK
}

/// At most `most` bytes of a buffer from `offset`; empty if it is not there.
pub fn buffer(buffer: BufferType, offset: usize, most: usize) -> Vec<u8> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_buffer_bytes(buffer, offset, most, &mut data, &mut size) };
    if status == OK { unsafe { take(data, size) } } else { Vec::new() }
}

/// Puts `bytes` in the place of all that a buffer holds. False if it is not there.
pub fn replace_buffer(buffer: BufferType, bytes: &[u8]) -> bool {
    let status = unsafe { proxy_set_buffer_bytes(buffer, 0, usize::MAX, bytes.as_ptr(), bytes.len()) };
    status == OK
}

/// What the host knows under a path, whose parts are separated by zero bytes; `None` if nothing.
pub fn property(path: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    (status == OK).then(|| unsafe { take(data, size) })
}

/// A shared entry and its version; `None` if there is none.
pub fn shared_data(key: &[u8]) -> Option<(Vec<u8>, u32)> {
    let (mut data, mut size, mut cas) = (ptr::null_mut(), 0, 0);
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut cas) };
    (status == OK).then(|| (unsafe { take(data, size) }, cas))
}

/// Writes a shared entry if it is still at version `cas`, or if there is none. False if it is at another.
pub fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> bool {
    let status = unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    status == OK
}

/// Answers the current request; `headers` in the ABI's serialised form, `grpc_status` for a gRPC call only. False if the
/// host would not.
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

/// Closes the current connection. False if it is gone.
pub fn close_downstream() -> bool {
    let status = unsafe { proxy_close_stream(DOWNSTREAM) };
    status == OK
}

/// The queue of this name, made if there is none, whose messages come to this thread. `None` if the host has no queues.
pub fn register_queue(name: &[u8]) -> Option<u32> {
    let mut queue = 0;
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &mut queue) };
    (status == OK).then_some(queue)
}

/// Puts a message into a queue. False if there is no such queue.
pub fn enqueue(queue: u32, message: &[u8]) -> bool {
    let status = unsafe { proxy_enqueue_shared_queue(queue, message.as_ptr(), message.len()) };
    status == OK
}

/// Takes the oldest message out of a queue; `None` if it is empty or not there.
pub fn dequeue(queue: u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    let status = unsafe { proxy_dequeue_shared_queue(queue, &mut data, &mut size) };
    (status == OK).then(|| unsafe { take(data, size) })
}

/// 16 random bytes; `None` if the host has none.
pub fn random_bytes() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let status = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    (status == 0).then_some(bytes)
}

/// Nanoseconds on the host's monotonic clock; `None` if it has none.
pub fn monotonic_nanos() -> Option<u64> {
    nanos(CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970 on the host's wall clock; `None` if it has none.
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
