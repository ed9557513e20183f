//! The tasks of several plugins combined into one, for a plugin that is composed of others. Each part keeps its own
//! counters, alarm, calls and messages; a message carries the index of its part.

use super::{MAX_MESSAGE, Period, StreamId, Task, Worker, WorkerId, Workers};
use crate::call::{Answer, Call, CallId, Refused};
use crate::plugin::Proxy;
use core::cell::{Cell, RefCell};
use tidegate_policy::timestamp::Timestamp;

/// The tasks of all parts, as one task.
pub struct Tasks(Vec<Part>);

/// The task of one part.
pub struct Part {
    task: Box<dyn Task>,
    place: u8,
    counters: usize,
    gauges: usize,
    alarm: Cell<Option<Timestamp>>,
    calls: RefCell<Vec<CallId>>,
}

impl Part {
    /// Creates the part at index `place`. Its counters and gauges begin at these indices of the composite plugin.
    pub fn new(place: u8, task: Box<dyn Task>, counters: usize, gauges: usize) -> Self {
        Self { task, place, counters, gauges, alarm: Cell::default(), calls: RefCell::default() }
    }

    fn ask(&mut self, whole: &dyn Worker, question: impl FnOnce(&mut dyn Task, &dyn Worker)) {
        let Self { task, place, counters, gauges, alarm, calls } = self;
        let workers = PartWorkers { whole: whole.workers(), place: *place };
        let worker = PartWorker { whole, workers, counters: *counters, gauges: *gauges, alarm, calls };
        question(&mut **task, &worker);
    }
}

impl Tasks {
    /// Combines these parts; `None` if there are none.
    pub fn of(parts: Vec<Part>) -> Option<Self> {
        if parts.is_empty() { None } else { Some(Self(parts)) }
    }

    fn set_alarm(&self, whole: &dyn Worker) {
        whole.set_alarm(self.0.iter().filter_map(|part| part.alarm.get()).min());
    }
}

impl Task for Tasks {
    fn period(&self) -> Period {
        self.0.iter().map(|part| part.task.period()).min().unwrap_or(Period::LONGEST)
    }

    fn on_start(&mut self, whole: &dyn Worker) {
        self.0.iter_mut().for_each(|part| part.ask(whole, |task, worker| task.on_start(worker)));
        self.set_alarm(whole);
    }

    fn on_tick(&mut self, whole: &dyn Worker) {
        for part in &mut self.0 {
            part.alarm.set(part.alarm.get().filter(|at| *at > whole.now()));
            part.ask(whole, |task, worker| task.on_tick(worker));
        }
        self.set_alarm(whole);
    }

    fn on_answer(&mut self, whole: &dyn Worker, call: CallId, answer: Answer) {
        let made = |part: &&mut Part| {
            let mut calls = part.calls.borrow_mut();
            let place = calls.iter().position(|made| *made == call);
            place.map(|place| calls.swap_remove(place)).is_some()
        };
        if let Some(part) = self.0.iter_mut().find(|part| made(part)) {
            part.ask(whole, |task, worker| task.on_answer(worker, call, answer));
            self.set_alarm(whole);
        }
    }

    fn on_wake(&mut self, whole: &dyn Worker, message: &[u8]) {
        let Some((place, message)) = message.split_first() else { return };
        if let Some(part) = self.0.iter_mut().find(|part| part.place == *place) {
            part.ask(whole, |task, worker| task.on_wake(worker, message));
            self.set_alarm(whole);
        }
    }
}

/// The workers as seen by the task and the streams of a part: a message reaches the same part on the other worker.
#[derive(Clone, Copy)]
pub struct PartWorkers<'a> {
    /// The workers as seen by the composite plugin.
    pub whole: &'a dyn Workers,
    /// Index of the part.
    pub place: u8,
}

impl Workers for PartWorkers<'_> {
    fn id(&self) -> Option<WorkerId> {
        self.whole.id()
    }

    fn wake(&self, worker: WorkerId, message: &[u8]) -> bool {
        message.len() < MAX_MESSAGE && self.whole.wake(worker, &[&[self.place], message].concat())
    }

    fn tick_by(&self, at: Timestamp) {
        self.whole.tick_by(at);
    }
}

struct PartWorker<'a> {
    whole: &'a dyn Worker,
    workers: PartWorkers<'a>,
    counters: usize,
    gauges: usize,
    alarm: &'a Cell<Option<Timestamp>>,
    calls: &'a RefCell<Vec<CallId>>,
}

impl Worker for PartWorker<'_> {
    fn call(&self, call: &Call<'_>) -> Result<CallId, Refused> {
        let made = self.whole.call(call)?;
        self.calls.borrow_mut().push(made);
        Ok(made)
    }

    fn ring(&self, stream: StreamId) {
        self.whole.ring(stream);
    }
}

impl Proxy for PartWorker<'_> {
    crate::proxy_facts_by!(whole);

    fn set_alarm(&self, at: Option<Timestamp>) {
        self.alarm.set(at);
    }

    fn count(&self, metric: usize, by: u32) {
        self.whole.count(self.counters.saturating_add(metric), by);
    }

    fn set_gauge(&self, gauge: usize, value: u64) {
        self.whole.set_gauge(self.gauges.saturating_add(gauge), value);
    }

    fn stream(&self) -> Option<StreamId> {
        None
    }

    fn workers(&self) -> &dyn Workers {
        &self.workers
    }
}

#[cfg(test)]
mod tests;
