//! A worker with a task, for tests. The test decides how upstreams and other workers behave: responses arrive late,
//! twice, never and in any order, messages between workers are lost, and workers die.

use super::FakeProxy;
use crate::call::{Answer, Call, CallId, InFlight, Refused};
use crate::plugin::Plugin;
use crate::proxy_by;
use crate::task::{MAX_MESSAGES, StreamId, Task, Worker, WorkerId};
use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tidegate_policy::timestamp::Timestamp;

/// One worker with a task.
pub struct FakeWorker {
    /// The worker, without its task.
    pub proxy: FakeProxy,
    /// True if the proxy refuses all calls, as it does for an unknown cluster.
    pub unreachable: Cell<bool>,
    task: Option<Box<dyn Task>>,
    desk: Desk,
}

/// The state that the adapter keeps for a task.
#[derive(Default)]
struct Desk {
    in_flight: RefCell<InFlight<u64>>,
    made: RefCell<Vec<Made>>,
    tokens: Cell<u64>,
    rung: RefCell<Vec<StreamId>>,
    alarm: Cell<Option<Timestamp>>,
    due: Cell<Option<Timestamp>>,
    has_started: Cell<bool>,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    token: u64,
    /// Name of the cluster, or the serialised upstream.
    pub upstream: String,
    /// Path, or `service/method`.
    pub target: String,
    /// Body, or message.
    pub body: Vec<u8>,
    /// Deadline, in milliseconds.
    pub deadline: u32,
}

impl FakeWorker {
    /// Returns a worker that runs the task of `plugin`, if it has one.
    pub fn running<P: Plugin>(plugin: &P) -> Self {
        Self::on(FakeProxy::running(plugin), plugin)
    }

    /// Returns another worker of the same proxy, with a plugin of its own.
    pub fn beside<P: Plugin>(&self, plugin: &P) -> Self {
        Self::on(self.proxy.beside(), plugin)
    }

    fn on<P: Plugin>(proxy: FakeProxy, plugin: &P) -> Self {
        Self::with(proxy, plugin.task())
    }

    /// Returns a worker that runs this task.
    pub fn with(proxy: FakeProxy, task: Option<Box<dyn Task>>) -> Self {
        let desk = Desk { due: Cell::new(Some(Timestamp::from_nanos(proxy.now.get()))), ..Desk::default() };
        Self { proxy, unreachable: Cell::default(), task, desk }
    }

    /// Traps the VM: the task and all its state are lost.
    pub fn die(&mut self) {
        (self.task, self.desk) = (None, Desk::default());
        self.proxy.id.set(None);
    }

    /// Advances the clock and calls the ticks that fall due.
    pub fn advance(&mut self, nanos: u64) {
        let end = self.proxy.now.get().saturating_add(nanos);
        while let Some(at) = self.next_tick().filter(|at| self.task.is_some() && at.as_nanos() <= end) {
            self.proxy.now.set(self.proxy.now.get().max(at.as_nanos()));
            self.tick();
        }
        self.proxy.now.set(end);
    }

    fn next_tick(&self) -> Option<Timestamp> {
        [self.desk.due.get(), self.desk.alarm.get(), self.proxy.tick_by.get()].into_iter().flatten().min()
    }

    fn start(&mut self) {
        if !self.desk.has_started.replace(true) {
            self.ask(|task, worker| task.on_start(worker));
        }
    }

    fn tick(&mut self) {
        let now = Timestamp::from_nanos(self.proxy.now.get());
        let period = self.task.as_ref().map(|task| task.period().nanos());
        self.desk.due.set(period.map(|period| now.plus(period)));
        self.desk.alarm.set(self.desk.alarm.get().filter(|at| *at > now));
        self.proxy.tick_by.set(self.proxy.tick_by.get().filter(|at| *at > now));
        self.start();
        loop {
            let silent = self.desk.in_flight.borrow_mut().take_silent(now);
            let Some(call) = silent else { break };
            self.ask(|task, worker| task.on_answer(worker, call, Answer::Silence));
        }
        self.ask(|task, worker| task.on_tick(worker));
    }

    /// Returns the calls made since the last time this was called.
    pub fn take_calls(&self) -> Vec<Made> {
        self.desk.made.take()
    }

    /// Ends a call, in time or late, for the first time or again.
    pub fn answer(&mut self, call: &Made, answer: Answer) {
        let id = self.desk.in_flight.borrow_mut().take(&call.token);
        if let Some(id) = id {
            self.ask(|task, worker| task.on_answer(worker, id, answer));
        }
    }

    /// Delivers the messages sent to this worker.
    pub fn hear(&mut self) {
        let Some(id) = self.proxy.id.get() else { return };
        self.start();
        for message in self.proxy.post.take(id) {
            self.ask(|task, worker| task.on_wake(worker, &message));
        }
    }

    /// Returns the streams rung since the last time this was called.
    pub fn take_rung(&self) -> Vec<StreamId> {
        self.desk.rung.take()
    }

    fn ask(&mut self, question: impl FnOnce(&mut dyn Task, &dyn Worker)) {
        let Some(task) = &mut self.task else { return };
        let Self { proxy, desk, unreachable, .. } = self;
        proxy.calls.begin();
        let streams_alarm = proxy.alarm.replace(desk.alarm.get());
        let stream = proxy.stream.take();
        question(&mut **task, &FakeTaskWorker { proxy, desk, refuses: unreachable.get() });
        desk.alarm.set(proxy.alarm.replace(streams_alarm));
        proxy.stream.set(stream);
    }
}

struct FakeTaskWorker<'a> {
    proxy: &'a FakeProxy,
    desk: &'a Desk,
    refuses: bool,
}

proxy_by!(FakeTaskWorker<'_>, proxy);

impl Worker for FakeTaskWorker<'_> {
    fn call(&self, call: &Call<'_>) -> Result<CallId, Refused> {
        let mut in_flight = self.desk.in_flight.borrow_mut();
        if !in_flight.has_room() {
            return Err(Refused::Full);
        }
        if !call.is_well_formed() {
            return Err(Refused::Malformed);
        }
        self.proxy.calls.make();
        if self.refuses {
            return Err(Refused::Unreachable);
        }
        let token = self.desk.tokens.get();
        self.desk.tokens.set(token.wrapping_add(1));
        let (upstream, target, body) = match call {
            Call::Http(call) => (call.cluster, call.path.to_owned(), call.body),
            Call::Grpc(call) => {
                (call.upstream.as_str(), format!("{}/{}", call.service, call.method), call.message)
            }
        };
        let deadline = call.deadline().millis();
        let made = Made { token, upstream: upstream.to_owned(), target, body: body.to_vec(), deadline };
        self.desk.made.borrow_mut().push(made);
        let now = Timestamp::from_nanos(self.proxy.now.get());
        Ok(in_flight.add(token, call.deadline().gives_up_at(now)))
    }

    fn ring(&self, stream: StreamId) {
        self.desk.rung.borrow_mut().push(stream);
    }
}

/// Messages in transit between the workers of one proxy. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Post(Rc<Messages>);

#[derive(Debug, Default)]
struct Messages {
    waiting: RefCell<BTreeMap<WorkerId, Vec<Vec<u8>>>>,
    to_lose: Cell<usize>,
}

impl Post {
    /// Loses the next `messages` messages.
    pub fn lose(&self, messages: usize) {
        self.0.to_lose.set(messages);
    }

    pub(super) fn new_worker(&self) -> WorkerId {
        let mut waiting = self.0.waiting.borrow_mut();
        let id = WorkerId(u32::try_from(waiting.len()).unwrap_or(u32::MAX));
        waiting.insert(id, Vec::new());
        id
    }

    pub(super) fn send(&self, to: WorkerId, message: &[u8]) -> bool {
        let mut waiting = self.0.waiting.borrow_mut();
        let Some(messages) = waiting.get_mut(&to) else { return false };
        match self.0.to_lose.get().checked_sub(1) {
            Some(left) => self.0.to_lose.set(left),
            None => messages.push(message.to_vec()),
        }
        true
    }

    fn take(&self, to: WorkerId) -> Vec<Vec<u8>> {
        let mut waiting = self.0.waiting.borrow_mut();
        let Some(messages) = waiting.get_mut(&to) else { return Vec::new() };
        let first = messages.len().min(MAX_MESSAGES);
        messages.drain(..first).collect()
    }
}

#[cfg(test)]
mod tests;
