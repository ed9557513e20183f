//! Election of at most one leader among all workers of a proxy, for work that must be done once, by a [`Lease`] in
//! the store.

use crate::plugin::Proxy;
use crate::store::update;
use core::cell::Cell;
use tidegate_policy::lease::{Lease, Standing, Term};
use tidegate_policy::timestamp::Timestamp;

/// One worker's view of an election.
#[derive(Debug)]
pub struct Election {
    key: Vec<u8>,
    term: Term,
    me: Cell<Option<u64>>,
    leads_until: Cell<Timestamp>,
    asks_at: Cell<Timestamp>,
}

impl Election {
    /// Creates a candidate in the election of this name. The name comes from the plugin, never from a client, since
    /// it stays in the store. A leader that dies is succeeded after `term` at the latest, by the first worker that
    /// asks.
    pub fn new(name: &str, term: Term) -> Self {
        Self {
            key: format!("tidegate-leader-{name}").into_bytes(),
            term,
            me: Cell::default(),
            leads_until: Cell::default(),
            asks_at: Cell::default(),
        }
    }

    /// Returns true if this worker leads, as of the beginning of this callback. A worker that wants to stay the
    /// leader must ask at least twice per term. Two host calls per half term for the leader, one per term for others.
    pub fn leads(&self, proxy: &dyn Proxy) -> bool {
        let now = proxy.now();
        if now >= self.asks_at.get() {
            self.ask(proxy, now);
        }
        now < self.leads_until.get()
    }

    fn ask(&self, proxy: &dyn Proxy, now: Timestamp) {
        let me = self.me.get().unwrap_or_else(|| proxy.random());
        self.me.set(Some(me));
        match update(proxy.store(), &self.key, |lease: Lease| lease.claim(me, now, self.term)) {
            Ok(Standing::Leads(ends)) => {
                self.leads_until.set(ends);
                let half = ends.as_nanos().saturating_sub(self.term.nanos() / 2);
                self.asks_at.set(Timestamp::from_nanos(half));
            }
            Ok(Standing::Follows(ends)) => {
                self.leads_until.set(Timestamp::default());
                self.asks_at.set(ends);
            }
            // A faster worker took the record. This worker leads until its current lease ends, if it has one.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeProxy;
    use tidegate_policy::record::Record;

    use tidegate_policy::timestamp::SECOND;

    fn worker(proxy: &FakeProxy, random: u64) -> (FakeProxy, Election) {
        let worker = proxy.beside();
        worker.random.set(random);
        (worker, Election::new("scrape", Term::new(SECOND).expect("in range")))
    }

    fn leads((proxy, election): &(FakeProxy, Election), now: u64) -> bool {
        proxy.now.set(now);
        proxy.calls.begin();
        election.leads(proxy)
    }

    #[test]
    fn one_of_many_workers_leads_and_another_one_when_its_lease_has_ended() {
        let proxy = FakeProxy::default();
        let [first, second, third] = [1, 2, 3].map(|random| worker(&proxy, random));
        assert_eq!([leads(&first, 0), leads(&second, 1), leads(&third, 2)], [true, false, false]);
        assert_eq!([leads(&second, SECOND - 1), leads(&second, SECOND)], [false, true]);
        assert_eq!([leads(&first, SECOND), leads(&third, SECOND)], [false, false]);
    }

    #[test]
    fn a_leader_that_asks_stays_at_two_host_calls_for_half_a_term() {
        let proxy = FakeProxy::default();
        let [first, second] = [1, 2].map(|random| worker(&proxy, random));
        for now in (0..10 * SECOND).step_by(10_000_000) {
            assert!(leads(&first, now) && !leads(&second, now));
        }
        // The leader writes once at 0 and 19 times after that, and reads as often; the other worker reads whenever a
        // lease that it saw has ended.
        assert_eq!(proxy.store.swaps(), 20);
        assert!(proxy.store.loads() <= 20 + 20, "{}", proxy.store.loads());
    }

    #[test]
    fn a_worker_that_loses_the_race_follows_who_won_it() {
        let proxy = FakeProxy::default();
        let [first, winner] = [1, 2].map(|random| worker(&proxy, random));
        let (stored, _) =
            Lease::default().claim(2, Timestamp::default(), Term::new(SECOND).expect("in range"));
        proxy.store.lose_swap_of(b"tidegate-leader-scrape", 1, &stored.expect("a lease").to_bytes());
        assert_eq!([leads(&first, 0), leads(&winner, 0)], [false, true]);
    }

    #[test]
    fn a_leader_that_loses_every_race_leads_until_its_lease_ends_and_no_longer() {
        let proxy = FakeProxy::default();
        let first = worker(&proxy, 1);
        assert!(leads(&first, 0));
        let half = SECOND / 2;
        let own = proxy.store.load_entry(b"tidegate-leader-scrape");
        proxy.store.lose_swap_of(b"tidegate-leader-scrape", usize::MAX, &own);
        assert_eq!([half, SECOND - 1, SECOND].map(|now| leads(&first, now)), [true, true, false]);
    }

    #[test]
    fn elections_with_different_names_are_independent() {
        let proxy = FakeProxy::default();
        let first = worker(&proxy, 1);
        let (other, _) = worker(&proxy, 2);
        let election = Election::new("charge", Term::new(SECOND).expect("in range"));
        assert!(leads(&first, 0) && election.leads(&other));
    }
}
