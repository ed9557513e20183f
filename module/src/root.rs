//! The root context of a plugin on one worker, used by both adapters: [`http`] for filters, [`network`] for guards. A
//! worker's state is kept here and not in statics, which all plugins of a VM would share.

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "network")]
pub mod network;

use crate::hostcalls;
use crate::task;
use crate::worker::Worker;
use log::error;
use std::rc::Rc;
use tidegate_host::plugin::Plugin;

struct Root<P> {
    configured: Option<(P, Rc<Worker>)>,
    task: Option<Box<dyn task::Root>>,
}

impl<P: Plugin> Root<P> {
    const fn new() -> Self {
        Self { configured: None, task: None }
    }

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

/// Implements the root callbacks that filters and guards have in common: the responses to their task's calls.
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
use task_callbacks;
