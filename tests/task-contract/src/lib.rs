//! A filter for the tests, whose task does what requests ask of it. Each is answered in text.
//!
//! - `/call`: makes calls, as [`contract`] says in headers, and tells how each ended. `/fire` does not wait for that.
//! - `/who`: which worker it came to, for other workers; the others say so in `x-worker`.
//! - `/leader`: whether that worker leads, in an election of those that were asked this.
//! - `/hold/<name>`: is held until `/release/<name>` has come to whatever worker.
//! - `/trap`: the VM traps.

pub mod contract;
mod task;

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use task::{ContractTask, Job};
use tidegate_config::ConfigError;
use tidegate_host::call::CallId;
use tidegate_host::election::Election;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::reply::Reply;
use tidegate_host::task::{StreamId, Task, WorkerId};
use tidegate_policy::lease::Term;

/// Nanoseconds for which a request is held at most.
const PATIENCE: u64 = 20_000_000_000;

/// Nanoseconds of a lease: so many that a busy machine does not keep a leader from renewing it.
pub const TERM: u64 = 2_000_000_000;

/// The filter.
pub struct TaskContract(Rc<Shared>);

/// What a worker's task and its streams have in common.
struct Shared {
    election: Election,
    takes_part: Cell<bool>,
    jobs: RefCell<Vec<Job>>,
    asked: RefCell<BTreeMap<CallId, StreamId>>,
    results: RefCell<BTreeMap<StreamId, Results>>,
}

/// How the calls ended that one stream asked for.
#[derive(Default)]
struct Results {
    missing: usize,
    outcomes: Vec<String>,
}

impl Plugin for TaskContract {
    const ROOT_ID: &'static str = "task-contract";
    const HAS_TASK: bool = true;

    fn configure(_: &[u8]) -> Result<Self, ConfigError> {
        let term = Term::new(TERM).ok_or_else(|| ConfigError::new("", "found a term out of range"))?;
        Ok(Self(Rc::new(Shared {
            election: Election::new("task-contract", term),
            takes_part: Cell::default(),
            jobs: RefCell::default(),
            asked: RefCell::default(),
            results: RefCell::default(),
        })))
    }

    fn metrics(&self) -> Vec<String> {
        ["started", "answered"].map(|what| format!("tidegate.task_contract.{what}")).to_vec()
    }

    fn task(&self) -> Option<Box<dyn Task>> {
        Some(Box::new(ContractTask(Rc::clone(&self.0))))
    }
}

impl Filter for TaskContract {
    type Stream = ContractStream;
    const STAGE: Stage = Stage::Judge;
    const SETS_ALARMS: bool = true;

    fn stream(&self) -> ContractStream {
        ContractStream { shared: Rc::clone(&self.0), stream: None }
    }
}

/// One request.
pub struct ContractStream {
    shared: Rc<Shared>,
    stream: Option<StreamId>,
}

impl Stream for ContractStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        self.stream = exchange.stream();
        let path = exchange.request_headers().only(b":path").unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", "call"] => self.ask_task(exchange, true),
            ["", "fire"] => self.ask_task(exchange, false),
            ["", "who"] => reply(exchange, "here"),
            ["", "leader"] => self.leader(exchange),
            ["", "hold", name] => self.hold(exchange, name),
            ["", "release", name] => release(exchange, name),
            ["", "trap"] => trap(),
            _ => reply(exchange, "what?"),
        }
    }

    fn on_ring(&mut self, exchange: &dyn Exchange) -> Flow {
        let results = self.stream.and_then(|stream| self.shared.results.borrow_mut().remove(&stream));
        reply(exchange, &results.map_or_else(|| "woken".to_owned(), |results| results.outcomes.join("\n")))
    }

    fn on_alarm(&mut self, exchange: &dyn Exchange) -> Flow {
        reply(exchange, "waited in vain")
    }

    fn on_gone(&mut self, _: &dyn Exchange) {
        if let Some(stream) = self.stream {
            self.shared.results.borrow_mut().remove(&stream);
        }
    }
}

impl ContractStream {
    fn ask_task(&self, exchange: &dyn Exchange, waits: bool) -> Flow {
        let job = Job::of(exchange.request_headers(), self.stream.filter(|_| waits));
        if let Some(stream) = job.stream {
            let results = Results { missing: job.times, outcomes: Vec::new() };
            self.shared.results.borrow_mut().insert(stream, results);
        }
        self.shared.jobs.borrow_mut().push(job);
        exchange.workers().tick_by(exchange.now());
        if waits { wait(exchange) } else { reply(exchange, "fired") }
    }

    fn leader(&self, exchange: &dyn Exchange) -> Flow {
        self.shared.takes_part.set(true);
        reply(exchange, if self.shared.election.leads(exchange) { "leads" } else { "follows" })
    }

    fn hold(&self, exchange: &dyn Exchange, name: &str) -> Flow {
        let (Some(WorkerId(worker)), Some(StreamId(stream))) = (exchange.workers().id(), self.stream) else {
            return reply(exchange, "nobody can wake this");
        };
        let place = [worker.to_le_bytes(), stream.to_le_bytes()].concat();
        if exchange.store().swap(&key(name), &place, None) {
            wait(exchange)
        } else {
            reply(exchange, "the name is taken")
        }
    }
}

fn wait(exchange: &dyn Exchange) -> Flow {
    Flow::HoldUntil(exchange.now().plus(PATIENCE))
}

fn key(name: &str) -> Vec<u8> {
    format!("task-contract-held-{name}").into_bytes()
}

fn release(exchange: &dyn Exchange, name: &str) -> Flow {
    let place = exchange.store().load(&key(name)).map(|(place, _)| place).unwrap_or_default();
    let Some((worker, stream)) = place.split_first_chunk::<4>() else {
        return reply(exchange, "nobody is held");
    };
    let is_sent = exchange.workers().wake(WorkerId(u32::from_le_bytes(*worker)), stream);
    reply(exchange, if is_sent { "sent" } else { "not sent" })
}

fn trap() -> Flow {
    std::process::abort()
}

fn reply(exchange: &dyn Exchange, text: &str) -> Flow {
    let worker = exchange.workers().id().map_or_else(String::new, |WorkerId(worker)| worker.to_string());
    Flow::Reply(Reply {
        status: 200,
        headers: vec![("x-worker", worker)],
        body: text.as_bytes().to_vec(),
        message: text.to_owned(),
        details: "tidegate.task_contract".to_owned(),
    })
}

#[cfg(test)]
mod tests;
