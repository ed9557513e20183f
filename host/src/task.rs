//! Work of a plugin on a worker outside of its streams: ticks, calls to upstreams, messages from other workers, and
//! waking streams.
//!
//! A task runs on every thread that has the plugin: on each worker, and on the proxy's main thread, which has no
//! streams. It starts at the first tick or message after configuration, not during it, because Envoy also tries
//! configurations in VMs that it discards. After a trap, its successor starts with the worker's next request. While a
//! configuration is replaced, both tasks run side by side, so work that must be done once belongs to a leader
//! ([`Election`](crate::election::Election)). A task and the streams of its worker share what their plugin gave them,
//! such as an `Rc`; their callbacks never nest.

mod parts;

use crate::call::{Answer, Call, CallId, Refused};
use crate::plugin::Proxy;
use tidegate_policy::timestamp::Timestamp;

pub use parts::{Part, PartWorkers, Tasks};

/// Maximum size of a message to another worker, in bytes.
pub const MAX_MESSAGE: usize = 256;

/// Maximum number of messages delivered in a row; the rest follow after other pending work on the thread.
pub const MAX_MESSAGES: usize = 64;

/// The callbacks of a plugin's task on one worker.
pub trait Task {
    /// Returns the longest interval between two calls of `on_tick`.
    fn period(&self) -> Period;

    /// Called once, before all other callbacks.
    fn on_start(&mut self, _worker: &dyn Worker) {}

    /// Called after each period, or earlier if an earlier tick was requested.
    fn on_tick(&mut self, worker: &dyn Worker);

    /// Called when a call of this task ends: exactly once for each call, in any order.
    fn on_answer(&mut self, _worker: &dyn Worker, _call: CallId, _answer: Answer) {}

    /// Called when a worker, possibly this one, has sent a message ([`Workers::wake`]). Messages can be lost, and can
    /// come from workers that run another version of the plugin.
    fn on_wake(&mut self, _worker: &dyn Worker, _message: &[u8]) {}
}

/// The worker of a task. As a [`Proxy`] it has no peer and no stream, and its alarm is an earlier `on_tick`.
pub trait Worker: Proxy {
    /// Calls an upstream; [`Task::on_answer`] receives the response. Refused without a host call if
    /// [`MAX_IN_FLIGHT`](crate::call::MAX_IN_FLIGHT) calls of this task are pending or the call is malformed. One
    /// host call.
    fn call(&self, call: &Call<'_>) -> Result<CallId, Refused>;

    /// Calls [`Stream::on_ring`](crate::exchange::Stream::on_ring) of a stream of this worker after this callback.
    /// Has no effect on a connection, on a stream that is gone, or on one without an alarm: since a wake-up message
    /// can be lost, no stream may rely on one alone. Takes a walk over the worker's alarms, and one host call.
    fn ring(&self, stream: StreamId);
}

/// The workers of the proxy, as seen from a stream or a task of one of them. Without a task there are none.
pub trait Workers {
    /// Returns the id by which others can wake this worker; `None` without a task. A worker whose VM trapped gets a
    /// new id. Two host calls the first time.
    fn id(&self) -> Option<WorkerId>;

    /// Sends a message to the task of a worker. Returns false if it is longer than [`MAX_MESSAGE`] or the worker
    /// never existed. A worker that is gone cannot be distinguished from a busy one, and its undelivered messages
    /// stay in memory as long as the proxy runs; stop waking a worker that does not report that it is alive. One host
    /// call.
    fn wake(&self, worker: WorkerId, message: &[u8]) -> bool;

    /// Requests an `on_tick` of this worker's task at this time at the latest, rounded up to a millisecond.
    fn tick_by(&self, at: Timestamp);
}

/// The id of a worker, valid on all workers. It can be kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// The id of a stream on its worker. It can be kept in the store, together with the worker's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// The period of a task: 5 ms to one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

impl Period {
    /// The shortest period, 5 ms.
    pub const SHORTEST: Self = Self(5_000_000);

    /// The longest period, one hour.
    pub const LONGEST: Self = Self(3_600_000_000_000);

    /// Returns a period of `nanos` nanoseconds; `None` if it is out of range.
    pub const fn new(nanos: u64) -> Option<Self> {
        if nanos < Self::SHORTEST.0 || nanos > Self::LONGEST.0 { None } else { Some(Self(nanos)) }
    }

    /// Returns the period in nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

/// The workers as seen by a plugin without a task: none.
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
