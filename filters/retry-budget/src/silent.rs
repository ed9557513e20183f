//! The attempt of a request whose client does not state it: the first, unless the same client's identical request has
//! failed here a moment ago. Only a complete JSON body identifies a request well enough, so it is held until it is
//! complete; a request with another body, or none, counts as a first attempt.

use crate::config::SilentRetries;
use tidegate_host::exchange::Exchange;
use tidegate_host::store::update;
use tidegate_limits::client::ClientSources;
use tidegate_policy::attempt::{Failure, FailureSet};
use tidegate_policy::fingerprint::{Fingerprint, Parts};

/// The identity of one such request.
#[derive(Debug, Default)]
pub struct Silent {
    head: Option<Parts>,
    print: Option<Fingerprint>,
}

impl Silent {
    /// Starts the identity of a request whose body is to be read.
    pub fn of(exchange: &dyn Exchange, clients: &ClientSources) -> Self {
        let mut head = exchange.fingerprinter().start();
        let headers = exchange.request_headers();
        clients.client(exchange).parts().iter().for_each(|part| head.add(part));
        [headers.method(), &headers.path()].iter().for_each(|part| head.add(part));
        Self { head: Some(head), print: None }
    }

    /// Returns true if the body is not awaited, or no longer.
    pub const fn is_read(&self) -> bool {
        self.head.is_none()
    }

    /// Returns the attempt, once the body is complete, and consumes the failure that it retries.
    pub fn read(&mut self, exchange: &dyn Exchange, silent: SilentRetries) -> u16 {
        let (head, body) = (self.head.take(), exchange.scan().and_then(|scan| scan.fingerprint()));
        self.print = head.zip(body).map(|(mut print, body)| {
            [body.place, body.mark].iter().for_each(|half| print.add(&half.to_le_bytes()));
            print.finish()
        });
        let Some(Fingerprint { place, mark }) = self.print else { return 0 };
        let now = exchange.now();
        let taken = update(exchange.store(), &silent.table.set(place), |mut set: FailureSet| {
            let attempt = set.take(mark, silent.window, now);
            (attempt.map(|_| set), attempt)
        });
        taken.ok().flatten().unwrap_or(0)
    }

    /// Records that this attempt has failed.
    pub fn remember(&self, exchange: &dyn Exchange, silent: SilentRetries, attempt: u16) {
        let Some(Fingerprint { place, mark }) = self.print else { return };
        let (window, now) = (silent.window, exchange.now());
        let _ = update(exchange.store(), &silent.table.set(place), |mut set: FailureSet| {
            set.remember(Failure { mark, attempt, window }, now);
            (Some(set), ())
        });
    }
}
