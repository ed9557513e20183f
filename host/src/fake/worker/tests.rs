use super::*;
use crate::call::{Deadline, GRACE, HttpCall};
use crate::election::Election;
use crate::plugin::Proxy;
use crate::task::{Period, WorkerId};
use tidegate_config::ConfigError;
use tidegate_policy::lease::Term;
use tidegate_policy::timestamp::MILLISECOND;

#[derive(Default)]
struct Notes {
    calls: Cell<usize>,
    heard: RefCell<Vec<String>>,
}

/// A plugin whose task makes a given number of calls per tick, rings the stream that a message names, and takes part
/// in an election.
#[derive(Default)]
struct Plain(Rc<Notes>);

struct PlainTask {
    notes: Rc<Notes>,
    election: Election,
}

impl Plugin for Plain {
    const ROOT_ID: &'static str = "plain";
    const HAS_TASK: bool = true;

    fn configure(_: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self::default())
    }

    fn metrics(&self) -> Vec<String> {
        vec!["led".to_owned()]
    }

    fn task(&self) -> Option<Box<dyn Task>> {
        let term = Term::new(100 * MILLISECOND).expect("in range");
        Some(Box::new(PlainTask { notes: Rc::clone(&self.0), election: Election::new("plain", term) }))
    }
}

impl Task for PlainTask {
    fn period(&self) -> Period {
        Period::new(10 * MILLISECOND).expect("in range")
    }

    fn on_start(&mut self, _: &dyn Worker) {
        self.note("start");
    }

    fn on_tick(&mut self, worker: &dyn Worker) {
        if self.election.leads(worker) {
            worker.count(0, 1);
        }
        for _ in 0..self.notes.calls.take() {
            let call = HttpCall {
                cluster: "c",
                method: "GET",
                authority: "c",
                path: "/",
                headers: &[],
                body: b"",
                deadline: Deadline::new(20 * MILLISECOND).expect("in range"),
            };
            if let Err(refused) = worker.call(&Call::Http(call)) {
                self.note(&format!("{refused:?}"));
            }
        }
    }

    fn on_answer(&mut self, _: &dyn Worker, _: CallId, answer: Answer) {
        self.note(&format!("{answer:?}"));
    }

    fn on_wake(&mut self, worker: &dyn Worker, message: &[u8]) {
        worker.ring(StreamId(u32::from(message[0])));
    }
}

impl PlainTask {
    fn note(&self, note: &str) {
        self.notes.heard.borrow_mut().push(note.to_owned());
    }
}

/// Returns a worker that has started, and the notes that its task takes.
fn started() -> (FakeWorker, Rc<Notes>) {
    let plugin = Plain::default();
    let mut worker = FakeWorker::running(&plugin);
    worker.advance(0);
    assert_eq!(plugin.0.heard.take(), ["start"]);
    (worker, plugin.0)
}

#[test]
fn responses_arrive_in_any_order_and_none_twice() {
    let (mut worker, notes) = started();
    notes.calls.set(2);
    worker.advance(10 * MILLISECOND);
    let calls = worker.take_calls();
    worker.answer(&calls[1], Answer::Reset);
    worker.answer(&calls[1], Answer::Reset);
    worker.answer(&calls[0], Answer::GrpcStatus(14));
    assert_eq!(notes.heard.take(), ["Reset", "GrpcStatus(14)"]);
}

#[test]
fn a_call_without_a_response_ends_in_silence_and_a_late_response_is_dropped() {
    let (mut worker, notes) = started();
    notes.calls.set(1);
    worker.advance(20 * MILLISECOND + GRACE);
    assert_eq!(notes.heard.take(), [""; 0]);
    worker.advance(10 * MILLISECOND);
    assert_eq!(notes.heard.take(), ["Silence"]);
    let call = worker.take_calls().remove(0);
    worker.answer(&call, Answer::Reset);
    assert_eq!(notes.heard.take(), [""; 0]);
}

#[test]
fn the_seventeenth_call_is_refused_and_made_once_there_is_an_answer() {
    let (mut worker, notes) = started();
    notes.calls.set(17);
    worker.advance(10 * MILLISECOND);
    let calls = worker.take_calls();
    assert_eq!((calls.len(), notes.heard.take()), (16, vec!["Full".to_owned()]));
    worker.answer(&calls[0], Answer::Reset);
    notes.calls.set(1);
    worker.advance(10 * MILLISECOND);
    assert_eq!(worker.take_calls().len(), 1);
}

#[test]
fn a_call_that_the_proxy_will_not_make_is_refused_at_once_and_takes_no_room() {
    let (mut worker, notes) = started();
    worker.unreachable.set(true);
    notes.calls.set(17);
    worker.advance(10 * MILLISECOND);
    assert_eq!(notes.heard.take(), ["Unreachable"; 17]);
}

#[test]
fn a_worker_that_dies_takes_its_calls_with_it_and_another_one_leads_within_a_term() {
    let (mut first, notes) = started();
    let mut second = first.beside(&Plain::default());
    second.proxy.random.set(2);
    notes.calls.set(1);
    first.advance(10 * MILLISECOND);
    second.advance(10 * MILLISECOND);
    assert_eq!([first.proxy.counter("led"), second.proxy.counter("led")], [2, 0]);
    first.die();
    second.advance(110 * MILLISECOND);
    assert!(second.proxy.counter("led") > 0);
    let call = first.take_calls().pop();
    assert_eq!((call, notes.heard.take()), (None, vec![]), "what it knew is gone");
}

#[test]
fn a_worker_wakes_a_stream_of_another_one() {
    let (first, _) = started();
    let mut second = first.beside(&Plain::default());
    let id = second.proxy.workers().id().expect("a worker");
    assert!(first.proxy.workers().wake(id, &[7]));
    second.hear();
    assert_eq!((second.take_rung(), first.take_rung()), (vec![StreamId(7)], vec![]));
}

#[test]
fn a_message_can_be_lost_and_the_next_one_comes() {
    let (mut worker, _) = started();
    let id = worker.proxy.workers().id().expect("a worker");
    worker.proxy.post.lose(1);
    assert!([6, 7].iter().all(|stream| worker.proxy.workers().wake(id, &[*stream])));
    worker.hear();
    assert_eq!(worker.take_rung(), [StreamId(7)]);
}

#[test]
fn messages_are_delivered_in_batches() {
    let (mut worker, _) = started();
    let id = worker.proxy.workers().id().expect("a worker");
    assert!((0..MAX_MESSAGES + 1).all(|_| worker.proxy.workers().wake(id, &[7])));
    worker.hear();
    assert_eq!(worker.take_rung().len(), MAX_MESSAGES);
    worker.hear();
    assert_eq!(worker.take_rung().len(), 1);
}

#[test]
fn a_task_starts_before_it_hears_a_message() {
    let plugin = Plain::default();
    let mut worker = FakeWorker::running(&plugin);
    let id = worker.proxy.workers().id().expect("a worker");
    assert!(worker.proxy.workers().wake(id, &[7]));
    worker.hear();
    assert_eq!((plugin.0.heard.take(), worker.take_rung()), (vec!["start".to_owned()], vec![StreamId(7)]));
}

#[test]
fn waking_a_worker_that_never_existed_fails() {
    let (worker, _) = started();
    assert!(!worker.proxy.workers().wake(WorkerId(9), &[7]));
}

#[test]
fn an_earlier_tick_that_is_asked_for_comes_in_time() {
    let (mut worker, notes) = started();
    notes.calls.set(1);
    worker.proxy.workers().tick_by(Timestamp::from_nanos(3 * MILLISECOND));
    worker.advance(3 * MILLISECOND - 1);
    assert!(worker.take_calls().is_empty());
    worker.advance(1);
    assert_eq!(worker.take_calls().len(), 1);
}
