//! The budgets that one exchange draws on, in the shared store: its client's, its cluster's, or both. A retry needs
//! balance in each; what one has paid is given back when the next refuses. A client that is refused by its own budget
//! costs one read of the store, and nothing of anybody else's.

use crate::config::Config;
use core::convert::Infallible;
use tidegate_host::exchange::{Exchange, Fact};
use tidegate_host::store::{Contended, State, Store, update};
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::retry_budget::{Budget, Exhausted, Ledger, LedgerSet};
use tidegate_policy::slots::{Place, Table};
use tidegate_policy::timestamp::Timestamp;

const PREFIX: &[u8] = b"tidegate.rb.";

/// The budgets of one exchange, at most two.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    client: Option<Account>,
    cluster: Option<Account>,
}

#[derive(Clone, Debug)]
struct Account {
    key: Vec<u8>,
    mark: u64,
}

/// What became of the budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// For how many retries there is balance in all of them.
    pub allowance: u32,
    /// How many clients were forgotten that had earned or spent something.
    pub evicted: u32,
    /// How many of them could not be looked at, because every race for them was lost.
    pub contended: u32,
}

/// Why a retry is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no balance for it.
    Exhausted,
    /// Every race for a budget was lost.
    Contended,
}

/// A set of ledgers, as the store holds it.
#[derive(Default)]
struct Ledgers(LedgerSet);

impl State for Ledgers {
    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(LedgerSet::from_bytes(&bytes))
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
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

impl Accounts {
    /// Those of this request. One host call for the cluster's.
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

    /// Deposits a first attempt in each.
    pub fn deposit(&self, store: &dyn Store, budget: &Budget, now: Timestamp) -> Balance {
        self.change(store, budget, now, |ledger| budget.deposit(ledger, now))
    }

    /// Takes from each what was spent without asking.
    pub fn spend(&self, store: &dyn Store, budget: &Budget, retries: u32, now: Timestamp) -> Balance {
        self.change(store, budget, now, |ledger| budget.spend(ledger, retries, now))
    }

    /// Withdraws one retry from each, or from none. One that could not be looked at lets it pass if `lenient`.
    pub fn withdraw(
        &self,
        store: &dyn Store,
        budget: &Budget,
        now: Timestamp,
        lenient: bool,
    ) -> Result<Balance, Refusal> {
        let mut balance = Balance::UNBOUND;
        let mut paid = None;
        for account in self.iter() {
            let withdrawn = account.update(store, budget, now, |ledger| budget.withdraw(ledger, now));
            let refusal = match withdrawn {
                Ok(Ok((withdrawal, after))) => {
                    paid = Some((account, withdrawal));
                    balance = balance.and(after);
                    continue;
                }
                Err(Contended) if lenient => {
                    balance = balance.and(Balance::CONTENDED);
                    continue;
                }
                Ok(Err(Exhausted)) => Refusal::Exhausted,
                Err(Contended) => Refusal::Contended,
            };
            if let Some((account, withdrawal)) = paid {
                account.change(store, budget, now, |ledger| budget.give_back(ledger, withdrawal, now));
            }
            return Err(refusal);
        }
        Ok(balance)
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
        let mut key = PREFIX.to_vec();
        if let Place::Set(index) = table.set(print.place) {
            key.extend_from_slice(&index.to_le_bytes());
        }
        Self { key, mark: print.mark }
    }

    fn change(
        &self,
        store: &dyn Store,
        budget: &Budget,
        now: Timestamp,
        change: impl Fn(Ledger) -> Ledger,
    ) -> Balance {
        let changed = self.update(store, budget, now, |ledger| Ok::<_, Infallible>((change(ledger), ())));
        match changed {
            Ok(Ok(((), after))) => after,
            Err(Contended) => Balance::CONTENDED,
        }
    }

    /// A refusal writes nothing.
    fn update<T, E>(
        &self,
        store: &dyn Store,
        budget: &Budget,
        now: Timestamp,
        decide: impl Fn(Ledger) -> Result<(Ledger, T), E>,
    ) -> Result<Result<(T, Balance), E>, Contended> {
        update(store, &self.key, |Ledgers(mut set)| match decide(set.find(self.mark)) {
            Ok((ledger, answer)) => {
                let evicted = u32::from(set.put(self.mark, ledger, budget, now));
                let allowance = budget.allowance(ledger, now);
                (Some(Ledgers(set)), Ok((answer, Balance { allowance, evicted, contended: 0 })))
            }
            Err(refusal) => (None, Err(refusal)),
        })
    }
}

#[cfg(test)]
mod tests;
