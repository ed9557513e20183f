#![allow(clippy::indexing_slicing)]

use super::*;
use crate::exchange::{Exchange, Filter, Flow, Stage};
use crate::fake::{FakeExchange, FakeProxy};
use crate::plugin::Plugin;
use core::cell::Cell;
use tidegate_config::ConfigError;
use tidegate_policy::answer::First;
use tidegate_policy::answer::blame::Blame;

const ALL: ResponseNeeds = ResponseNeeds { content: true, errors: true, usage: true };
const ERRORS: ResponseNeeds = ResponseNeeds { errors: true, ..ResponseNeeds::NONE };
const JSON: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];
const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];
const HELLO: &[u8] =
    b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":{\"completion_tokens\":1}}\n\n";
const ERROR: &[u8] = b"data: {\"error\":{\"code\":500}}\n\n";

struct Asks(ResponseNeeds);

#[derive(Default)]
struct Stays {
    needs: Cell<ResponseNeeds>,
}

impl Plugin for Asks {
    const ROOT_ID: &'static str = "asks";

    fn configure(_: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self(ALL))
    }

    fn metrics(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Filter for Asks {
    type Stream = Stays;
    const STAGE: Stage = Stage::Judge;
    const READS_RESPONSES: bool = true;

    fn stream(&self) -> Stays {
        Stays { needs: Cell::new(self.0) }
    }
}

impl Stream for Stays {
    fn on_request_headers(&mut self, _: &dyn Exchange) -> Flow {
        Flow::Continue
    }

    fn reads_response(&self) -> ResponseNeeds {
        self.needs.get()
    }
}

fn begin<'a>(proxy: &'a FakeProxy, asks: ResponseNeeds, head: &[(&str, &str)]) -> (Stays, FakeExchange<'a>) {
    let (mut stream, mut exchange) = (Asks(asks).stream(), proxy.exchange(&[(":method", "POST")]));
    exchange.begin_response(&mut stream, head, true);
    (stream, exchange)
}

#[test]
fn without_needs_nothing_is_read_and_no_host_call_is_made() {
    let proxy = FakeProxy::default();
    let (mut stream, mut exchange) = begin(&proxy, ResponseNeeds::NONE, &EVENTS);
    exchange.send(&mut stream, HELLO, true);
    exchange.send(&mut stream, HELLO, false);
    assert!(exchange.response().is_none());
    assert_eq!(proxy.calls.made(), 0);
}

#[test]
fn a_response_is_read_once_for_all_filters_at_one_call_per_chunk() {
    let proxy = FakeProxy::default();
    let (mut stream, mut exchange) = begin(&proxy, ALL, &EVENTS);
    assert_eq!(exchange.response().expect("it is read").status, Some(200));
    let headers = proxy.calls.made();
    assert_eq!(headers, 1);
    exchange.send(&mut stream, HELLO, true);
    exchange.send(&mut stream, ERROR, false);
    assert_eq!(proxy.calls.made(), headers + 2);
    let response = exchange.response().expect("it is read");
    assert_eq!(response.shown.first, Some(First::Content));
    assert_eq!(response.shown.error, Some(Blame::Server));
    assert_eq!(response.metering().usage.completion(), Some(1));
    assert_eq!(response.metering().characters, 2);
}

#[test]
fn a_coded_response_is_not_read_and_says_so() {
    for coding in ["gzip", "br", "identity, zstd"] {
        let proxy = FakeProxy::default();
        let (mut stream, mut exchange) =
            begin(&proxy, ALL, &[EVENTS[0], EVENTS[1], ("content-encoding", coding)]);
        let headers = proxy.calls.made();
        exchange.send(&mut stream, ERROR, true);
        let response = exchange.response().expect("it is there");
        assert!(!response.is_readable() && response.shown.error.is_none(), "{coding}");
        assert_eq!(response.shown.first, Some(First::Content), "{coding}");
        assert!(!response.metering().usage.is_reported(), "{coding}");
        assert_eq!(proxy.calls.made(), headers, "nobody asks for its bytes");
    }
    for plain in ["", "identity"] {
        let proxy = FakeProxy::default();
        let (mut stream, mut exchange) =
            begin(&proxy, ALL, &[EVENTS[0], EVENTS[1], ("content-encoding", plain)]);
        exchange.send(&mut stream, ERROR, true);
        assert!(
            exchange
                .response()
                .is_some_and(|response| response.is_readable() && response.shown.error.is_some())
        );
    }
}

#[test]
fn parts_no_longer_needed_are_not_read() {
    let proxy = FakeProxy::default();
    let (mut stream, mut exchange) = begin(&proxy, ALL, &EVENTS);
    stream.needs.set(ERRORS);
    exchange.send(&mut stream, HELLO, true);
    stream.needs.set(ALL);
    exchange.send(&mut stream, ERROR, true);
    assert!(exchange.response().is_some_and(|response| response.shown.error.is_some()));
    stream.needs.set(ResponseNeeds::NONE);
    exchange.send(&mut stream, HELLO, true);
    assert!(exchange.response().is_none());
    let calls = proxy.calls.made();
    stream.needs.set(ALL);
    exchange.send(&mut stream, HELLO, false);
    assert!(exchange.response().is_none());
    assert_eq!(proxy.calls.made(), calls, "nothing is read later");
}

#[test]
fn a_document_that_can_no_longer_be_an_error_is_read_on_only_for_its_usage() {
    let long = format!("{{\"x\":\"{}\",", "x".repeat(1_000));
    let rest = b"\"usage\":{\"completion_tokens\":7}}";
    for (asks, expected) in [(ResponseNeeds { usage: false, ..ALL }, None), (ALL, Some(7))] {
        let proxy = FakeProxy::default();
        let (mut stream, mut exchange) = begin(&proxy, asks, &JSON);
        stream.needs.set(ResponseNeeds { content: false, ..asks });
        exchange.send(&mut stream, long.as_bytes(), true);
        assert_eq!(exchange.response().is_some(), expected.is_some());
        exchange.send(&mut stream, rest, false);
        let tokens = exchange.response().and_then(|response| response.metering().usage.completion());
        assert_eq!(tokens, expected);
    }
}

#[test]
fn the_outcome_of_a_call_is_in_its_headers_or_trailers() {
    let grpc = [(":method", "POST"), ("content-type", "application/grpc")];
    for (head, trailers, expected) in [
        (&[(":status", "200"), ("grpc-status", "8")][..], None, Some(429)),
        (&[(":status", "200")], Some(&[("grpc-status", "14")][..]), Some(503)),
        (&[(":status", "200")], Some(&[]), None),
    ] {
        let proxy = FakeProxy::default();
        let (mut stream, mut exchange) = (Asks(ERRORS).stream(), proxy.exchange(&grpc));
        exchange.begin_response(&mut stream, head, true);
        exchange.send(&mut stream, &[0; 5], true);
        if let Some(trailers) = trailers {
            exchange.end_response(&mut stream, trailers);
        }
        assert_eq!(exchange.response().expect("a call").call_status, expected, "{head:?}");
    }
}

#[test]
fn a_request_is_scanned_until_its_response_begins() {
    struct Scans;
    impl Plugin for Scans {
        const ROOT_ID: &'static str = "scans";

        fn configure(_: &[u8]) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        fn metrics(&self) -> Vec<String> {
            Vec::new()
        }
    }
    impl Filter for Scans {
        type Stream = Stays;
        const STAGE: Stage = Stage::Judge;
        const SCANS: bool = true;

        fn scan(&self) -> Option<ScanNeeds> {
            Some(ScanNeeds { max_depth: 64, exact_names: true, fingerprint: false })
        }

        fn stream(&self) -> Stays {
            Stays::default()
        }
    }
    let proxy = FakeProxy::default();
    let (mut stream, mut exchange) = (Scans.stream(), proxy.exchange(&[(":method", "POST")]));
    exchange.receive(&Scans, &mut stream, b"{\"model\":", false);
    assert!(exchange.scan().is_some_and(|scan| !scan.is_complete()));
    exchange.receive(&Scans, &mut stream, b"\"m\"}", true);
    assert!(exchange.scan().is_some_and(Scan::is_complete));
    exchange.begin_response(&mut stream, &JSON, true);
    assert!(exchange.scan().is_none());
    exchange.receive(&Scans, &mut stream, b"{}", true);
    assert!(exchange.scan().is_none(), "what comes later is no body of its own");
}
