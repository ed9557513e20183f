//! Who is asked when, in one exchange.
//!
//! As in a chain, a filter sees a request once those before it have let it go on. Two things are done better than a
//! chain can: filters that wait for the whole body read it at the same time, not one after the other; and a filter
//! that only needs the body is asked at once although an earlier one delays the request. What has effects beyond the
//! request, and the watch over slow clients, begins when a chain would begin it.
//!
//! What filters change in the body is changed when that has come to its end, also where a delay holds it longer; a filter
//! that only then has its turn changes nothing.

use crate::filter::Offsets;
use crate::parts::{INPUT_LIMIT, PARTS, Part, Parts, RATE_LIMIT, RETRY_BUDGET, SLOW_CLIENT};
use crate::reply::ReplyView;
use crate::view::View;
use core::cell::{Cell, RefCell};
use std::rc::Rc;
use tidegate_host::exchange::{Exchange, Flow, Stream};
use tidegate_host::reply::Reply;
use tidegate_policy::inference::TextSink;
use tidegate_policy::rewrite::Edit;
use tidegate_policy::timestamp::Timestamp;

/// One exchange.
#[derive(Debug)]
pub struct TidegateStream {
    parts: Parts,
    offsets: Rc<[Offsets; PARTS]>,
    states: [State; PARTS],
    edits: Rc<RefCell<Vec<Edit>>>,
    arrived: usize,
    request: Request,
    has_response: bool,
}

/// How far a filter is.
#[derive(Clone, Debug, Default)]
struct State {
    alarm: Cell<Option<Timestamp>>,
    has_seen_request: bool,
    holds_request: bool,
    has_seen_response: bool,
    holds_response: bool,
}

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// More is to come.
    GoesOn,
    /// It has come to its end, without a body.
    Bare,
    /// It has come to its end, with one.
    Whole,
}

impl TidegateStream {
    /// With these parts.
    pub fn new(parts: Parts, offsets: Rc<[Offsets; PARTS]>) -> Self {
        Self {
            parts,
            offsets,
            states: Default::default(),
            edits: Rc::default(),
            arrived: 0,
            request: Request::GoesOn,
            has_response: false,
        }
    }
}

impl Stream for TidegateStream {
    const SCANS: bool = true;
    const REWRITES: bool = true;

    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if !exchange.request_goes_on() {
            self.request = Request::Bare;
        }
        let flow = self.advance(exchange);
        self.close(exchange, flow)
    }

    fn on_request_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        self.arrived = self.arrived.saturating_add(arrived);
        if !exchange.request_goes_on() {
            self.request = Request::Whole;
        }
        let flow = self.each_request(exchange, |part, view| part.request_body(view, arrived));
        self.close(exchange, flow)
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.request = Request::Whole;
        let flow = self.each_request(exchange, |part, view| part.request_end(view));
        let flow = flow.or_else(|| self.advance(exchange));
        self.edits.take().into_iter().for_each(|edit| exchange.edit_request(edit));
        self.close(exchange, flow)
    }

    fn on_alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        let now = exchange.now();
        let mut answer = None;
        for place in 0..PARTS {
            let Some(state) = self.states.get_mut(place) else { continue };
            if answer.is_some() || state.alarm.get().is_none_or(|at| at > now) {
                continue;
            }
            state.alarm.set(None);
            let response = state.has_seen_response;
            answer = match self.ask(place, exchange, |part, view| part.alarm(view)) {
                Flow::Reply(reply) => Some(self.pass_out(place, exchange, reply)),
                flow if response => self.follow_response(place, &flow),
                flow => self.follow_request(place, &flow),
            };
        }
        let answer = answer.or_else(|| self.advance(exchange)).or_else(|| self.retreat(exchange));
        self.close(exchange, answer)
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        self.has_response = true;
        let flow = self.retreat(exchange);
        self.close_response(exchange, flow)
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        let flow = self.each_response(exchange, |part, view| part.response_body(view, arrived));
        let flow = flow.or_else(|| self.retreat(exchange));
        self.close_response(exchange, flow)
    }

    fn on_response_end(&mut self, exchange: &dyn Exchange) -> Flow {
        let flow = self.each_response(exchange, |part, view| part.response_end(view));
        let flow = flow.or_else(|| self.retreat(exchange));
        self.close_response(exchange, flow)
    }

    fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        self.parts.text_sink()
    }

    fn on_gone(&mut self, exchange: &dyn Exchange) {
        for place in 0..PARTS {
            self.ask(place, exchange, |part, view| {
                part.gone(view);
                Flow::Keep
            });
        }
    }
}

impl TidegateStream {
    /// Shows the request to those whose turn has come; gives the answer of one that has one.
    fn advance(&mut self, exchange: &dyn Exchange) -> Option<Flow> {
        for place in 0..PARTS {
            if !self.may_see_request(place) {
                continue;
            }
            if let Some(state) = self.states.get_mut(place) {
                state.has_seen_request = true;
            }
            let (arrived, request) = (self.arrived, self.request);
            let answer = self.ask_request(place, exchange, Some(request != Request::Bare), |part, view| {
                part.request_headers(view)
            });
            let late = arrived > 0 || request == Request::Whole;
            let answer = answer.or_else(|| {
                late.then(|| {
                    self.ask_request(place, exchange, None, |part, view| part.request_body(view, arrived))
                })?
            });
            let answer = answer.or_else(|| {
                let ended = request == Request::Whole;
                ended.then(|| self.ask_request(place, exchange, None, |part, view| part.request_end(view)))?
            });
            if answer.is_some() {
                return answer;
            }
        }
        None
    }

    fn may_see_request(&self, place: usize) -> bool {
        let state = |place: usize| self.states.get(place);
        let holds = |place: usize| state(place).is_some_and(|state| state.holds_request);
        let delays = holds(RATE_LIMIT) && state(RATE_LIMIT).is_some_and(|state| state.alarm.get().is_some());
        let turn = match place {
            SLOW_CLIENT => !delays,
            RETRY_BUDGET.. => !(0..place).any(holds),
            _ => true,
        };
        turn && state(place).is_some_and(|state| !state.has_seen_request)
    }

    /// Shows the response to those whose turn has come, from the last filter to the first.
    fn retreat(&mut self, exchange: &dyn Exchange) -> Option<Flow> {
        for place in (0..PARTS).rev() {
            if !self.has_response {
                break;
            }
            let Some(state) = self.states.get_mut(place) else { continue };
            if state.has_seen_request && !state.has_seen_response {
                state.has_seen_response = true;
                let flow = self.ask(place, exchange, |part, view| part.response_headers(view));
                if let Flow::Reply(reply) = flow {
                    return Some(self.pass_out(place, exchange, reply));
                }
                self.follow_response(place, &flow);
            }
            if self.states.get(place).is_some_and(|state| state.holds_response) {
                break;
            }
        }
        None
    }

    fn each_request(
        &mut self,
        exchange: &dyn Exchange,
        mut question: impl FnMut(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Option<Flow> {
        (0..PARTS).find_map(|place| {
            self.states.get(place).filter(|state| state.has_seen_request)?;
            self.ask_request(place, exchange, None, &mut question)
        })
    }

    fn ask_request(
        &mut self,
        place: usize,
        exchange: &dyn Exchange,
        goes_on: Option<bool>,
        question: impl FnOnce(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Option<Flow> {
        let goes_on = goes_on.unwrap_or(self.request == Request::GoesOn);
        match self.ask_as(place, exchange, goes_on, question) {
            Flow::Reply(reply) => Some(self.pass_out(place, exchange, reply)),
            flow => self.follow_request(place, &flow),
        }
    }

    fn each_response(
        &mut self,
        exchange: &dyn Exchange,
        mut question: impl FnMut(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Option<Flow> {
        for place in (0..PARTS).rev() {
            if !self.states.get(place).is_some_and(|state| state.has_seen_response) {
                continue;
            }
            let flow = self.ask(place, exchange, &mut question);
            if let Flow::Reply(reply) = flow {
                return Some(self.pass_out(place, exchange, reply));
            }
            self.follow_response(place, &flow);
            if self.states.get(place).is_some_and(|state| state.holds_response) {
                break;
            }
        }
        None
    }

    fn ask(
        &mut self,
        place: usize,
        exchange: &dyn Exchange,
        question: impl FnOnce(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Flow {
        self.ask_as(place, exchange, self.request == Request::GoesOn, question)
    }

    fn ask_as(
        &mut self,
        place: usize,
        whole: &dyn Exchange,
        request_goes_on: bool,
        question: impl FnOnce(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Flow {
        let (Some(part), Some(state)) = (self.parts.at(place), self.states.get(place)) else {
            return Flow::Keep;
        };
        let offsets = self.offsets.get(place).copied().unwrap_or_default();
        let (alarm, edits) = (&state.alarm, &*self.edits);
        question(part, &View { whole, offsets, alarm, request_goes_on, edits })
    }

    fn follow_request(&mut self, place: usize, flow: &Flow) -> Option<Flow> {
        let state = self.states.get_mut(place)?;
        match flow {
            Flow::Hold => state.holds_request = true,
            Flow::Continue => state.holds_request = false,
            Flow::Keep | Flow::Reply(_) => {}
        }
        None
    }

    fn follow_response(&mut self, place: usize, flow: &Flow) -> Option<Flow> {
        let state = self.states.get_mut(place)?;
        match flow {
            Flow::Hold => state.holds_response = true,
            Flow::Continue => state.holds_response = false,
            Flow::Keep | Flow::Reply(_) => {}
        }
        None
    }

    /// The answer of the filter at `place`, as those before it let it out.
    fn pass_out(&mut self, place: usize, whole: &dyn Exchange, mut reply: Reply) -> Flow {
        for outer in (0..place).rev() {
            let (Some(part), Some(state)) = (self.parts.at(outer), self.states.get(outer)) else { continue };
            if !state.has_seen_request || state.has_seen_response {
                continue;
            }
            let offsets = self.offsets.get(outer).copied().unwrap_or_default();
            let (alarm, edits) = (&state.alarm, &*self.edits);
            let view = View { whole, offsets, alarm, request_goes_on: false, edits };
            part.response_headers(&ReplyView::new(view, &mut reply));
        }
        Flow::Reply(reply)
    }

    /// What is to be said of the request.
    fn close(&self, exchange: &dyn Exchange, answer: Option<Flow>) -> Flow {
        exchange.set_alarm(self.states.iter().filter_map(|state| state.alarm.get()).min());
        if let Some(answer) = answer {
            return answer;
        }
        if self.states.iter().any(|state| state.holds_request || state.holds_response) {
            return Flow::Hold;
        }
        Flow::Continue
    }

    fn close_response(&self, exchange: &dyn Exchange, answer: Option<Flow>) -> Flow {
        exchange.set_alarm(self.states.iter().filter_map(|state| state.alarm.get()).min());
        let holds = self.states.iter().any(|state| state.holds_response);
        answer.unwrap_or(if holds { Flow::Hold } else { Flow::Continue })
    }
}

const _: () =
    assert!(INPUT_LIMIT < RETRY_BUDGET && RATE_LIMIT < SLOW_CLIENT, "the order that the turns assume");

#[cfg(test)]
mod tests;
