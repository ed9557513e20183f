//! The task of one root. The timer wakes it like a stream, so that one tick serves both. It starts when it is first
//! woken.
//!
//! A task may ring streams, whose callbacks may access state that they share with it; so they are rung after its own
//! callback.

use crate::calls::{self, Calls, Token};
use crate::hostcalls;
use crate::proxy::WasmProxy;
use crate::timer::Sleeper;
use crate::wake::{self, Queue};
use crate::worker::Worker;
use core::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use tidegate_host::call::{Answer, Call, CallId, Refused};
use tidegate_host::plugin::Proxy;
use tidegate_host::proxy_by;
use tidegate_host::task::{MAX_MESSAGES, StreamId, Task, Worker as WorkerOfTask, WorkerId, Workers};
use tidegate_policy::timestamp::Timestamp;

/// The id of the task among the sleepers of its worker; no context has it.
const TASK: u32 = 0;

/// Events of the host for a root's task.
pub trait Root {
    /// Called when an HTTP call has ended.
    fn on_http_answer(&self, token: u32, size: usize);
    /// Called when a gRPC call has ended.
    fn on_grpc_answer(&self, token: u32, status: u32, size: usize);
    /// Called when a queue of this VM has a message.
    fn on_queue(&self, queue: u32);
}

/// Runs `task` on `worker` until the returned value is dropped.
pub fn run(task: Box<dyn Task>, worker: &Rc<Worker>) -> Box<dyn Root> {
    let period = task.period().nanos();
    let inner = Rc::new_cyclic(|this| Inner {
        this: Weak::clone(this),
        task: RefCell::new(task),
        worker: Rc::clone(worker),
        calls: Calls::default(),
        queue: Queue::default(),
        rung: RefCell::default(),
        period,
        due: Cell::default(),
        alarm: Cell::default(),
        wakes_at: Cell::default(),
        last: Cell::default(),
        has_started: Cell::default(),
    });
    let workers: Weak<Inner> = Rc::downgrade(&inner);
    worker.join(workers);
    inner.wake_at(hostcalls::now());
    Box::new(Running(inner))
}

struct Running(Rc<Inner>);

struct Inner {
    this: Weak<Self>,
    task: RefCell<Box<dyn Task>>,
    worker: Rc<Worker>,
    calls: Calls,
    queue: Queue,
    rung: RefCell<Vec<StreamId>>,
    period: u64,
    /// End of the current period.
    due: Cell<Timestamp>,
    alarm: Cell<Option<Timestamp>>,
    /// Time at which the timer wakes the task.
    wakes_at: Cell<Option<Timestamp>>,
    /// Time at which the task was last woken.
    last: Cell<Timestamp>,
    has_started: Cell<bool>,
}

impl Inner {
    fn ask(&self, now: Timestamp, question: impl FnOnce(&mut dyn Task, &dyn WorkerOfTask)) {
        let alarm = Cell::new(self.alarm.get());
        if let Ok(mut task) = self.task.try_borrow_mut() {
            let proxy = WasmProxy::new(&self.worker, None, &alarm, Some(now));
            question(&mut **task, &TaskWorker { proxy, inner: self });
        }
        self.alarm.set(alarm.get());
        if let Some(alarm) = alarm.get() {
            self.wake_at(alarm);
        }
        for stream in self.rung.take() {
            self.worker.timer.ring(stream.0, now);
        }
    }

    fn start(&self, now: Timestamp) {
        if !self.has_started.replace(true) {
            self.ask(now, |task, worker| task.on_start(worker));
        }
    }

    fn tick(&self, now: Timestamp) {
        self.wakes_at.set(None);
        self.last.set(now);
        self.due.set(now.plus(self.period));
        self.alarm.set(self.alarm.get().filter(|at| *at > now));
        self.start(now);
        while let Some(call) = self.calls.take_silent(now) {
            self.ask(now, |task, worker| task.on_answer(worker, call, Answer::Silence));
        }
        self.ask(now, |task, worker| task.on_tick(worker));
        self.wake_at(self.due.get());
    }

    /// Sets the timer to wake the task at this time, unless it does so earlier. A task is never woken twice at the
    /// same time, or one tick might never end.
    fn wake_at(&self, at: Timestamp) {
        let at = at.max(self.last.get().plus(1));
        if self.wakes_at.get().is_some_and(|before| before <= at) {
            return;
        }
        let Some(this) = self.this.upgrade() else { return };
        self.sleep_no_more();
        self.worker.timer.set(at, TASK, this);
        self.wakes_at.set(Some(at));
    }

    fn sleep_no_more(&self) {
        if let Some(before) = self.wakes_at.take() {
            self.worker.timer.clear(before, TASK);
        }
    }

    fn hear_answer(&self, token: Token, answer: impl FnOnce() -> Answer) {
        if let Some(call) = self.calls.take(token) {
            let answer = answer();
            self.ask(hostcalls::now(), |task, worker| task.on_answer(worker, call, answer));
        }
    }
}

impl Sleeper for Inner {
    fn wake(self: Rc<Self>, now: Timestamp) {
        self.tick(now);
    }
}

impl Workers for Inner {
    fn id(&self) -> Option<WorkerId> {
        self.queue.id()
    }

    fn wake(&self, worker: WorkerId, message: &[u8]) -> bool {
        wake::send(worker, message)
    }

    fn tick_by(&self, at: Timestamp) {
        self.wake_at(at);
    }
}

impl Root for Running {
    fn on_http_answer(&self, token: u32, size: usize) {
        self.0.hear_answer(Token::Http(token), || calls::http_answer(size));
    }

    fn on_grpc_answer(&self, token: u32, status: u32, size: usize) {
        self.0.hear_answer(Token::Grpc(token), || calls::grpc_answer(status, size));
    }

    fn on_queue(&self, queue: u32) {
        let now = hostcalls::now();
        self.0.start(now);
        for _ in 0..MAX_MESSAGES {
            let Some(message) = hostcalls::dequeue(queue) else { break };
            if self.0.queue.is(queue) {
                self.0.ask(now, |task, worker| task.on_wake(worker, &message));
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.sleep_no_more();
    }
}

struct TaskWorker<'a> {
    proxy: WasmProxy<'a>,
    inner: &'a Inner,
}

proxy_by!(TaskWorker<'_>, proxy);

impl WorkerOfTask for TaskWorker<'_> {
    fn call(&self, call: &Call<'_>) -> Result<CallId, Refused> {
        self.inner.calls.make(call, self.proxy.now())
    }

    fn ring(&self, stream: StreamId) {
        self.inner.rung.borrow_mut().push(stream);
    }
}
