//! Whose bucket a limit charges: one for each different value of the parts that it counts by. A path counts in its
//! canonical spelling and without its query, which a client can vary at will; an absent header or model is a value too.

use crate::client::ClientSources;
use crate::model::Named;
use tidegate_host::exchange::Exchange;
use tidegate_policy::fingerprint::{Fingerprint, Fingerprinter};

/// What a limit counts by; nothing means one bucket for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// In the order written.
    pub parts: Vec<Part>,
}

/// One thing to count by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who sent it.
    Client,
    /// The network that it came from.
    Address,
    /// Its path without the query.
    Path,
    /// Its method.
    Method,
    /// All values of this header.
    Header(Vec<u8>),
    /// The model that its body names.
    Model,
}

impl Identity {
    /// The fingerprint of this request's values, as far as its head tells.
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

    /// The fingerprint of all its values: those of its head, and its model if that counts.
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
