//! Turns a filter into proxy-wasm contexts, once for all filters. The state of a worker lives here and not in
//! statics, which all plugins of a VM share.

use crate::exchange::Worker;
use crate::hostcalls;
use crate::stream::HttpStream;
use crate::timer::Timer;
use core::cell::Cell;
use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::rc::Rc;
use tidegate_host::exchange::Filter;
use tidegate_policy::fingerprint::Fingerprinter;

/// One plugin on one worker.
pub struct Root<F> {
    configured: Option<(F, Rc<Worker>)>,
}

impl<F> Default for Root<F> {
    fn default() -> Self {
        Self { configured: None }
    }
}

impl<F: Filter> Root<F> {
    fn configure(&mut self, document: &[u8]) -> Result<(), String> {
        let filter = F::configure(document).map_err(|error| error.to_string())?;
        let key = hostcalls::hash_key().ok_or("the host gives no random bytes or keeps no shared data")?;
        let worker = Worker {
            timer: Timer::default(),
            held: Cell::default(),
            max_held: filter.max_held(),
            fingerprinter: Fingerprinter::new(key),
            metrics: filter.metrics().iter().map(|name| hostcalls::define_counter(name)).collect(),
            random: Cell::new(hostcalls::random_seed()),
        };
        self.configured = Some((filter, Rc::new(worker)));
        Ok(())
    }
}

impl<F: Filter> Context for Root<F> {}

impl<F: Filter + 'static> RootContext for Root<F>
where
    F::Stream: 'static,
{
    fn on_configure(&mut self, size: usize) -> bool {
        let configured = self.configure(&hostcalls::configuration(size));
        if let Err(reason) = &configured {
            error!("{} configuration refused: {reason}", F::ROOT_ID);
        }
        configured.is_ok()
    }

    fn on_tick(&mut self) {
        if let Some((_, worker)) = &self.configured {
            worker.timer.tick(hostcalls::now());
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let (filter, worker) = self.configured.as_ref()?;
        Some(Box::new(HttpStream::new(id, filter.stream(), Rc::clone(worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
