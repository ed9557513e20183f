//! The root context of a network filter.

use super::{Root, task_callbacks};
use crate::connection::NetworkStream;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::ContextType;
use std::rc::Rc;
use tidegate_host::connection::Guard;

/// A network filter on one worker.
pub struct Network<G>(Root<G>);

impl<G: Guard> Network<G> {
    /// Creates the root, without a configuration.
    pub const fn new() -> Self {
        Self(Root::new())
    }
}

task_callbacks!(Network, G: Guard);

impl<G: Guard + 'static> RootContext for Network<G>
where
    G::Connection: 'static,
{
    fn on_configure(&mut self, size: usize) -> bool {
        self.0.configure(size, |_, _| {})
    }

    fn on_tick(&mut self) {
        self.0.tick();
    }

    fn on_queue_ready(&mut self, queue: u32) {
        self.0.tell_task(|task| task.on_queue(queue));
    }

    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        let (guard, worker) = self.0.configured.as_ref()?;
        Some(Box::new(NetworkStream::new(id, guard.connection(), Rc::clone(worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }
}
