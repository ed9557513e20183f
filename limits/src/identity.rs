//! Selects the bucket that a limit charges: one for each combination of values that it counts by. A path counts in its
//! canonical form and without its query, which a client can vary at will. An absent header or model is a value too.

use crate::client::ClientSources;
use crate::model::Named;
use tidegate_host::exchange::Exchange;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};

/// The parts that a limit counts by; none means one bucket for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The parts, in the order written.
    pub parts: Vec<Part>,
}

/// A part of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The client that sent the request.
    Client,
    /// The network that the request came from.
    Address,
    /// The path without its query.
    Path,
    /// The method.
    Method,
    /// All values of this header.
    Header(Vec<u8>),
    /// The model that the request names.
    Model,
}

impl Identity {
    /// Returns the fingerprint of the values in this request's head.
    pub fn fingerprint(&self, exchange: &dyn Exchange, sources: &ClientSources) -> Fingerprint {
        let mut print = exchange.fingerprinter().start();
        let headers = || exchange.request_headers();
        for part in &self.parts {
            match part {
                Part::Model => continue,
                Part::Client => sources.client(exchange).parts().map(|bytes| print.add(bytes)),
                Part::Address => {
                    let network = sources.network(exchange);
                    [b"address".as_slice(), network.as_ref().map_or(b"", |bytes| bytes)]
                        .map(|bytes| print.add(bytes))
                }
                Part::Path => [b"path".as_slice(), &headers().path()].map(|bytes| print.add(bytes)),
                Part::Method => [b"method", headers().method()].map(|bytes| print.add(bytes)),
                Part::Header(name) => {
                    let count = headers().all(name).count().to_le_bytes();
                    headers().all(name).for_each(|value| print.add(value));
                    [name.as_slice(), &count].map(|bytes| print.add(bytes))
                }
            };
        }
        print.finish()
    }

    /// Returns the fingerprint of all values: those of the head, and the model if it counts.
    pub fn with_model(&self, head: Fingerprint, model: &Named, prints: Fingerprinter) -> Fingerprint {
        if !self.parts.contains(&Part::Model) {
            return head;
        }
        let [place, mark] = [head.place, head.mark].map(u64::to_le_bytes);
        let (kind, name) = match model {
            Named::Name(name) => ("model", name.as_str()),
            Named::Unreadable => ("unreadable", ""),
        };
        prints.of([&place, &mark, kind.as_bytes(), name.as_bytes()])
    }
}
