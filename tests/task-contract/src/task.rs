//! The task: makes the calls that streams ask for, takes part in the election, and rings streams.

use crate::{Shared, TERM};
use std::rc::Rc;
use tidegate_host::call::{Answer, Call, CallId, Deadline, GrpcCall, GrpcUpstream, HttpCall, Refused};
use tidegate_host::headers::HeaderMap;
use tidegate_host::task::{Period, StreamId, Task, Worker};

/// Calls that a stream asks for.
pub struct Job {
    /// Which stream waits for their answers.
    pub stream: Option<StreamId>,
    /// How many.
    pub times: usize,
    is_grpc: bool,
    cluster: String,
    path: String,
    body: String,
    deadline: u64,
}

impl Job {
    /// As a request's headers say.
    pub fn of(headers: &HeaderMap, stream: Option<StreamId>) -> Self {
        let text = |name: &str| {
            String::from_utf8_lossy(headers.only(name.as_bytes()).unwrap_or_default()).into_owned()
        };
        let number = |name: &str, default: u64| text(name).parse().unwrap_or(default);
        Self {
            stream,
            times: usize::try_from(number("x-times", 1)).unwrap_or(usize::MAX).min(10_000),
            is_grpc: text("x-kind") == "grpc",
            cluster: text("x-cluster"),
            path: text("x-path"),
            body: text("x-body"),
            deadline: number("x-deadline-ms", 5_000).saturating_mul(1_000_000),
        }
    }

    fn call(&self, worker: &dyn Worker) -> Result<CallId, String> {
        let deadline = Deadline::new(self.deadline).ok_or("no deadline")?;
        let authority = "task-contract";
        let refused = |refused: Refused| format!("{refused:?}");
        if self.is_grpc {
            let upstream = GrpcUpstream::new(&self.cluster, Some(authority)).ok_or("no upstream")?;
            let message = self.body.as_bytes();
            let call =
                GrpcCall { upstream: &upstream, service: "test.Service", method: "Ask", message, deadline };
            return worker.call(&Call::Grpc(call)).map_err(refused);
        }
        let call = HttpCall {
            cluster: &self.cluster,
            method: "POST",
            authority,
            path: &self.path,
            headers: &[("x-from", "task")],
            body: self.body.as_bytes(),
            deadline,
        };
        worker.call(&Call::Http(call)).map_err(refused)
    }
}

/// The task of one worker.
pub struct ContractTask(pub Rc<Shared>);

impl Task for ContractTask {
    fn period(&self) -> Period {
        Period::new(TERM / 10).unwrap_or(Period::SHORTEST)
    }

    fn on_start(&mut self, worker: &dyn Worker) {
        worker.count(0, 1);
    }

    fn on_tick(&mut self, worker: &dyn Worker) {
        if self.0.takes_part.get() {
            self.0.election.leads(worker);
        }
        for job in self.0.jobs.take() {
            for _ in 0..job.times {
                match (job.call(worker), job.stream) {
                    (Ok(call), Some(stream)) => {
                        self.0.asked.borrow_mut().insert(call, stream);
                    }
                    (Err(why), Some(stream)) => self.tell(worker, stream, why),
                    (_, None) => {}
                }
            }
        }
    }

    fn on_answer(&mut self, worker: &dyn Worker, call: CallId, answer: Answer) {
        worker.count(1, 1);
        let stream = self.0.asked.borrow_mut().remove(&call);
        let outcome = match answer {
            Answer::Http(response) if response.status == 200 => {
                format!("http 200 {}", String::from_utf8_lossy(&response.body))
            }
            Answer::Http(response) => format!("http {}", response.status),
            Answer::Grpc(message) => format!("grpc {}", String::from_utf8_lossy(&message)),
            other => format!("{other:?}"),
        };
        if let Some(stream) = stream {
            self.tell(worker, stream, outcome);
        }
    }

    fn on_wake(&mut self, worker: &dyn Worker, message: &[u8]) {
        if let Ok(stream) = message.try_into() {
            worker.ring(StreamId(u32::from_le_bytes(stream)));
        }
    }
}

impl ContractTask {
    fn tell(&self, worker: &dyn Worker, stream: StreamId, outcome: String) {
        if let Some(results) = self.0.results.borrow_mut().get_mut(&stream) {
            results.outcomes.push(outcome);
            results.missing = results.missing.saturating_sub(1);
            if results.missing == 0 {
                worker.ring(stream);
            }
        }
    }
}
