//! Who is asked when, in one exchange.
//!
//! As in a chain, a filter sees a request once those before it have let it go on. Three things are done better than a
//! chain can: filters that wait for the whole body read it at the same time, not one after the other; one that only
//! needs the body is asked at once although an earlier one delays the request; and limits on the model are charged when
//! all else has been judged. What has effects beyond the request, and the watch over slow clients, begins when a chain
//! would begin it.
//!
//! What filters change in the body is changed when that has come to its end, also where a delay holds it longer; a filter
//! that only then has its turn changes nothing.

use crate::own::Own;
use crate::parts::{
    DEGRADATION, HEADER_LIMIT, INPUT_LIMIT, PARTS, Part, Parts, RATE_LIMIT, RETRY_BUDGET, SLOW_CLIENT,
};
use crate::reply::ReplyView;
use crate::view::View;
use core::cell::{Cell, RefCell};
use std::rc::Rc;
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Exchange, Flow, Stream};
use tidegate_host::reply::Reply;
use tidegate_policy::inference::TextSink;
use tidegate_policy::rewrite::Edit;
use tidegate_policy::timestamp::Timestamp;

/// One exchange.
#[derive(Debug)]
pub struct TidegateStream {
    parts: Parts,
    own: Rc<[Own; PARTS]>,
    states: [State; PARTS],
    edits: RefCell<Vec<Edit>>,
    arrived: usize,
    request: Request,
    has_response: bool,
}

/// How far a filter is.
#[derive(Debug, Default)]
struct State {
    alarm: Cell<Option<Timestamp>>,
    request: Turn,
    response: Turn,
}

/// What a filter does with a request, or with its response.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    has_come: bool,
    holds: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Request,
    Response,
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

impl State {
    const fn turn(&mut self, side: Side) -> &mut Turn {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}

impl TidegateStream {
    /// With these parts.
    pub fn new(parts: Parts, own: Rc<[Own; PARTS]>) -> Self {
        Self {
            parts,
            own,
            states: Default::default(),
            edits: RefCell::default(),
            arrived: 0,
            request: Request::GoesOn,
            has_response: false,
        }
    }
}

impl Stream for TidegateStream {
    const SCANS: bool = true;
    const READS_RESPONSES: bool = true;
    const REWRITES: bool = true;
    const SETS_ALARMS: bool = true;

    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if !exchange.request_goes_on() {
            self.request = Request::Bare;
        }
        let answer = self.advance(exchange);
        self.close(Side::Request, exchange, answer)
    }

    fn on_request_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        self.arrived = self.arrived.saturating_add(arrived);
        if !exchange.request_goes_on() {
            self.request = Request::Whole;
        }
        let answer = self.each(Side::Request, exchange, |part, view| part.request_body(view, arrived));
        self.close(Side::Request, exchange, answer)
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.request = Request::Whole;
        let answer = AT_END.into_iter().find_map(|place| {
            let has_come = self.states.get(place)?.request.has_come;
            has_come.then(|| self.ask(place, Side::Request, exchange, |part, view| part.request_end(view)))?
        });
        let answer = answer.or_else(|| self.advance(exchange));
        self.edits.take().into_iter().for_each(|edit| exchange.edit_request(edit));
        self.close(Side::Request, exchange, answer)
    }

    fn on_alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        let side = if self.holds(Side::Response) { Side::Response } else { Side::Request };
        let now = exchange.now();
        let mut answer = None;
        for place in 0..PARTS {
            let Some(state) = self.states.get(place) else { continue };
            if answer.is_none() && state.alarm.get().is_some_and(|at| at <= now) {
                state.alarm.set(None);
                let own = if state.response.has_come { Side::Response } else { Side::Request };
                answer = self.ask(place, own, exchange, |part, view| part.alarm(view));
            }
        }
        let answer = answer.or_else(|| self.advance(exchange)).or_else(|| self.retreat(exchange));
        self.close(side, exchange, answer)
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        self.has_response = true;
        let answer = self.retreat(exchange);
        self.close(Side::Response, exchange, answer)
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        let answer = self.each(Side::Response, exchange, |part, view| part.response_body(view, arrived));
        let answer = answer.or_else(|| self.retreat(exchange));
        self.close(Side::Response, exchange, answer)
    }

    fn on_response_end(&mut self, exchange: &dyn Exchange) -> Flow {
        let answer = self.each(Side::Response, exchange, |part, view| part.response_end(view));
        let answer = answer.or_else(|| self.retreat(exchange));
        self.close(Side::Response, exchange, answer)
    }

    fn wants_scan(&self) -> bool {
        let states = self.states.iter().zip(self.own.iter()).enumerate();
        states.filter(|(_, (_, own))| own.scans).any(|(place, (state, _))| {
            !state.request.has_come || self.parts.get(place).is_some_and(Part::wants)
        })
    }

    fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        self.parts.text_sink()
    }

    fn reads_response(&self) -> ResponseNeeds {
        let states = self.states.iter().enumerate().filter(|(_, state)| state.request.has_come);
        let parts = states.filter_map(|(place, _)| self.parts.get(place));
        parts.map(Part::response_needs).fold(ResponseNeeds::NONE, ResponseNeeds::and)
    }

    fn on_gone(&mut self, exchange: &dyn Exchange) {
        for place in 0..PARTS {
            self.ask(place, Side::Request, exchange, |part, view| {
                part.gone(view);
                Flow::Continue
            });
        }
    }
}

impl TidegateStream {
    /// Shows the request to those whose turn has come; gives the answer of one that has one.
    fn advance(&mut self, exchange: &dyn Exchange) -> Option<Flow> {
        (0..PARTS).find_map(|place| {
            if !self.may_see_request(place) {
                return None;
            }
            self.states.get_mut(place)?.request.has_come = true;
            let (arrived, request) = (self.arrived, self.request);
            self.request = if request == Request::Bare { request } else { Request::GoesOn };
            let answer = self.ask(place, Side::Request, exchange, |part, view| part.request_headers(view));
            self.request = request;
            let late = (answer.is_none() && (arrived > 0 || request == Request::Whole)).then_some(());
            let answer = answer.or_else(|| {
                late?;
                self.ask(place, Side::Request, exchange, |part, view| part.request_body(view, arrived))
            });
            answer.or_else(|| {
                late.filter(|()| request == Request::Whole)?;
                self.ask(place, Side::Request, exchange, |part, view| part.request_end(view))
            })
        })
    }

    fn may_see_request(&self, place: usize) -> bool {
        let state = |place: usize| self.states.get(place);
        let holds = |place: usize| state(place).is_some_and(|state| state.request.holds);
        let delays = holds(RATE_LIMIT) && state(RATE_LIMIT).is_some_and(|state| state.alarm.get().is_some());
        let turn = match place {
            SLOW_CLIENT => !delays,
            RETRY_BUDGET.. => !(0..place).any(holds),
            _ => true,
        };
        turn && state(place).is_some_and(|state| !state.request.has_come)
    }

    /// Shows the response to those whose turn has come, from the last filter to the first.
    fn retreat(&mut self, exchange: &dyn Exchange) -> Option<Flow> {
        let reached = if self.has_response { PARTS } else { 0 };
        for place in (0..reached).rev() {
            let Some(state) = self.states.get_mut(place) else { continue };
            if state.request.has_come && !state.response.has_come {
                state.response.has_come = true;
                let answer =
                    self.ask(place, Side::Response, exchange, |part, view| part.response_headers(view));
                if answer.is_some() {
                    return answer;
                }
            }
            if self.states.get(place).is_some_and(|state| state.response.holds) {
                break;
            }
        }
        None
    }

    /// Asks those who have seen a request, in their order, or its response, in the opposite order and up to one that
    /// holds it.
    fn each(
        &mut self,
        side: Side,
        exchange: &dyn Exchange,
        mut question: impl FnMut(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Option<Flow> {
        for step in 0..PARTS {
            let place =
                if side == Side::Request { step } else { PARTS.saturating_sub(step).saturating_sub(1) };
            if !self.states.get_mut(place).is_some_and(|state| state.turn(side).has_come) {
                continue;
            }
            let answer = self.ask(place, side, exchange, &mut question);
            if answer.is_some() {
                return answer;
            }
            if side == Side::Response && self.states.get(place).is_some_and(|state| state.response.holds) {
                break;
            }
        }
        None
    }

    /// Asks the filter at `place`; gives its answer, if it has one, as those before it let it out.
    fn ask(
        &mut self,
        place: usize,
        side: Side,
        whole: &dyn Exchange,
        question: impl FnOnce(&mut dyn Part, &View<'_>) -> Flow,
    ) -> Option<Flow> {
        let (part, state, own) = (self.parts.at(place)?, self.states.get(place)?, self.own.get(place)?);
        let request_goes_on = self.request == Request::GoesOn;
        let view = View { whole, own, alarm: &state.alarm, request_goes_on, edits: &self.edits };
        let flow = question(part, &view);
        let holds = match flow {
            Flow::Keep => return None,
            Flow::Reply(reply) => return Some(self.pass_out(place, whole, reply)),
            Flow::Hold => true,
            Flow::Continue => false,
        };
        let turn = self.states.get_mut(place)?.turn(side);
        if side == Side::Request {
            own.hold(turn.holds, holds);
        }
        turn.holds = holds;
        None
    }

    /// The answer of the filter at `place`, as those before it let it out.
    fn pass_out(&mut self, place: usize, whole: &dyn Exchange, mut reply: Reply) -> Flow {
        for outer in (0..place).rev() {
            let (Some(part), Some(state), Some(own)) =
                (self.parts.at(outer), self.states.get(outer), self.own.get(outer))
            else {
                continue;
            };
            if state.request.has_come && !state.response.has_come {
                let view =
                    View { whole, own, alarm: &state.alarm, request_goes_on: false, edits: &self.edits };
                part.response_headers(&ReplyView::new(view, &mut reply));
            }
        }
        Flow::Reply(reply)
    }

    fn holds(&self, side: Side) -> bool {
        self.states.iter().any(|state| match side {
            Side::Request => state.request.holds,
            Side::Response => state.response.holds,
        })
    }

    fn close(&self, side: Side, exchange: &dyn Exchange, answer: Option<Flow>) -> Flow {
        exchange.set_alarm(self.states.iter().filter_map(|state| state.alarm.get()).min());
        answer.unwrap_or(if self.holds(side) { Flow::Hold } else { Flow::Continue })
    }
}

/// The order at the end of a request: what it asks is judged before it is charged to limits on its model.
const AT_END: [usize; PARTS] =
    [HEADER_LIMIT, SLOW_CLIENT, INPUT_LIMIT, RATE_LIMIT, RETRY_BUDGET, DEGRADATION];

const _: () =
    assert!(INPUT_LIMIT < RETRY_BUDGET && RATE_LIMIT < SLOW_CLIENT, "the order that the turns assume");

#[cfg(test)]
mod tests;
