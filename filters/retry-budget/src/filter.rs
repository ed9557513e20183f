//! One exchange against the budgets: first attempts deposit, retries withdraw, and the client of a failed request is
//! told when to retry. The number of the proxy's own retries is known, and withdrawn, only once the response arrives;
//! they are limited in advance by the current balance.
//!
//! A request that another filter refused and told to retry is not a retry of a failure: it has left a voucher, and
//! its return counts as the first attempt, since the cluster has not seen it. If the refusing filter comes later in
//! the chain, this request's deposit or withdrawal is reversed.

use crate::accounts::{Accounts, Balance, Receipt, Refusal};
use crate::answer::{Origin, is_retried, refused, status, tell, wishes};
use crate::config::Config;
use crate::silent::Silent;
use core::cell::Cell;
use std::rc::Rc;
use tidegate_config::{ConfigError, FailureMode};
use tidegate_host::counters;
use tidegate_host::exchange::{Exchange, Fact, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::reply::Reply;
use tidegate_host::scan::ScanNeeds;
use tidegate_limits::attempt;
use tidegate_policy::fingerprint::Fingerprint;
use tidegate_policy::retry_hint::{Crowd, Hint};
use tidegate_policy::timestamp::Timestamp;

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.retry_budget." {
        /// Requests that are no retries, as far as can be told.
        FirstAttempts = "first_attempts",
        /// All attempts that were let through, Envoy's own retries included: divided by `first_attempts`, the retry
        /// amplification.
        Attempts = "attempts",
        /// Retries of clients that a budget paid for.
        RetriesAdmitted = "client_retries.admitted",
        /// Retries of clients that were refused.
        RetriesRefused = "client_retries.refused",
        /// Retries of Envoy itself.
        UpstreamRetries = "upstream_retries",
        /// Retries that shadow mode let through.
        Shadowed = "shadowed",
        /// Budgets that could not be read because sixteen races for them were lost.
        Contended = "contended",
        /// Clients forgotten to make room for others; give it more `memory` if it grows.
        Evicted = "evicted",
        /// First attempts that took a voucher: returns of requests that another filter had refused.
        Returns = "returns",
    }
}

const MAX_DEPTH: u8 = 128;

const MAX_RETRIES: &str = "x-envoy-max-retries";
const RETRY_ON: &str = "x-envoy-retry-on";

/// Admits retries in proportion to first attempts.
#[derive(Debug)]
pub struct RetryBudget {
    pub(crate) worker: Rc<Worker>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    crowd: Cell<Crowd>,
}

/// One exchange against the budgets.
#[derive(Debug)]
pub struct RetryBudgetStream {
    worker: Rc<Worker>,
    accounts: Accounts,
    attempt: u16,
    paid: Paid,
    is_repeatable: bool,
    may_be_retried: bool,
    silent: Silent,
}

/// The deposit or withdrawal of a request.
#[derive(Clone, Copy, Debug, Default)]
enum Paid {
    /// None yet.
    #[default]
    Nothing,
    /// The deposit of a first attempt, and the voucher it used if it is a return.
    First { at: Timestamp, voucher: Option<Fingerprint> },
    /// The withdrawal of a retry.
    Retry { receipt: Receipt },
}

impl Plugin for RetryBudget {
    const ROOT_ID: &'static str = "retry-budget";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::read(document)?;
        Ok(Self { worker: Rc::new(Worker { config, crowd: Cell::default() }) })
    }

    fn metrics(&self) -> Vec<String> {
        Counter::names()
    }
}

impl Filter for RetryBudget {
    type Stream = RetryBudgetStream;
    const STAGE: Stage = Stage::Effect;
    const SCANS: bool = true;

    fn scan(&self) -> Option<ScanNeeds> {
        self.worker.config.silent_retries.map(|_| ScanNeeds {
            max_depth: MAX_DEPTH,
            exact_names: true,
            fingerprint: true,
        })
    }

    fn stream(&self) -> RetryBudgetStream {
        RetryBudgetStream {
            worker: Rc::clone(&self.worker),
            accounts: Accounts::default(),
            attempt: 0,
            paid: Paid::Nothing,
            is_repeatable: false,
            may_be_retried: false,
            silent: Silent::default(),
        }
    }
}

impl Stream for RetryBudgetStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = Rc::clone(&self.worker);
        let (config, headers) = (&worker.config, exchange.request_headers());
        self.accounts = Accounts::of(exchange, config);
        let has = |name: &[u8]| headers.all(name).next().is_some();
        let upstream = config.upstream.as_ref();
        self.is_repeatable = upstream.is_some_and(|upstream| upstream.is_repeatable(headers.method(), has));
        match (config.retry_headers.claimed(headers), config.silent_retries) {
            (None, Some(silent)) if exchange.request_goes_on() && exchange.protocol() != Protocol::Grpc => {
                self.silent = Silent::of(exchange, &config.clients);
                if silent.hold_headers {
                    return Flow::Hold;
                }
                self.bound(exchange, 0);
                Flow::Continue
            }
            (None | Some(0), _) => self.decide(exchange, 0, None),
            (Some(claimed), _) => {
                let client = attempt::client(exchange, &config.clients);
                match attempt::take(exchange, client) {
                    true => self.decide(exchange, 0, Some(client)),
                    false => self.decide(exchange, claimed, None),
                }
            }
        }
    }

    fn on_request_body(&mut self, _: &dyn Exchange, _: usize) -> Flow {
        if self.silent.is_read() { Flow::Keep } else { Flow::Hold }
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        let Some(silent) = self.worker.config.silent_retries.filter(|_| !self.silent.is_read()) else {
            return Flow::Keep;
        };
        let attempt = self.silent.read(exchange, silent);
        self.decide(exchange, attempt, None)
    }

    fn wants_scan(&self) -> bool {
        !self.silent.is_read()
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = Rc::clone(&self.worker);
        if self.may_be_retried {
            let attempts = exchange.fact(Fact::Attempts).map_or(0, |attempts| attempts.number());
            let retries = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
            worker.spend(exchange, &self.accounts, retries);
        }
        if !is_retried(status(exchange)) {
            return Flow::Keep;
        }
        let origin = Origin::of(exchange);
        if origin == Origin::Refused {
            self.undo(exchange);
        }
        if origin != Origin::Refused || self.attempt > 0 {
            self.failed(exchange);
        }
        if !worker.config.shadow && origin == Origin::Cluster {
            let (asked, stop) = wishes(exchange);
            let hint = worker.hint(exchange, self.attempt, asked.wait());
            let hint = Hint { should_retry: hint.should_retry && !stop, ..hint };
            self.expect(exchange, hint);
            tell(exchange, asked, hint);
        }
        Flow::Keep
    }
}

impl RetryBudgetStream {
    /// Decides on an attempt; 0 is a first attempt. A return became one by using this client's voucher.
    fn decide(&mut self, exchange: &dyn Exchange, attempt: u16, voucher: Option<Fingerprint>) -> Flow {
        self.attempt = attempt;
        let worker = Rc::clone(&self.worker);
        let allowance = match self.settle(exchange, voucher) {
            Ok(balance) => worker.count(exchange, balance),
            Err(_) if worker.config.shadow => {
                Counter::Shadowed.count(exchange, 1);
                0
            }
            Err(why) => {
                self.failed(exchange);
                return Flow::Reply(worker.refuse(exchange, why, attempt));
            }
        };
        Counter::Attempts.count(exchange, 1);
        self.bound(exchange, allowance);
        Flow::Continue
    }

    fn settle(&mut self, exchange: &dyn Exchange, voucher: Option<Fingerprint>) -> Result<Balance, Refusal> {
        let Config { budget, failure_mode, .. } = &self.worker.config;
        let (store, at) = (exchange.store(), exchange.now());
        if self.attempt == 0 {
            Counter::FirstAttempts.count(exchange, 1);
            if voucher.is_some() {
                Counter::Returns.count(exchange, 1);
            }
            self.paid = Paid::First { at, voucher };
            return Ok(self.accounts.deposit(store, budget, at));
        }
        let lenient = *failure_mode == FailureMode::Allow;
        let (balance, receipt) = self.accounts.withdraw(store, budget, at, lenient)?;
        self.paid = Paid::Retry { receipt };
        Counter::RetriesAdmitted.count(exchange, 1);
        Ok(balance)
    }

    /// Reverses the deposit or withdrawal of a request that was refused before the cluster saw it, and restores the
    /// voucher that it used.
    fn undo(&mut self, exchange: &dyn Exchange) {
        let budget = &self.worker.config.budget;
        let (store, now) = (exchange.store(), exchange.now());
        match core::mem::take(&mut self.paid) {
            Paid::Nothing => {}
            Paid::First { at, voucher } => {
                self.accounts.take_back(store, budget, at, now);
                voucher.into_iter().for_each(|client| attempt::leave(exchange, client));
            }
            Paid::Retry { receipt } => self.accounts.give_back(store, budget, receipt, now),
        }
    }

    /// Records the wait that the client was told, if its first attempt's deposit may expire before it retries.
    fn expect(&self, exchange: &dyn Exchange, hint: Hint) {
        let (budget, now) = (&self.worker.config.budget, exchange.now());
        let back_after = |since: Timestamp| now.nanos_since(since).saturating_add(hint.wait);
        let lasts = match self.paid {
            Paid::First { at, .. } => back_after(at) < budget.ttl() / 2,
            Paid::Retry { .. } => false,
            Paid::Nothing => true,
        };
        if hint.should_retry && !lasts {
            self.accounts.expect(exchange.store(), budget, hint.wait, now);
        }
    }

    fn failed(&self, exchange: &dyn Exchange) {
        if let Some(silent) = self.worker.config.silent_retries {
            self.silent.remember(exchange, silent, self.attempt);
        }
    }

    /// Limits the number of times that the proxy may retry this request, overriding the client.
    fn bound(&mut self, exchange: &dyn Exchange, allowance: u32) {
        let config = &self.worker.config;
        let Some(upstream) = &config.upstream else { return };
        if config.shadow {
            self.may_be_retried = true;
            return;
        }
        let most = if self.is_repeatable { upstream.max_retries.min(allowance) } else { 0 };
        exchange.set_request_header(MAX_RETRIES, most.to_string().as_bytes());
        if most > 0 {
            exchange.set_request_header(RETRY_ON, upstream.retry_on.as_bytes());
        }
        self.may_be_retried = most > 0;
    }
}

impl Worker {
    fn refuse(&self, exchange: &dyn Exchange, why: Refusal, attempt: u16) -> Reply {
        Counter::RetriesRefused.count(exchange, 1);
        if why == Refusal::Contended {
            Counter::Contended.count(exchange, 1);
        }
        refused(why, self.hint(exchange, attempt, None).wait)
    }

    fn spend(&self, exchange: &dyn Exchange, accounts: &Accounts, retries: u32) {
        if retries > 0 {
            Counter::UpstreamRetries.count(exchange, retries);
            Counter::Attempts.count(exchange, retries);
            let now = exchange.now();
            self.count(exchange, accounts.spend(exchange.store(), &self.config.budget, retries, now));
        }
    }

    /// Returns when to retry: never before the reserve has earned the retry.
    fn hint(&self, exchange: &dyn Exchange, attempt: u16, asked: Option<u64>) -> Hint {
        let (_, longest, _) = self.config.hints.parts();
        let Config { budget, per_client, per_cluster, .. } = &self.config;
        let reserve = if *per_client && *per_cluster { budget.slowest_share() } else { budget.reserve() };
        let asked = asked.max(reserve.map(|reserve| reserve.min(longest / 2)));
        let mut crowd = self.crowd.get();
        let (now, random) = (exchange.now(), exchange.random());
        let hint = self.config.hints.hint(&mut crowd, u32::from(attempt), asked, now, random);
        self.crowd.set(crowd);
        hint
    }

    fn count(&self, exchange: &dyn Exchange, balance: Balance) -> u32 {
        if balance.contended > 0 {
            Counter::Contended.count(exchange, balance.contended);
        }
        if balance.evicted > 0 {
            Counter::Evicted.count(exchange, balance.evicted);
        }
        balance.allowance
    }
}

#[cfg(test)]
mod tests;
