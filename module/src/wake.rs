//! The queue by which other workers wake this one. The host calls the root of the VM that registered it, on its own thread,
//! once for each message.
//!
//! A queue is never taken away, and one that is registered in a VM that is thrown away is never emptied: so it is registered
//! when somebody asks for the first time who this worker is, and nobody does so in a configuration.

use crate::hostcalls;
use core::cell::Cell;
use tidegate_host::task::{MAX_MESSAGE, WorkerId};

/// The queue of one task.
#[derive(Debug, Default)]
pub struct Queue {
    id: Cell<Option<u32>>,
}

impl Queue {
    /// This worker, as others can wake it.
    pub fn id(&self) -> Option<WorkerId> {
        if self.id.get().is_none() {
            self.id.set(hostcalls::new_queue());
        }
        self.id.get().map(WorkerId)
    }

    /// Whether `queue` is this one. The host may tell of one that a dead VM in the place of this one has left.
    pub fn is(&self, queue: u32) -> bool {
        self.id.get() == Some(queue)
    }
}

/// Sends a message to a worker. False if it is too long, or the worker was never there.
pub fn send(worker: WorkerId, message: &[u8]) -> bool {
    message.len() <= MAX_MESSAGE && hostcalls::enqueue(worker.0, message)
}
