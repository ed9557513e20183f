//! Turns a plugin into proxy-wasm contexts, once for all of them: [`Http`] for filters, [`Network`] for guards. The
//! state of a worker lives here and not in statics, which all plugins of a VM share.

use crate::connection::NetworkStream;
use crate::hostcalls;
use crate::stream::HttpStream;
use crate::task;
use crate::worker::Worker;
use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::ContextType;
use std::rc::Rc;
use tidegate_host::connection::Guard;
use tidegate_host::exchange::Filter;
use tidegate_host::plugin::Plugin;

/// An HTTP filter on one worker.
pub struct Http<F>(Root<F>);

/// A network filter on one worker.
pub struct Network<G>(Root<G>);

struct Root<P> {
    configured: Option<(P, Rc<Worker>)>,
    task: Option<Box<dyn task::Root>>,
}

impl<F> Http<F> {
    /// Not configured yet.
    pub const fn new() -> Self {
        Self(Root { configured: None, task: None })
    }
}

impl<G> Network<G> {
    /// Not configured yet.
    pub const fn new() -> Self {
        Self(Root { configured: None, task: None })
    }
}

impl<P: Plugin> Root<P> {
    fn configure(&mut self, size: usize, set_up: impl FnOnce(&P, &mut Worker)) -> bool {
        let plugin = P::configure(&hostcalls::configuration(size)).map_err(|error| error.to_string());
        let configured = plugin.and_then(|plugin| {
            let mut worker = Worker::new(&plugin.metrics(), &plugin.gauges())?;
            set_up(&plugin, &mut worker);
            let worker = Rc::new(worker);
            if P::HAS_TASK {
                self.task = plugin.task().map(|task| task::run(task, &worker));
            }
            self.configured = Some((plugin, worker));
            Ok(())
        });
        if let Err(reason) = &configured {
            error!("{} configuration refused: {reason}", P::ROOT_ID);
        }
        configured.is_ok()
    }

    fn tick(&self) {
        if let Some((_, worker)) = &self.configured {
            worker.timer.tick(hostcalls::now());
        }
    }

    fn tell_task(&self, of: impl FnOnce(&dyn task::Root)) {
        if P::HAS_TASK
            && let Some(task) = &self.task
        {
            of(&**task);
        }
    }
}

/// A plugin's root as the SDK asks it, but for what differs between filters and guards.
macro_rules! task_callbacks {
    ($root:ident, $plugin:ident: $bound:path) => {
        impl<$plugin: $bound> Context for $root<$plugin> {
            fn on_http_call_response(&mut self, token: u32, _: usize, size: usize, _: usize) {
                self.0.tell_task(|task| task.on_http_answer(token, size));
            }

            fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
                self.0.tell_task(|task| task.on_grpc_answer(token, status, size));
            }
        }
    };
}

task_callbacks!(Http, F: Filter);
task_callbacks!(Network, G: Guard);

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
