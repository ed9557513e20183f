//! Decides which filter of the composite is called when, by its [`Stage`].
//!
//! As in a chain, a filter sees a request after the filters before it have let the request go on. The composite improves
//! on a chain in three ways: filters that wait for the whole body read it at the same time; a filter that only judges
//! the body does so even if an earlier one delays the request; and limits on the model are charged after the request has
//! been judged. Filters with effects beyond the request start when they would start in a chain.
//!
//! Body edits are applied once, at the end of the body, even if a delay holds the request longer. A filter that sees the
//! request only after that cannot edit the body.

use crate::own::Own;
use crate::parts::{PARTS, Parts, STAGES};
use crate::reply::ReplyView;
use crate::view::View;
use core::cell::{Cell, RefCell};
use std::rc::Rc;
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Exchange, Flow, Stage, Stream};
use tidegate_host::reply::Reply;
use tidegate_policy::inference::TextSink;
use tidegate_policy::rewrite::Edit;
use tidegate_policy::timestamp::Timestamp;

/// The state of the composite in one exchange.
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

/// The progress of one filter in the exchange.
#[derive(Debug, Default)]
struct State {
    alarm: Cell<Option<Timestamp>>,
    request: Turn,
    response: Turn,
}

/// The state of a request, or of its response, in one filter.
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

/// The progress of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// More of it will arrive.
    GoesOn,
    /// It has ended without a body.
    Bare,
    /// It has ended with a body.
    Whole,
}

impl State {
    /// Returns true if it holds the request until a time that it has set.
    const fn delays(&self) -> bool {
        self.request.holds && self.alarm.get().is_some()
    }

    const fn turn(&mut self, side: Side) -> &mut Turn {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}

impl TidegateStream {
    /// Starts an exchange with these parts.
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
        let answer = self.each(Side::Request, exchange, |part, view| part.on_request_body(view, arrived));
        self.close(Side::Request, exchange, answer)
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        self.request = Request::Whole;
        let answer = at_end().find_map(|place| {
            let has_come = self.states.get(place)?.request.has_come;
            has_come
                .then(|| self.ask(place, Side::Request, exchange, |part, view| part.on_request_end(view)))?
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
                answer = self.ask(place, own, exchange, |part, view| part.on_alarm(view));
            }
        }
        let answer = answer.or_else(|| self.advance(exchange)).or_else(|| self.retreat(exchange));
        self.close(side, exchange, answer)
    }

    fn on_ring(&mut self, exchange: &dyn Exchange) -> Flow {
        let side = if self.holds(Side::Response) { Side::Response } else { Side::Request };
        let answer = (0..PARTS).find_map(|place| {
            let state = self.states.get(place).filter(|state| state.request.has_come)?;
            let own = if state.response.has_come { Side::Response } else { Side::Request };
            self.ask(place, own, exchange, |part, view| part.on_ring(view))
        });
        let answer = answer.or_else(|| self.advance(exchange)).or_else(|| self.retreat(exchange));
        self.close(side, exchange, answer)
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        self.has_response = true;
        let answer = self.retreat(exchange);
        self.close(Side::Response, exchange, answer)
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        let answer = self.each(Side::Response, exchange, |part, view| part.on_response_body(view, arrived));
        let answer = answer.or_else(|| self.retreat(exchange));
        self.close(Side::Response, exchange, answer)
    }

    fn on_response_end(&mut self, exchange: &dyn Exchange) -> Flow {
        let answer = self.each(Side::Response, exchange, |part, view| part.on_response_end(view));
        let answer = answer.or_else(|| self.retreat(exchange));
        self.close(Side::Response, exchange, answer)
    }

    fn wants_scan(&self) -> bool {
        let states = self.states.iter().zip(self.own.iter()).enumerate();
        states.filter(|(_, (_, own))| own.scans).any(|(place, (state, _))| {
            !state.request.has_come || self.parts.get(place).is_some_and(<dyn Stream>::wants_scan)
        })
    }

    fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        self.parts.text_sink()
    }

    fn reads_response(&self) -> ResponseNeeds {
        let states = self.states.iter().enumerate().filter(|(_, state)| state.request.has_come);
        let parts = states.filter_map(|(place, _)| self.parts.get(place));
        parts.map(<dyn Stream>::reads_response).fold(ResponseNeeds::NONE, ResponseNeeds::and)
    }

    fn on_gone(&mut self, exchange: &dyn Exchange) {
        for place in 0..PARTS {
            self.ask(place, Side::Request, exchange, |part, view| {
                part.on_gone(view);
                Flow::Continue
            });
        }
    }
}

impl TidegateStream {
    /// Shows the request to each filter whose turn has come, until one replies; returns that reply.
    fn advance(&mut self, exchange: &dyn Exchange) -> Option<Flow> {
        (0..PARTS).find_map(|place| {
            if !self.may_see_request(place) {
                return None;
            }
            self.states.get_mut(place)?.request.has_come = true;
            let (arrived, request) = (self.arrived, self.request);
            self.request = if request == Request::Bare { request } else { Request::GoesOn };
            let answer = self.ask(place, Side::Request, exchange, |part, view| part.on_request_headers(view));
            self.request = request;
            let late = (answer.is_none() && (arrived > 0 || request == Request::Whole)).then_some(());
            let answer = answer.or_else(|| {
                late?;
                self.ask(place, Side::Request, exchange, |part, view| part.on_request_body(view, arrived))
            });
            answer.or_else(|| {
                late.filter(|()| request == Request::Whole)?;
                self.ask(place, Side::Request, exchange, |part, view| part.on_request_end(view))
            })
        })
    }

    fn may_see_request(&self, place: usize) -> bool {
        let (Some(stage), Some(own)) = (STAGES.get(place), self.states.get(place)) else { return false };
        let is_free = match stage {
            Stage::Judge | Stage::Charge => true,
            Stage::Watch => {
                !self.before(place).any(|(stage, state)| *stage == Stage::Charge && state.delays())
            }
            Stage::Effect => !self.before(place).any(|(_, state)| state.request.holds),
        };
        is_free && !own.request.has_come
    }

    fn before(&self, place: usize) -> impl Iterator<Item = (&Stage, &State)> {
        STAGES.iter().zip(&self.states).take(place)
    }

    /// Shows the response to each filter whose turn has come, from the last to the first.
    fn retreat(&mut self, exchange: &dyn Exchange) -> Option<Flow> {
        let reached = if self.has_response { PARTS } else { 0 };
        for place in (0..reached).rev() {
            let Some(state) = self.states.get_mut(place) else { continue };
            if state.request.has_come && !state.response.has_come {
                state.response.has_come = true;
                let answer =
                    self.ask(place, Side::Response, exchange, |part, view| part.on_response_headers(view));
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

    /// Calls each filter that has seen the request, in the order of the list; or its response, in the opposite order and
    /// up to a filter that holds it.
    fn each(
        &mut self,
        side: Side,
        exchange: &dyn Exchange,
        mut question: impl FnMut(&mut dyn Stream, &View<'_>) -> Flow,
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

    /// Calls the filter at `place`; returns its reply, if it has one, as the filters before it let it pass.
    fn ask(
        &mut self,
        place: usize,
        side: Side,
        whole: &dyn Exchange,
        question: impl FnOnce(&mut dyn Stream, &View<'_>) -> Flow,
    ) -> Option<Flow> {
        let (part, state, own) = (self.parts.at(place)?, self.states.get(place)?, self.own.get(place)?);
        let request_goes_on = self.request == Request::GoesOn;
        let view = View { whole, own, alarm: &state.alarm, request_goes_on, edits: &self.edits };
        let flow = question(part, &view);
        let holds = match flow {
            Flow::Keep => return None,
            Flow::Reply(reply) => return Some(self.pass_out(place, whole, reply)),
            Flow::Hold => true,
            Flow::HoldUntil(at) => {
                state.alarm.set(Some(at));
                true
            }
            Flow::Continue => false,
        };
        let turn = self.states.get_mut(place)?.turn(side);
        if side == Side::Request {
            own.hold(turn.holds, holds);
        }
        turn.holds = holds;
        None
    }

    /// Passes the reply of the filter at `place` through the filters before it.
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
                part.on_response_headers(&ReplyView::new(view, &mut reply));
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

/// The order in which filters see the end of a request: those that judge it before those that charge for it, and both before
/// those that have an effect beyond it.
fn at_end() -> impl Iterator<Item = usize> {
    let turn = |stage: &Stage| match stage {
        Stage::Judge | Stage::Watch => 0,
        Stage::Charge => 1,
        Stage::Effect => 2,
    };
    let of = move |now: i32| (0..PARTS).filter(move |place| STAGES.get(*place).map(turn) == Some(now));
    (0..3).flat_map(of)
}

#[cfg(test)]
mod tests;
