//! The budgets that one exchange draws on, in the shared store: its client's, its cluster's, or both. A retry needs
//! balance in each; if the second refuses, the withdrawal from the first is returned. If both are kept, a client can
//! draw only its share of the cluster's budget. A retry that is refused by its client's budget costs one read of
//! each, and none of anyone else's balance.

use crate::config::Config;
use core::convert::Infallible;
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_host::store::{Contended, Seen, Store, look, update_seen};
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::retry_budget::{Budget, Exhausted, Ledger, LedgerSet, Withdrawal};
use tidegate_policy::slot_key::SlotKey;
use tidegate_policy::slots::Table;
use tidegate_policy::timestamp::Timestamp;

/// The budgets of one exchange, at most two.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    client: Option<Account>,
    cluster: Option<Account>,
}

#[derive(Clone, Debug)]
struct Account {
    key: SlotKey,
    mark: u64,
}

/// The state of the budgets after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Number of retries that all of them have balance for.
    pub allowance: u32,
    /// Number of evicted clients with a balance or debt.
    pub evicted: u32,
    /// Number of budgets that could not be accessed, because every race for them was lost.
    pub contended: u32,
}

/// The withdrawals that paid for one retry, for [`Accounts::give_back`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    client: Option<Withdrawal>,
    cluster: Option<Withdrawal>,
}

/// The reason why a retry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A budget has no balance for it.
    Exhausted,
    /// Every race for a budget was lost.
    Contended,
}

impl Balance {
    const UNBOUND: Self = Self { allowance: u32::MAX, evicted: 0, contended: 0 };
    const CONTENDED: Self = Self { allowance: 0, evicted: 0, contended: 1 };

    const fn and(self, other: Self) -> Self {
        let allowance = if self.allowance < other.allowance { self.allowance } else { other.allowance };
        Self {
            allowance,
            evicted: self.evicted.saturating_add(other.evicted),
            contended: self.contended.saturating_add(other.contended),
        }
    }
}

impl Balance {
    /// Adds the result of a withdrawal from one budget. Returns the withdrawal, if the budget could be accessed.
    fn join(
        &mut self,
        withdrawn: Result<Result<(Withdrawal, Self), Exhausted>, Contended>,
        lenient: bool,
    ) -> Result<Option<Withdrawal>, Refusal> {
        let (withdrawal, after) = match withdrawn {
            Ok(Ok((withdrawal, after))) => (Some(withdrawal), after),
            Ok(Err(Exhausted)) => return Err(Refusal::Exhausted),
            Err(Contended) if lenient => (None, Self::CONTENDED),
            Err(Contended) => return Err(Refusal::Contended),
        };
        *self = self.and(after);
        Ok(withdrawal)
    }
}

impl Accounts {
    /// Returns the budgets of this request. One host call for the cluster's.
    pub fn of(exchange: &dyn Exchange, config: &Config) -> Self {
        let prints = exchange.fingerprinter();
        let client = config.per_client.then(|| prints.of(config.clients.client(exchange).parts()));
        let cluster = config.per_cluster.then(|| {
            let name = exchange.fact(Fact::Cluster).map_or_else(Vec::new, |name| name.0);
            prints.of([b"cluster".as_slice(), &name])
        });
        let account = |print: Fingerprint| Account::new(print, &config.table);
        Self { client: client.map(account), cluster: cluster.map(account) }
    }

    /// Deposits a first attempt in each budget.
    pub fn deposit(&self, store: &dyn Store, budget: &Budget, now: Timestamp) -> Balance {
        self.change(store, budget, now, |ledger| budget.deposit(ledger, now))
    }

    /// Charges each budget for retries that were made without asking.
    pub fn spend(&self, store: &dyn Store, budget: &Budget, retries: u32, now: Timestamp) -> Balance {
        self.change(store, budget, now, |ledger| budget.spend(ledger, retries, now))
    }

    /// Reverses the deposit of a first attempt made at `made_at`, because it never reached the cluster.
    pub fn take_back(&self, store: &dyn Store, budget: &Budget, made_at: Timestamp, now: Timestamp) {
        self.change(store, budget, now, |ledger| budget.take_back(ledger, made_at, now));
    }

    /// Records that the client was told to retry in `wait` nanoseconds, if its share depends on that.
    pub fn expect(&self, store: &dyn Store, budget: &Budget, wait: u64, now: Timestamp) {
        if let (Some(client), Some(_)) = (&self.client, &self.cluster) {
            client.change(store, budget, now, |ledger| budget.expect(ledger, wait, now));
        }
    }

    /// Withdraws one retry from each budget, or from none. If `lenient`, a budget that could not be accessed admits
    /// the retry.
    pub fn withdraw(
        &self,
        store: &dyn Store,
        budget: &Budget,
        now: Timestamp,
        lenient: bool,
    ) -> Result<(Balance, Receipt), Refusal> {
        let (mut balance, mut receipt) = (Balance::UNBOUND, Receipt::default());
        let cluster = self.cluster.as_ref().map(|account| (account, account.look(store)));
        if let Some(client) = &self.client {
            let all = cluster.as_ref().map(|(account, seen)| seen.state.find(account.mark));
            let decide = |ledger| match all {
                Some(all) => budget.withdraw_share(ledger, all, now),
                None => budget.withdraw(ledger, now),
            };
            let withdrawn = client.update(store, client.look(store), budget, now, decide);
            receipt.client = balance.join(withdrawn, lenient)?;
        }
        if let Some((account, seen)) = cluster {
            let withdrawn = account.update(store, seen, budget, now, |ledger| budget.withdraw(ledger, now));
            match balance.join(withdrawn, lenient) {
                Ok(withdrawal) => receipt.cluster = withdrawal,
                Err(refusal) => {
                    self.give_back(store, budget, receipt, now);
                    return Err(refusal);
                }
            }
        }
        Ok((balance, receipt))
    }

    /// Returns the withdrawals that paid for a retry.
    pub fn give_back(&self, store: &dyn Store, budget: &Budget, receipt: Receipt, now: Timestamp) {
        let paid = [(&self.client, receipt.client), (&self.cluster, receipt.cluster)];
        for (account, withdrawal) in paid.into_iter().filter_map(|(account, paid)| account.as_ref().zip(paid))
        {
            account.change(store, budget, now, |ledger| budget.give_back(ledger, withdrawal, now));
        }
    }

    fn change(
        &self,
        store: &dyn Store,
        budget: &Budget,
        now: Timestamp,
        change: impl Fn(Ledger) -> Ledger,
    ) -> Balance {
        let changed = self.iter().map(|account| account.change(store, budget, now, &change));
        changed.fold(Balance::UNBOUND, Balance::and)
    }

    fn iter(&self) -> impl Iterator<Item = &Account> {
        self.client.iter().chain(&self.cluster)
    }
}

impl Account {
    fn new(print: Fingerprint, table: &Table) -> Self {
        Self { key: table.set(print.place), mark: print.mark }
    }

    fn change(
        &self,
        store: &dyn Store,
        budget: &Budget,
        now: Timestamp,
        change: impl Fn(Ledger) -> Ledger,
    ) -> Balance {
        let seen = self.look(store);
        let changed =
            self.update(store, seen, budget, now, |ledger| Ok::<_, Infallible>((change(ledger), ())));
        match changed {
            Ok(Ok(((), after))) => after,
            Err(Contended) => Balance::CONTENDED,
        }
    }

    fn look(&self, store: &dyn Store) -> Seen<LedgerSet> {
        look(store, &self.key)
    }

    /// Updates the client's ledger. A refusal writes nothing.
    fn update<T, E>(
        &self,
        store: &dyn Store,
        seen: Seen<LedgerSet>,
        budget: &Budget,
        now: Timestamp,
        decide: impl Fn(Ledger) -> Result<(Ledger, T), E>,
    ) -> Result<Result<(T, Balance), E>, Contended> {
        update_seen(store, &self.key, seen, |mut set| match decide(set.find(self.mark)) {
            Ok((ledger, answer)) => {
                let evicted = u32::from(set.put(self.mark, ledger, budget, now));
                let allowance = budget.allowance(ledger, now);
                (Some(set), Ok((answer, Balance { allowance, evicted, contended: 0 })))
            }
            Err(refusal) => (None, Err(refusal)),
        })
    }
}

#[cfg(test)]
mod tests;
