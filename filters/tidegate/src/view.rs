//! An exchange as one filter of the composite sees it: the facts are shared, its alarm and its metrics are its own.

use crate::own::Own;
use core::cell::{Cell, RefCell};
use tidegate_host::bodies::Response;
use tidegate_host::exchange::{Exchange, Fact, FactValue};
use tidegate_host::headers::HeaderMap;
use tidegate_host::plugin::Proxy;
use tidegate_host::protocol::Protocol;
use tidegate_host::scan::Scan;
use tidegate_host::task::{PartWorkers, StreamId, WorkerId, Workers};
use tidegate_policy::api::Dialect;
use tidegate_policy::rewrite::Edit;
use tidegate_policy::timestamp::Timestamp;

/// The view of one filter.
pub struct View<'a> {
    /// The exchange that all filters share.
    pub whole: &'a dyn Exchange,
    /// The filter's own part of the worker.
    pub own: &'a Own,
    /// The filter's alarm.
    pub alarm: &'a Cell<Option<Timestamp>>,
    /// True if the filter has yet to see the end of the request.
    pub request_goes_on: bool,
    /// The edits of the request's body, by all filters.
    pub edits: &'a RefCell<Vec<Edit>>,
}

impl Proxy for View<'_> {
    tidegate_host::proxy_facts_by!(whole);

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        self.whole.count(self.own.counters.saturating_add(metric), by);
    }

    fn set_gauge(&self, gauge: usize, value: u64) {
        self.whole.set_gauge(self.own.gauges.saturating_add(gauge), value);
    }

    fn stream(&self) -> Option<StreamId> {
        self.whole.stream()
    }

    fn workers(&self) -> &dyn Workers {
        self
    }
}

impl View<'_> {
    fn of_part(&self) -> PartWorkers<'_> {
        PartWorkers { whole: self.whole.workers(), place: self.own.place }
    }
}

impl Workers for View<'_> {
    fn id(&self) -> Option<WorkerId> {
        self.of_part().id()
    }

    fn wake(&self, worker: WorkerId, message: &[u8]) -> bool {
        self.of_part().wake(worker, message)
    }

    fn tick_by(&self, at: Timestamp) {
        self.of_part().tick_by(at);
    }
}

impl Exchange for View<'_> {
    fn request_headers(&self) -> &HeaderMap {
        self.whole.request_headers()
    }

    fn protocol(&self) -> Protocol {
        self.whole.protocol()
    }

    fn dialect(&self) -> Dialect {
        self.whole.dialect()
    }

    fn set_request_header(&self, name: &str, value: &[u8]) {
        self.whole.set_request_header(name, value);
    }

    fn remove_request_header(&self, name: &str) {
        self.whole.remove_request_header(name);
    }

    fn request_goes_on(&self) -> bool {
        self.request_goes_on
    }

    fn can_hold(&self) -> bool {
        self.own.can_hold()
    }

    fn arrived(&self) -> &[u8] {
        self.whole.arrived()
    }

    fn scan(&self) -> Option<&Scan> {
        self.whole.scan()
    }

    fn held(&self) -> Vec<u8> {
        self.whole.held()
    }

    fn replace_held(&self, body: &[u8]) {
        self.whole.replace_held(body);
    }

    fn edit_request(&self, edit: Edit) {
        if let Ok(mut edits) = self.edits.try_borrow_mut() {
            edits.push(edit);
        }
    }

    fn can_edit_request(&self) -> bool {
        self.whole.can_edit_request()
    }

    fn response_headers(&self) -> &HeaderMap {
        self.whole.response_headers()
    }

    fn response_header(&self, name: &'static str) -> Option<Vec<u8>> {
        self.whole.response_header(name)
    }

    fn response_trailers(&self) -> &HeaderMap {
        self.whole.response_trailers()
    }

    fn response_goes_on(&self) -> bool {
        self.whole.response_goes_on()
    }

    fn set_response_header(&self, name: &'static str, value: &str) {
        self.whole.set_response_header(name, value);
    }

    fn remove_response_header(&self, name: &'static str) {
        self.whole.remove_response_header(name);
    }

    fn response(&self) -> Option<&Response> {
        self.whole.response()
    }

    fn fact(&self, fact: Fact) -> Option<FactValue> {
        self.whole.fact(fact)
    }
}
