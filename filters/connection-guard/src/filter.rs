//! One connection. Its alarm is set for whatever comes first: the time at which the head in progress is too slow if
//! nothing comes, or the renewal of the lease by which it is counted.

use crate::config::Config;
use std::rc::Rc;
use tidegate_host::config::{ConfigError, FailureMode};
use tidegate_host::connection::{Connection, Fate, Guard, Link};
use tidegate_host::plugin::Plugin;
use tidegate_host::store::{Contended, update};
use tidegate_policy::connections::{ConnectionSet, Lease, Opening};
use tidegate_policy::request_head::{TooSlow, Tracker};
use tidegate_policy::slot_key::SlotKey;
use tidegate_policy::timestamp::Timestamp;

const NAMES: [&str; 9] = [
    "admitted",
    "rejected.header_timeout",
    "rejected.header_rate",
    "rejected.too_many_connections",
    "rejected.too_many_new_connections",
    "shadowed",
    "contended",
    "saturated",
    "evicted",
];
const ADMITTED: usize = 0;
const TIMEOUT: usize = 1;
const RATE: usize = 2;
const TOO_MANY: usize = 3;
const TOO_FAST: usize = 4;
const SHADOWED: usize = 5;
const CONTENDED: usize = 6;
const SATURATED: usize = 7;
const EVICTED: usize = 8;

/// Closes connections that trickle their request heads, or that one address hoards.
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

/// Where and how a connection is counted.
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
        NAMES.iter().map(|what| format!("tidegate.connection_guard.{what}")).collect()
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
            link.count(refused, 1);
            if refused != SHADOWED {
                return Fate::Close;
            }
        }
        link.count(ADMITTED, 1);
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
    /// Counts this connection; gives the metric of what refuses it, if something does.
    fn count(&mut self, link: &dyn Link, now: Timestamp) -> Option<usize> {
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
                    link.count(EVICTED, 1);
                }
                return None;
            }
            Ok(Opening::TooMany) => TOO_MANY,
            Ok(Opening::TooFast) => TOO_FAST,
            Ok(Opening::Full) => SATURATED,
            Err(Contended) => CONTENDED,
        };
        let undecided = refused == SATURATED || refused == CONTENDED;
        match (undecided && *failure_mode == FailureMode::Allow, shadow) {
            (true, _) => {
                link.count(refused, 1);
                None
            }
            (false, true) => Some(SHADOWED),
            (false, false) => Some(refused),
        }
    }

    /// A lease that cannot be renewed, because every race was lost or there is no room, is given up.
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
            let metric = match why {
                TooSlow::Timeout => TIMEOUT,
                TooSlow::Rate => RATE,
            };
            link.count(if self.config.shadow { SHADOWED } else { metric }, 1);
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
