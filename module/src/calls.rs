//! The calls of a task: made by the SDK, which knows their numbers and brings the answers to the root, and counted here, so that
//! there are never too many. An answer that no call waits for is dropped.

use crate::hostcalls;
use core::cell::RefCell;
use proxy_wasm::types::MapType;
use tidegate_host::call::{Answer, Call, CallId, HttpResponse, InFlight, MAX_ANSWER, Refused};
use tidegate_policy::timestamp::Timestamp;

/// What the host calls a call. It counts those of each kind by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// By HTTP.
    Http(u32),
    /// By gRPC.
    Grpc(u32),
}

/// The calls of one task.
#[derive(Debug, Default)]
pub struct Calls {
    in_flight: RefCell<InFlight<Token>>,
}

impl Calls {
    /// Makes one, in a callback of the root.
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

    /// One has ended; `None` if nobody waits for it.
    pub fn take(&self, token: Token) -> Option<CallId> {
        self.in_flight.try_borrow_mut().ok()?.take(&token)
    }

    /// One of which the host says nothing more, if there is one.
    pub fn take_silent(&self, now: Timestamp) -> Option<CallId> {
        self.in_flight.try_borrow_mut().ok()?.take_silent(now)
    }
}

/// What an HTTP call was answered, with a body of `size` bytes. Without headers it was cut off.
pub fn http_answer(size: usize) -> Answer {
    let headers = hostcalls::headers(MapType::HttpCallResponseHeaders);
    let status = headers.only(b":status").and_then(|status| core::str::from_utf8(status).ok()?.parse().ok());
    match status {
        None => Answer::Reset,
        Some(_) if size > MAX_ANSWER => Answer::TooLong,
        Some(status) => Answer::Http(HttpResponse { status, headers, body: hostcalls::http_answer(size) }),
    }
}

/// What a gRPC call was answered, with a message of `size` bytes if its status is OK.
pub fn grpc_answer(status: u32, size: usize) -> Answer {
    match status {
        0 if size > MAX_ANSWER => Answer::TooLong,
        0 => Answer::Grpc(hostcalls::grpc_answer(size)),
        status => Answer::GrpcStatus(status),
    }
}
