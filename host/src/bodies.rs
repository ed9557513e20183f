//! Both bodies of one exchange, read once for all filters that ask, by whoever hands them the bodies. It belongs to the
//! stream and is lent to each callback, before which it has read what that callback is about.
//!
//! A request's body is scanned if the filter's configuration asks for that ([`Filter::scan`](crate::exchange::Filter::scan))
//! and the stream wants it; until the response begins. A response is read as far as the stream says before its headers
//! and after each of its callbacks ([`ResponseNeeds`]), which can only become less. Where nobody asks, nothing is read.

use crate::exchange::Stream;
use crate::headers::HeaderMap;
use crate::protocol::{Protocol, http_status};
use crate::scan::{Scan, ScanNeeds};
use tidegate_policy::answer::{Form, Metering, Shown, Watch};
use tidegate_policy::fingerprint::Fingerprinter;

/// What a stream wants to know of its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseNeeds {
    /// Its first content, and all else that [`Shown`] says.
    pub content: bool,
    /// Errors, and of a gRPC call its status.
    pub errors: bool,
    /// What it reports of its cost ([`Metering`]). All of a response is read then.
    pub usage: bool,
}

impl ResponseNeeds {
    /// Nothing.
    pub const NONE: Self = Self { content: false, errors: false, usage: false };

    /// Whether it wants anything.
    pub fn is_any(self) -> bool {
        self != Self::NONE
    }

    /// What two streams want together.
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

/// What has been read of a response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its HTTP status, if it has one.
    pub status: Option<u16>,
    /// Of a gRPC call, the HTTP status that its `grpc-status` stands for, once that has come.
    pub call_status: Option<u16>,
    /// What it shows.
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

    /// Whether its body can be read: a media type that is not known, and a content coding, make that impossible.
    pub const fn is_readable(&self) -> bool {
        self.watch.reads()
    }

    /// Whether it is known to be empty if it ends without having shown anything.
    pub const fn is_empty_without_content(&self) -> bool {
        self.watch.is_empty_without_content()
    }

    /// What it has reported of its cost, if somebody asked for that: events and lines as they came, a document at its end.
    pub fn metering(&self) -> Metering {
        self.watch.metering()
    }

    fn narrow(&mut self, wanted: ResponseNeeds) {
        self.needs = self.needs.only(wanted);
        if !self.needs.content && !self.needs.usage {
            self.watch.only_errors();
        }
    }

    /// Whether nothing that is to come is wanted.
    fn is_over(&self) -> bool {
        let judged = !self.is_call && self.watch.is_over() && !self.needs.content && !self.needs.usage;
        judged || !self.needs.is_any()
    }
}

/// What has been read of the bodies of one exchange.
#[derive(Debug, Default)]
pub struct Bodies {
    scan: Option<Box<Scan>>,
    /// Nothing more of the request is scanned.
    is_scanned: bool,
    response: Option<Box<Response>>,
}

impl Bodies {
    /// What has been read of the request's body.
    pub fn scan(&self) -> Option<&Scan> {
        self.scan.as_deref()
    }

    /// What has been read of the response.
    pub fn response(&self) -> Option<&Response> {
        self.response.as_deref()
    }

    /// More of the request's body has come: `bytes`, the last of it if `is_last`. `stream` hears its texts.
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

    /// The response begins with these headers, which are asked for if `stream` wants to know something of it.
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

    /// So many bytes more of the response's body have `arrived`, the last of it if `is_last`: `bytes`, which are asked for
    /// if they can be read.
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

    /// The response ends with these trailers, which are asked for if they hold the outcome of a call.
    pub fn end_response<'a>(&mut self, trailers: impl FnOnce() -> &'a HeaderMap) {
        if let Some(response) = self.response.as_mut().filter(|response| response.is_call) {
            response.call_status = trailers().only(b"grpc-status").map(http_status).or(response.call_status);
        }
    }

    /// `stream` has been told: what it does not want any more is not read.
    pub fn narrow<S: Stream>(&mut self, stream: &S) {
        if let Some(response) = &mut self.response {
            response.narrow(stream.reads_response());
        }
        self.response.take_if(|response| response.is_over());
    }
}

#[cfg(test)]
mod tests;
