//! One connection. Its alarm is set for the earlier of two times: when the current request head becomes too slow if
//! no more bytes arrive, and when the lease by which the connection is counted must be renewed.

use crate::config::Config;
use std::rc::Rc;
use tidegate_config::{ConfigError, FailureMode};
use tidegate_host::connection::{Connection, Fate, Guard, Link};
use tidegate_host::counters;
use tidegate_host::plugin::Plugin;
use tidegate_host::store::{Contended, update};
use tidegate_policy::connections::{ConnectionSet, Lease, Opening};
use tidegate_policy::request_head::{TooSlow, Tracker};
use tidegate_policy::slot_key::SlotKey;
use tidegate_policy::timestamp::Timestamp;

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.connection_guard." {
        /// Connections that were admitted.
        Admitted = "admitted",
        /// Connections closed because a request head took too long.
        HeaderTimeout = "rejected.header_timeout",
        /// Connections closed because a request head came too slowly.
        HeaderRate = "rejected.header_rate",
        /// Connections closed because their address had too many open.
        TooMany = "rejected.too_many_connections",
        /// Connections closed because their address opened them too fast.
        TooFast = "rejected.too_many_new_connections",
        /// Connections that shadow mode kept open.
        Shadowed = "shadowed",
        /// Connections that could not be counted because sixteen races for their record were lost.
        Contended = "contended",
        /// Connections that could not be counted because their set of the table was full of addresses at their caps.
        Saturated = "saturated",
        /// Addresses forgotten to make room for others; give it more `memory` if it grows.
        Evicted = "evicted",
    }
}

/// Closes connections whose request heads trickle, and those beyond the limits of their address.
#[derive(Debug)]
pub struct ConnectionGuard {
    pub(crate) config: Rc<Config>,
}

/// One connection.
#[derive(Debug)]
pub struct Guarded {
    config: Rc<Config>,
    tracker: Option<Tracker>,
    counted: Option<Counted>,
}

/// The lease of a counted connection.
#[derive(Debug)]
struct Counted {
    key: SlotKey,
    mark: u64,
    lease: Lease,
    renew_at: Timestamp,
}

impl Plugin for ConnectionGuard {
    const ROOT_ID: &'static str = "connection-guard";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self { config: Rc::new(Config::read(document)?) })
    }

    fn metrics(&self) -> Vec<String> {
        Counter::names()
    }
}

impl Guard for ConnectionGuard {
    type Connection = Guarded;

    fn connection(&self) -> Guarded {
        Guarded { config: Rc::clone(&self.config), tracker: None, counted: None }
    }
}

impl Connection for Guarded {
    fn on_open(&mut self, link: &dyn Link) -> Fate {
        let now = link.now();
        if let Some(refused) = self.count(link, now) {
            refused.count(link, 1);
            if refused != Counter::Shadowed {
                return Fate::Close;
            }
        }
        Counter::Admitted.count(link, 1);
        self.tracker = Some(Tracker::new(now));
        self.watch(link, now)
    }

    fn on_data(&mut self, link: &dyn Link, length: usize) -> Fate {
        let now = link.now();
        let Some(tracker) = &mut self.tracker else { return Fate::Keep };
        tracker.read(length, now, |offset, most| link.bytes(offset, most));
        self.watch(link, now)
    }

    fn on_alarm(&mut self, link: &dyn Link) -> Fate {
        let now = link.now();
        if self.counted.as_ref().is_some_and(|counted| counted.renew_at <= now) {
            self.counted = self.counted.take().and_then(|counted| self.renewed(counted, link, now));
        }
        self.watch(link, now)
    }

    fn on_close(&mut self, link: &dyn Link) {
        if let Some(Counted { key, mark, lease, .. }) = self.counted.take() {
            let _ = update(link.store(), &key, |mut set: ConnectionSet| {
                set.close(mark, lease, link.clock());
                (Some(set), ())
            });
        }
    }
}

impl Guarded {
    /// Counts this connection. Returns the counter of the rule that refuses it, if one does.
    fn count(&mut self, link: &dyn Link, now: Timestamp) -> Option<Counter> {
        let Config { caps, table, prefixes, failure_mode, shadow, .. } = &*self.config;
        let address = link.peer().filter(|address| !self.config.exempts(*address))?;
        let print = link.fingerprinter().of([prefixes.network(address).as_slice()]);
        let key = table.set(print.place);
        let opened = update(link.store(), &key, |before: ConnectionSet| {
            let mut set = before.clone();
            let opening = set.open(print.mark, caps, now);
            ((set != before).then_some(set), opening)
        });
        let refused = match opened {
            Ok(Opening::Admitted { lease, evicted }) => {
                let renew_at = lease.renew_at(link.random());
                self.counted = Some(Counted { key, mark: print.mark, lease, renew_at });
                if evicted {
                    Counter::Evicted.count(link, 1);
                }
                return None;
            }
            Ok(Opening::TooMany) => Counter::TooMany,
            Ok(Opening::TooFast) => Counter::TooFast,
            Ok(Opening::Full) => Counter::Saturated,
            Err(Contended) => Counter::Contended,
        };
        let undecided = refused == Counter::Saturated || refused == Counter::Contended;
        match (undecided && *failure_mode == FailureMode::Allow, shadow) {
            (true, _) => {
                refused.count(link, 1);
                None
            }
            (false, true) => Some(Counter::Shadowed),
            (false, false) => Some(refused),
        }
    }

    /// Renews a lease. A lease that cannot be renewed, because every race was lost or there is no room, is abandoned.
    fn renewed(&self, counted: Counted, link: &dyn Link, now: Timestamp) -> Option<Counted> {
        let Counted { key, mark, lease, .. } = counted;
        let renewed = update(link.store(), &key, |mut set: ConnectionSet| {
            let renewed = set.renew(mark, lease, &self.config.caps, now);
            (renewed.is_some().then_some(set), renewed)
        });
        let lease = renewed.ok().flatten()?;
        Some(Counted { lease, renew_at: lease.renew_at(link.random()), ..counted })
    }

    fn watch(&mut self, link: &dyn Link, now: Timestamp) -> Fate {
        let progress = self.tracker.as_ref().and_then(Tracker::progress);
        let due = progress.map(|progress| self.config.heads.judge(progress, now)).transpose();
        let due = due.unwrap_or_else(|why| {
            self.tracker = None;
            let counter = match why {
                TooSlow::Timeout => Counter::HeaderTimeout,
                TooSlow::Rate => Counter::HeaderRate,
            };
            if self.config.shadow { Counter::Shadowed } else { counter }.count(link, 1);
            None
        });
        if self.tracker.is_none() && !self.config.shadow {
            return Fate::Close;
        }
        let renew = self.counted.as_ref().map(|counted| counted.renew_at);
        link.set_alarm(due.into_iter().chain(renew).min());
        Fate::Keep
    }
}

#[cfg(test)]
mod tests;
