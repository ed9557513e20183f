//! Which attempt a request is whose client says nothing: the first, unless it is the same as one that failed here a
//! moment ago, from the same client. Only a whole JSON body tells requests apart well enough, so it is held until it
//! is complete; a request with another body, or with none, counts as a first attempt.

use crate::config::SilentRetries;
use tidegate_host::exchange::Exchange;
use tidegate_host::store::update;
use tidegate_limits::client::ClientSources;
use tidegate_policy::attempt::{Failure, FailureSet};
use tidegate_policy::fingerprint::{Fingerprint, Parts};

/// What is known of one such request.
#[derive(Debug, Default)]
pub struct Silent {
    head: Option<Parts>,
    print: Option<Fingerprint>,
}

impl Silent {
    /// One whose body is to be read.
    pub fn of(exchange: &dyn Exchange, clients: &ClientSources) -> Self {
        let mut head = exchange.fingerprinter().start();
        let headers = exchange.request_headers();
        clients.client(exchange).parts().iter().for_each(|part| head.add(part));
        [headers.method(), &headers.path()].iter().for_each(|part| head.add(part));
        Self { head: Some(head), print: None }
    }

    /// Whether there is nothing that its body could still tell.
    pub const fn is_read(&self) -> bool {
        self.head.is_none()
    }

    /// Its body is complete: which attempt it is. A failure that explains it is taken.
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

    /// It failed as this attempt.
    pub fn remember(&self, exchange: &dyn Exchange, silent: SilentRetries, attempt: u16) {
        let Some(Fingerprint { place, mark }) = self.print else { return };
        let (window, now) = (silent.window, exchange.now());
        let _ = update(exchange.store(), &silent.table.set(place), |mut set: FailureSet| {
            set.remember(Failure { mark, attempt, window }, now);
            (Some(set), ())
        });
    }
}
