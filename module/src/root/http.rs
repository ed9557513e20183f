//! The root context of an HTTP filter.

use super::{Root, task_callbacks};
use crate::stream::HttpStream;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::rc::Rc;
use tidegate_host::exchange::Filter;

/// An HTTP filter on one worker.
pub struct Http<F>(Root<F>);

impl<F: Filter> Http<F> {
    /// Creates the root, without a configuration.
    pub const fn new() -> Self {
        Self(Root::new())
    }
}

task_callbacks!(Http, F: Filter);

impl<F: Filter + 'static> RootContext for Http<F> {
    fn on_configure(&mut self, size: usize) -> bool {
        self.0.configure(size, |filter, worker| {
            (worker.max_held, worker.scan) = (filter.max_held(), filter.scan())
        })
    }

    fn on_tick(&mut self) {
        if F::SETS_ALARMS || F::HAS_TASK {
            self.0.tick();
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        self.0.tell_task(|task| task.on_queue(queue));
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let (filter, worker) = self.0.configured.as_ref()?;
        Some(Box::new(HttpStream::<F>::new(id, filter.stream(), Rc::clone(worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
