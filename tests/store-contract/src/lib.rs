//! A filter for the tests: it answers every request with what the store contract says of the proxy that it
//! runs in, 200 if all statements hold, 500 with the first that does not. Each request uses keys of its own.
//!
//! A request for `/held` goes on. Its response is held until an alarm lets it go, and the bytes that were shown of it are
//! counted.

use tidegate_host::config::ConfigError;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::reply::Reply;
use tidegate_host::store::contract;

/// Nanoseconds for which a response is held.
const HOLD: u64 = 300_000_000;

/// The filter.
#[derive(Debug)]
pub struct StoreContract;

impl Plugin for StoreContract {
    const ROOT_ID: &'static str = "store-contract";

    fn configure(_: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn metrics(&self) -> Vec<String> {
        vec!["tidegate.store_contract.shown".to_owned()]
    }
}

impl Filter for StoreContract {
    type Stream = Self;
    const STAGE: Stage = Stage::Judge;
    const SETS_ALARMS: bool = true;

    fn stream(&self) -> Self {
        Self
    }
}

impl Stream for StoreContract {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if exchange.request_headers().only(b":path") == Some(b"/held") {
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
        exchange.set_alarm(Some(exchange.now().plus(HOLD)));
        Flow::Hold
    }

    fn on_response_body(&mut self, exchange: &dyn Exchange, _: usize) -> Flow {
        exchange.count(0, u32::try_from(exchange.arrived().len()).unwrap_or(u32::MAX));
        Flow::Keep
    }
}
