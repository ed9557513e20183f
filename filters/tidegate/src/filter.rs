//! The composite as a plugin. Its document holds the document of each filter under the filter's key; a filter whose key is
//! absent is off.

use crate::own::Own;
use crate::parts::{Filters, HAS_TASK, PARTS};
use crate::stream::TidegateStream;
use core::cell::Cell;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::rc::Rc;
use tidegate_config::{ConfigError, parse};
use tidegate_host::exchange::{Filter, Stage};
use tidegate_host::plugin::Plugin;
use tidegate_host::scan::ScanNeeds;
use tidegate_host::task::{Part, Task, Tasks};

macro_rules! raw {
    ($($key:ident: $filter:path,)+) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            $($key: Option<Box<RawValue>>,)+
        }

        impl Raw {
            fn documents(&self) -> [Option<&[u8]>; PARTS] {
                [$(&self.$key),+].map(|document| document.as_ref().map(|raw| raw.get().as_bytes()))
            }
        }
    };
}

tidegate_chain::each_http_filter!(raw);

/// Every HTTP filter in one plugin.
#[derive(Debug)]
pub struct Tidegate {
    pub(crate) filters: Filters,
    names: [(Vec<String>, Vec<String>); PARTS],
    own: Rc<[Own; PARTS]>,
}

impl Plugin for Tidegate {
    const ROOT_ID: &'static str = "tidegate";
    const HAS_TASK: bool = HAS_TASK;

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse(document)?;
        let documents = raw.documents();
        if documents.iter().all(|document| document.is_none()) {
            return Err(ConfigError::new(
                "",
                "found no filter, accepted is at least one, such as rate_limit",
            ));
        }
        let filters = Filters::configure(documents)?;
        let names = filters.names();
        let mut next = (0_usize, 0_usize);
        let mut needs = (0..=u8::MAX).zip(filters.needs());
        let own = names.each_ref().map(|(counters, gauges)| {
            let (place, (scans, max_held)) = needs.next().unwrap_or_default();
            let own = Own { place, counters: next.0, gauges: next.1, scans, max_held, held: Cell::default() };
            next = (next.0.saturating_add(counters.len()), next.1.saturating_add(gauges.len()));
            own
        });
        Ok(Self { filters, names, own: Rc::new(own) })
    }

    fn metrics(&self) -> Vec<String> {
        self.names.iter().flat_map(|(counters, _)| counters.clone()).collect()
    }

    fn gauges(&self) -> Vec<String> {
        self.names.iter().flat_map(|(_, gauges)| gauges.clone()).collect()
    }

    fn task(&self) -> Option<Box<dyn Task>> {
        let tasks = self.filters.tasks().into_iter().zip(self.own.iter());
        let part = |(task, own): (Option<Box<dyn Task>>, &Own)| {
            Some(Part::new(own.place, task?, own.counters, own.gauges))
        };
        Some(Box::new(Tasks::of(tasks.filter_map(part).collect())?))
    }
}

impl Filter for Tidegate {
    type Stream = TidegateStream;
    const STAGE: Stage = Stage::Judge;
    const SCANS: bool = true;
    const READS_RESPONSES: bool = true;
    const REWRITES: bool = true;
    const SETS_ALARMS: bool = true;

    fn scan(&self) -> Option<ScanNeeds> {
        self.filters.scan()
    }

    fn stream(&self) -> TidegateStream {
        TidegateStream::new(self.filters.parts(), Rc::clone(&self.own))
    }
}
