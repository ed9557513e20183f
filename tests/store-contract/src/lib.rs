//! A filter for the tests: it answers every request with what the store contract says of the proxy that it
//! runs in, 200 if all statements hold, 500 with the first that does not. Each request uses keys of its own.
//!
//! A request for `/held` goes on. Its response is held until an alarm lets it go, and the bytes that were shown of it are
//! counted. One below `/read/` goes on too, and what its response reported of its cost is counted when the exchange is over.

use tidegate_config::ConfigError;
use tidegate_host::bodies::ResponseNeeds;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::reply::Reply;
use tidegate_host::store::contract;
use tidegate_policy::answer::Metering;

/// Nanoseconds for which a response is held.
const HOLD: u64 = 300_000_000;

/// What is counted.
const NAMES: [&str; 7] = ["shown", "prompt", "completion", "cached", "events", "characters", "unreadable"];

/// All of a response.
const ALL: ResponseNeeds = ResponseNeeds { content: true, errors: true, usage: true };

/// The filter.
#[derive(Debug)]
pub struct StoreContract;

/// One exchange.
#[derive(Debug, Default)]
pub struct Exchanged {
    reads: bool,
}

impl Plugin for StoreContract {
    const ROOT_ID: &'static str = "store-contract";

    fn configure(_: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn metrics(&self) -> Vec<String> {
        NAMES.iter().map(|name| format!("tidegate.store_contract.{name}")).collect()
    }
}

impl Filter for StoreContract {
    type Stream = Exchanged;
    const STAGE: Stage = Stage::Judge;
    const SETS_ALARMS: bool = true;
    const READS_RESPONSES: bool = true;

    fn stream(&self) -> Exchanged {
        Exchanged::default()
    }
}

impl Stream for Exchanged {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let path = exchange.request_headers().only(b":path").unwrap_or_default();
        self.reads = path.starts_with(b"/read/");
        if self.reads || path == b"/held" {
            return Flow::Continue;
        }
        let (status, body) = match contract::check(exchange.store(), &exchange.random().to_le_bytes()) {
            Ok(()) => (200, "the store keeps its contract"),
            Err(statement) => (500, statement),
        };
        Flow::Reply(Reply {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            message: body.to_owned(),
            details: "tidegate.store_contract".to_owned(),
        })
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if self.reads {
            return Flow::Keep;
        }
        exchange.set_alarm(Some(exchange.now().plus(HOLD)));
        Flow::Hold
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, _: usize) -> Flow {
        if !self.reads {
            exchange.count(0, u32::try_from(exchange.arrived().len()).unwrap_or(u32::MAX));
        }
        Flow::Keep
    }

    fn reads_response(&self) -> ResponseNeeds {
        if self.reads { ALL } else { ResponseNeeds::NONE }
    }

    fn on_gone(&mut self, exchange: &dyn Exchange) {
        let Some(response) = exchange.response() else { return };
        let Metering { usage, content_events, characters, .. } = response.metering();
        let counts =
            [usage.prompt(), usage.completion(), usage.cached(), Some(content_events), Some(characters)];
        for (metric, count) in (1..).zip(counts) {
            let count = count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
            if count > 0 {
                exchange.count(metric, count);
            }
        }
        if !response.is_readable() {
            exchange.count(6, 1);
        }
    }
}
