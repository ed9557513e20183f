//! A plugin's life on a worker, beside its streams: what it does by the clock, whom it calls, what other workers tell
//! it, and which of its streams it lets go on.
//!
//! A task lives on every thread that has the plugin: on each worker, and on the proxy's main thread, which has no streams.
//! It starts at the first tick, or the first message, after its configuration and not in it, since configurations are also
//! tried in VMs that are thrown away. After a trap, its successor starts with the first request that the worker gets.
//! While a configuration is replaced, the old task and the new one live side by side. What must be done once is therefore
//! done by a leader ([`Election`](crate::election::Election)).
//!
//! A task and the streams of its worker share what their plugin gave them, such as an `Rc`. No callback of one runs within
//! a callback of the other.

mod parts;

use crate::call::{Answer, Call, CallId, Refused};
use crate::plugin::Proxy;
use tidegate_policy::timestamp::Timestamp;

pub use parts::{Part, PartWorkers, Tasks};

/// The longest message to another worker, in bytes.
pub const MAX_MESSAGE: usize = 256;

/// How many messages a worker hears at a time; others after what else waits on its thread.
pub const MAX_MESSAGES: usize = 64;

/// What a plugin does on one worker.
pub trait Task {
    /// How often `on_tick` is called at least.
    fn period(&self) -> Period;

    /// Once, before all else.
    fn on_start(&mut self, _worker: &dyn Worker) {}

    /// Time has passed: a period, or less if somebody asked for an earlier tick.
    fn on_tick(&mut self, worker: &dyn Worker);

    /// A call that this task made has ended. Not called twice for one call, and in no order.
    fn on_answer(&mut self, _worker: &dyn Worker, _call: CallId, _answer: Answer) {}

    /// A worker, this one included, has sent a message here ([`Workers::wake`]). Messages can be lost, and come from workers
    /// that run another version of the plugin.
    fn on_wake(&mut self, _worker: &dyn Worker, _message: &[u8]) {}
}

/// A worker as its task sees it. As a [`Proxy`]: it has no peer and no stream, and its alarm is an earlier `on_tick`.
pub trait Worker: Proxy {
    /// Calls an upstream; the answer comes to [`Task::on_answer`]. Refused without a host call if
    /// [`MAX_IN_FLIGHT`](crate::call::MAX_IN_FLIGHT) calls of this task have no answer yet, and if it is malformed. One host
    /// call.
    fn call(&self, call: &Call<'_>) -> Result<CallId, Refused>;

    /// Calls [`Stream::on_ring`](crate::exchange::Stream::on_ring) of a stream of this worker once this callback is over.
    /// Nothing happens to a stream that is gone, or that has no alarm set: a message that wakes can be lost, so no stream
    /// may wait for one alone. Nor to a connection. A walk over the worker's alarms, and one host call.
    fn ring(&self, stream: StreamId);
}

/// The workers of the proxy, as a stream or a task of one of them sees them. Without a task there are none.
pub trait Workers {
    /// This worker as others can wake it. Not known where there is no task. Two host calls the first time. A worker whose
    /// VM trapped is another one when it comes back.
    fn id(&self) -> Option<WorkerId>;

    /// Sends a message to the task of a worker. False if it is longer than [`MAX_MESSAGE`], or the worker was never there; a
    /// worker that is gone is not told from one that is busy, and keeps what it was sent for as long as the proxy lives: a
    /// worker that does not say that it lives must not be woken for ever. One host call.
    fn wake(&self, worker: WorkerId, message: &[u8]) -> bool;

    /// Has the `on_tick` of this worker's task called at this time at the latest, rounded up to a millisecond.
    fn tick_by(&self, at: Timestamp);
}

/// One worker, named for all of them. Its number can be kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// One stream, named for the worker that it runs on. Its number can be kept in the store, beside that of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// How often a task's time comes: 5 ms to an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

impl Period {
    /// 5 ms.
    pub const SHORTEST: Self = Self(5_000_000);

    /// An hour.
    pub const LONGEST: Self = Self(3_600_000_000_000);

    /// Every so many nanoseconds; `None` outside of the range.
    pub const fn new(nanos: u64) -> Option<Self> {
        if nanos < Self::SHORTEST.0 || nanos > Self::LONGEST.0 { None } else { Some(Self(nanos)) }
    }

    /// In nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

/// What a plugin without a task knows of other workers: nothing.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Workers for Alone {
    fn id(&self) -> Option<WorkerId> {
        None
    }

    fn wake(&self, _: WorkerId, _: &[u8]) -> bool {
        false
    }

    fn tick_by(&self, _: Timestamp) {}
}
