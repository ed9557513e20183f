//! The request and response bodies of one exchange, read once for all filters that ask. The reader belongs to the
//! stream and is lent to each callback; by then it has read the bytes that the callback is about.
//!
//! A request body is scanned if the filter's configuration asks for it
//! ([`Filter::scan`](crate::exchange::Filter::scan)) and the stream wants it, until the response begins. A response
//! is read as far as the stream asks before the response headers and after each response callback
//! ([`ResponseNeeds`]); these needs can only shrink. If no filter asks, nothing is read.

use crate::exchange::Stream;
use crate::headers::HeaderMap;
use crate::protocol::{Protocol, http_status};
use crate::scan::{Scan, ScanNeeds};
use tidegate_policy::answer::{Form, Metering, Shown, Watch};
use tidegate_policy::fingerprint::Fingerprinter;

/// The parts of the response that a stream needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseNeeds {
    /// The first content, and everything else in [`Shown`].
    pub content: bool,
    /// Errors, and the status of a gRPC call.
    pub errors: bool,
    /// The reported usage ([`Metering`]). Requires reading the whole response.
    pub usage: bool,
}

impl ResponseNeeds {
    /// No needs.
    pub const NONE: Self = Self { content: false, errors: false, usage: false };

    /// Returns true if anything is needed.
    pub fn is_any(self) -> bool {
        self != Self::NONE
    }

    /// Returns the combined needs of two streams.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            content: self.content || other.content,
            errors: self.errors || other.errors,
            usage: self.usage || other.usage,
        }
    }

    const fn only(self, other: Self) -> Self {
        Self {
            content: self.content && other.content,
            errors: self.errors && other.errors,
            usage: self.usage && other.usage,
        }
    }
}

/// The part of a response that has been read.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status, if there is one.
    pub status: Option<u16>,
    /// For a gRPC call, the HTTP status that corresponds to its `grpc-status`, once that has arrived.
    pub call_status: Option<u16>,
    /// What the response has shown so far.
    pub shown: Shown,
    is_call: bool,
    watch: Watch,
    needs: ResponseNeeds,
}

impl Response {
    fn begin(headers: &HeaderMap, protocol: Protocol, needs: ResponseNeeds) -> Self {
        let status = headers.only(b":status").and_then(|text| core::str::from_utf8(text).ok()?.parse().ok());
        let form = match headers.only(b"content-type") {
            Some(media) if !headers.is_coded() => Form::of(media),
            _ => Form::Unreadable,
        };
        let is_call = protocol == Protocol::Grpc;
        Self {
            status,
            call_status: headers.only(b"grpc-status").filter(|_| is_call).map(http_status),
            shown: Shown::default(),
            is_call,
            watch: if needs.usage { Watch::metered(form) } else { Watch::new(form) },
            needs,
        }
    }

    /// Returns true if the body can be read; an unknown media type or a content coding prevents it.
    pub const fn is_readable(&self) -> bool {
        self.watch.reads()
    }

    /// Returns true if a response that ends without having shown anything is known to be empty.
    pub const fn is_empty_without_content(&self) -> bool {
        self.watch.is_empty_without_content()
    }

    /// Returns the usage reported so far, if a filter asked for it: from events and lines as they arrive, from a
    /// document at its end.
    pub fn metering(&self) -> Metering {
        self.watch.metering()
    }

    fn narrow(&mut self, wanted: ResponseNeeds) {
        self.needs = self.needs.only(wanted);
        if !self.needs.content && !self.needs.usage {
            self.watch.only_errors();
        }
    }

    /// Returns true if nothing of the rest of the response is needed.
    fn is_over(&self) -> bool {
        let judged = !self.is_call && self.watch.is_over() && !self.needs.content && !self.needs.usage;
        judged || !self.needs.is_any()
    }
}

/// The state of reading both bodies of one exchange.
#[derive(Debug, Default)]
pub struct Bodies {
    scan: Option<Box<Scan>>,
    /// True if nothing more of the request is to be scanned.
    is_scanned: bool,
    response: Option<Box<Response>>,
}

impl Bodies {
    /// Returns the scan of the request body.
    pub fn scan(&self) -> Option<&Scan> {
        self.scan.as_deref()
    }

    /// Returns what has been read of the response.
    pub fn response(&self) -> Option<&Response> {
        self.response.as_deref()
    }

    /// Reads more of the request body: `bytes`, the last of it if `is_last`. `stream` receives the texts.
    pub fn read_request<'a, S: Stream>(
        &mut self,
        (needs, prints): (Option<ScanNeeds>, Fingerprinter),
        stream: &mut S,
        bytes: impl FnOnce() -> &'a [u8],
        is_last: bool,
    ) {
        let Some(needs) = needs.filter(|_| !self.is_scanned) else { return };
        if !stream.wants_scan() {
            (self.is_scanned, self.scan) = (true, None);
            return;
        }
        let scan = self.scan.get_or_insert_with(|| Box::new(Scan::new(needs, prints)));
        if scan.goes_on() {
            scan.feed(bytes(), stream.text_sink());
        }
        if is_last {
            scan.finish(stream.text_sink());
        }
    }

    /// Begins reading the response. `headers` is called only if `stream` needs any of the response.
    pub fn begin_response<'a, S: Stream>(
        &mut self,
        stream: &S,
        protocol: Protocol,
        headers: impl FnOnce() -> &'a HeaderMap,
    ) {
        (self.is_scanned, self.scan) = (true, None);
        let needs = stream.reads_response();
        self.response = needs.is_any().then(|| Box::new(Response::begin(headers(), protocol, needs)));
    }

    /// Reads `arrived` more bytes of the response body, the last of it if `is_last`. `bytes` is called only if they
    /// can be read.
    pub fn read_response<'a>(&mut self, arrived: usize, bytes: impl FnOnce() -> &'a [u8], is_last: bool) {
        let Some(response) = &mut self.response else { return };
        response.shown = if response.watch.reads() && arrived > 0 {
            response.watch.feed(bytes())
        } else {
            response.watch.pass(arrived)
        };
        if is_last {
            response.shown = response.watch.end();
        }
    }

    /// Ends the response. `trailers` is called only if they contain the outcome of a gRPC call.
    pub fn end_response<'a>(&mut self, trailers: impl FnOnce() -> &'a HeaderMap) {
        if let Some(response) = self.response.as_mut().filter(|response| response.is_call) {
            response.call_status = trailers().only(b"grpc-status").map(http_status).or(response.call_status);
        }
    }

    /// Stops reading what `stream` no longer needs after its callback.
    pub fn narrow<S: Stream>(&mut self, stream: &S) {
        if let Some(response) = &mut self.response {
            response.narrow(stream.reads_response());
        }
        self.response.take_if(|response| response.is_over());
    }
}

#[cfg(test)]
mod tests;
