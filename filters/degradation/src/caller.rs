//! What a request's head says of how its answer is judged: whether it asks a model to work at all, who asks, and whether
//! its outcome stands in the status. Inference is judged by inference: a list of models that is answered says nothing of
//! chats that fail, and is not kept from the cluster when they do.

use crate::config::Config;
use tidegate_host::exchange::Exchange;
use tidegate_policy::api::Api;
use tidegate_policy::health::Who;

/// Who asks for what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// The API that is asked.
    pub api: Api,
    /// Whether a model is to work.
    pub asks_a_model: bool,
    /// Who asks.
    pub who: Who,
}

impl Caller {
    /// Of a request that goes on: one without a body asks no model. One host call for the address.
    pub fn of(exchange: &dyn Exchange, config: &Config) -> Self {
        let api = Api::of(&exchange.request_headers().path());
        let who = if api.is_inference() { who(exchange, config) } else { Who::default() };
        Self { api, asks_a_model: api.is_inference(), who }
    }

    /// Whether an answer comes as a whole unless a stream was asked for, so that its time is that of the whole.
    pub const fn streams_only_if_asked(&self) -> bool {
        self.api.may_be_kept()
    }
}

fn who(exchange: &dyn Exchange, config: &Config) -> Who {
    let prints = exchange.fingerprinter();
    let address = config.clients.network(exchange).unwrap_or_default();
    Who {
        address: prints.of([b"address".as_slice(), &address]).mark,
        key: prints.of(config.clients.client(exchange).parts()).mark,
    }
}
