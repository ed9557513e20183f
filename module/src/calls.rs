//! The pending calls of a task. The SDK makes them, numbers them and delivers the responses to the root; this module
//! limits their number. A response that no pending call waits for is dropped.

use crate::hostcalls;
use core::cell::RefCell;
use proxy_wasm::types::MapType;
use tidegate_host::call::{Answer, Call, CallId, HttpResponse, InFlight, MAX_ANSWER, Refused};
use tidegate_policy::timestamp::Timestamp;

/// The host's id of a call. HTTP and gRPC calls are numbered separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// An HTTP call.
    Http(u32),
    /// A gRPC call.
    Grpc(u32),
}

/// The calls of one task.
#[derive(Debug, Default)]
pub struct Calls {
    in_flight: RefCell<InFlight<Token>>,
}

impl Calls {
    /// Makes a call, in a callback of the root.
    pub fn make(&self, call: &Call<'_>, now: Timestamp) -> Result<CallId, Refused> {
        let mut in_flight = self.in_flight.try_borrow_mut().map_err(|_| Refused::Full)?;
        if !in_flight.has_room() {
            return Err(Refused::Full);
        }
        if !call.is_well_formed() {
            return Err(Refused::Malformed);
        }
        let token = match call {
            Call::Http(call) => hostcalls::call_http(call).map(Token::Http),
            Call::Grpc(call) => hostcalls::call_grpc(call).map(Token::Grpc),
        };
        let token = token.ok_or(Refused::Unreachable)?;
        Ok(in_flight.add(token, call.deadline().gives_up_at(now)))
    }

    /// Removes a call that has ended; `None` if it is not pending.
    pub fn take(&self, token: Token) -> Option<CallId> {
        self.in_flight.try_borrow_mut().ok()?.take(&token)
    }

    /// Removes a call on which the host has reported nothing in time, if there is one.
    pub fn take_silent(&self, now: Timestamp) -> Option<CallId> {
        self.in_flight.try_borrow_mut().ok()?.take_silent(now)
    }
}

/// Returns the outcome of an HTTP call with a body of `size` bytes. A response without headers was reset.
pub fn http_answer(size: usize) -> Answer {
    let headers = hostcalls::headers(MapType::HttpCallResponseHeaders);
    let status = headers.only(b":status").and_then(|status| core::str::from_utf8(status).ok()?.parse().ok());
    match status {
        None => Answer::Reset,
        Some(_) if size > MAX_ANSWER => Answer::TooLong,
        Some(status) => Answer::Http(HttpResponse { status, headers, body: hostcalls::http_answer(size) }),
    }
}

/// Returns the outcome of a gRPC call, with a message of `size` bytes if its status is OK.
pub fn grpc_answer(status: u32, size: usize) -> Answer {
    match status {
        0 if size > MAX_ANSWER => Answer::TooLong,
        0 => Answer::Grpc(hostcalls::grpc_answer(size)),
        status => Answer::GrpcStatus(status),
    }
}
