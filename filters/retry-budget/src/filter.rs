//! One exchange against the budgets: first attempts pay in, retries draw, and whoever is told of a failure is told
//! when to come back. What the proxy retried itself is known only once it has answered, and drawn then; what it may
//! retry is bounded before by the balance that there is.

use crate::accounts::{Accounts, Balance, Refusal};
use crate::answer::{is_retried, refused, status, tell, wishes};
use crate::config::Config;
use crate::silent::Silent;
use core::cell::Cell;
use std::rc::Rc;
use tidegate_host::config::{ConfigError, FailureMode};
use tidegate_host::exchange::{Exchange, Fact, Filter, Flow, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::reply::Reply;
use tidegate_host::scan::ScanNeeds;
use tidegate_policy::retry_hint::{Crowd, Hint};

const FIRST_ATTEMPTS: usize = 0;
const ATTEMPTS: usize = 1;
const ADMITTED: usize = 2;
const REFUSED: usize = 3;
const UPSTREAM: usize = 4;
const SHADOWED: usize = 5;
const CONTENDED: usize = 6;
const EVICTED: usize = 7;
const NAMES: [&str; 8] = [
    "first_attempts",
    "attempts",
    "client_retries.admitted",
    "client_retries.refused",
    "upstream_retries",
    "shadowed",
    "contended",
    "evicted",
];

const MAX_DEPTH: u8 = 128;

const MAX_RETRIES: &str = "x-envoy-max-retries";
const RETRY_ON: &str = "x-envoy-retry-on";

/// Retries within what first attempts pay for.
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
    is_repeatable: bool,
    may_be_retried: bool,
    silent: Silent,
}

impl Plugin for RetryBudget {
    const ROOT_ID: &'static str = "retry-budget";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::read(document)?;
        Ok(Self { worker: Rc::new(Worker { config, crowd: Cell::default() }) })
    }

    fn metrics(&self) -> Vec<String> {
        NAMES.iter().map(|what| format!("tidegate.retry_budget.{what}")).collect()
    }
}

impl Filter for RetryBudget {
    type Stream = RetryBudgetStream;

    fn scan(&self) -> Option<ScanNeeds> {
        self.worker.config.silent_retries.map(|_| ScanNeeds { max_depth: MAX_DEPTH, fingerprint: true })
    }

    fn stream(&self) -> RetryBudgetStream {
        RetryBudgetStream {
            worker: Rc::clone(&self.worker),
            accounts: Accounts::default(),
            attempt: 0,
            is_repeatable: false,
            may_be_retried: false,
            silent: Silent::default(),
        }
    }
}

impl Stream for RetryBudgetStream {
    const SCANS: bool = true;

    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = Rc::clone(&self.worker);
        let (config, headers) = (&worker.config, exchange.request_headers());
        self.accounts = Accounts::of(exchange, config);
        let has = |name: &[u8]| headers.all(name).next().is_some();
        let upstream = config.upstream.as_ref();
        self.is_repeatable = upstream.is_some_and(|upstream| upstream.is_repeatable(headers.method(), has));
        match (config.claimed(headers), config.silent_retries) {
            (None, Some(silent)) if exchange.request_goes_on() && exchange.protocol() != Protocol::Grpc => {
                self.silent = Silent::of(exchange, &config.clients);
                if silent.hold_headers {
                    return Flow::Hold;
                }
                self.bound(exchange, 0);
                Flow::Continue
            }
            (claimed, _) => self.decide(exchange, claimed.unwrap_or(0)),
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
        self.decide(exchange, attempt)
    }

    fn wants_scan(&self) -> bool {
        !self.silent.is_read()
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        let worker = &self.worker;
        if self.may_be_retried {
            let attempts = exchange.fact(Fact::Attempts).map_or(0, |attempts| attempts.number());
            let retries = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
            worker.spend(exchange, &self.accounts, retries);
        }
        if worker.is_idle_on_responses() || !is_retried(status(exchange)) {
            return Flow::Keep;
        }
        self.failed(exchange);
        if !worker.config.shadow {
            let (asked, stop) = wishes(exchange.response_headers());
            let hint = worker.hint(exchange, self.attempt, asked);
            tell(exchange, Hint { should_retry: hint.should_retry && !stop, ..hint });
        }
        Flow::Keep
    }
}

impl RetryBudgetStream {
    fn decide(&mut self, exchange: &dyn Exchange, attempt: u16) -> Flow {
        self.attempt = attempt;
        let worker = Rc::clone(&self.worker);
        let allowance = match self.settle(exchange) {
            Ok(balance) => worker.count(exchange, balance),
            Err(_) if worker.config.shadow => {
                exchange.count(SHADOWED, 1);
                0
            }
            Err(why) => {
                self.failed(exchange);
                return Flow::Reply(worker.refuse(exchange, why, attempt));
            }
        };
        exchange.count(ATTEMPTS, 1);
        self.bound(exchange, allowance);
        Flow::Continue
    }

    fn settle(&self, exchange: &dyn Exchange) -> Result<Balance, Refusal> {
        let Config { budget, failure_mode, .. } = &self.worker.config;
        let (store, now) = (exchange.store(), exchange.now());
        if self.attempt == 0 {
            exchange.count(FIRST_ATTEMPTS, 1);
            return Ok(self.accounts.deposit(store, budget, now));
        }
        let balance = self.accounts.withdraw(store, budget, now, *failure_mode == FailureMode::Allow)?;
        exchange.count(ADMITTED, 1);
        Ok(balance)
    }

    fn failed(&self, exchange: &dyn Exchange) {
        if let Some(silent) = self.worker.config.silent_retries {
            self.silent.remember(exchange, silent, self.attempt);
        }
    }

    /// Says how often the proxy may retry this request, whatever the client says.
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
    fn is_idle_on_responses(&self) -> bool {
        self.config.shadow && self.config.silent_retries.is_none()
    }

    fn refuse(&self, exchange: &dyn Exchange, why: Refusal, attempt: u16) -> Reply {
        exchange.count(REFUSED, 1);
        if why == Refusal::Contended {
            exchange.count(CONTENDED, 1);
        }
        refused(why, self.hint(exchange, attempt, None).wait)
    }

    fn spend(&self, exchange: &dyn Exchange, accounts: &Accounts, retries: u32) {
        if retries > 0 {
            exchange.count(UPSTREAM, retries);
            exchange.count(ATTEMPTS, retries);
            let now = exchange.now();
            self.count(exchange, accounts.spend(exchange.store(), &self.config.budget, retries, now));
        }
    }

    /// Nobody is invited to come back before the reserve has made the retry that this would take.
    fn hint(&self, exchange: &dyn Exchange, attempt: u16, asked: Option<u64>) -> Hint {
        let (_, longest, _) = self.config.hints.parts();
        let asked = asked.max(self.config.budget.reserve().map(|reserve| reserve.min(longest / 2)));
        let mut crowd = self.crowd.get();
        let (now, random) = (exchange.now(), exchange.random());
        let hint = self.config.hints.hint(&mut crowd, u32::from(attempt), asked, now, random);
        self.crowd.set(crowd);
        hint
    }

    fn count(&self, exchange: &dyn Exchange, balance: Balance) -> u32 {
        if balance.contended > 0 {
            exchange.count(CONTENDED, balance.contended);
        }
        if balance.evicted > 0 {
            exchange.count(EVICTED, balance.evicted);
        }
        balance.allowance
    }
}

#[cfg(test)]
mod tests;
