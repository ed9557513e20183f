//! The queue by which other workers wake this one. The host calls the root of the VM that registered the queue, on
//! its own thread, once per message.
//!
//! A queue is never removed, and one registered in a VM that is discarded is never emptied. It is therefore
//! registered when the worker's id is first asked for, which never happens during configuration.

use crate::hostcalls;
use core::cell::Cell;
use tidegate_host::task::{MAX_MESSAGE, WorkerId};

/// The queue of one task.
#[derive(Debug, Default)]
pub struct Queue {
    id: Cell<Option<u32>>,
}

impl Queue {
    /// Returns the id by which others can wake this worker.
    pub fn id(&self) -> Option<WorkerId> {
        if self.id.get().is_none() {
            self.id.set(hostcalls::new_queue());
        }
        self.id.get().map(WorkerId)
    }

    /// Returns true if `queue` is this one. The host may also report a queue left by a dead VM that this one
    /// replaced.
    pub fn is(&self, queue: u32) -> bool {
        self.id.get() == Some(queue)
    }
}

/// Sends a message to a worker. Returns false if it is too long, or the worker never existed.
pub fn send(worker: WorkerId, message: &[u8]) -> bool {
    message.len() <= MAX_MESSAGE && hostcalls::enqueue(worker.0, message)
}
