use super::*;
use crate::call::{Deadline, HttpCall};
use crate::fake::{FakeProxy, FakeWorker};
use crate::plugin::Plugin;
use std::rc::Rc;
use tidegate_config::ConfigError;
use tidegate_policy::timestamp::MILLISECOND;

#[derive(Default)]
struct Heard {
    ticks: Cell<u32>,
    answers: RefCell<Vec<Answer>>,
    messages: RefCell<Vec<Vec<u8>>>,
}

/// A plugin whose task, at its start, calls the upstream of its name and sends itself its name as a message. The task
/// sets an alarm for half a period later and counts its ticks.
struct Asker {
    name: &'static str,
    period: u64,
    heard: Rc<Heard>,
}

impl Task for Asker {
    fn period(&self) -> Period {
        Period::new(self.period).expect("in range")
    }

    fn on_start(&mut self, worker: &dyn Worker) {
        let call = HttpCall {
            cluster: "c",
            method: "GET",
            authority: "c",
            path: self.name,
            headers: &[],
            body: b"",
            deadline: Deadline::new(MILLISECOND).expect("in range"),
        };
        worker.call(&Call::Http(call)).expect("made");
        let me = worker.workers().id().expect("a worker");
        assert!(worker.workers().wake(me, self.name.as_bytes()));
        worker.set_alarm(Some(worker.now().plus(self.period / 2)));
    }

    fn on_tick(&mut self, worker: &dyn Worker) {
        self.heard.ticks.set(self.heard.ticks.get().saturating_add(1));
        worker.count(0, 1);
    }

    fn on_answer(&mut self, _: &dyn Worker, _: CallId, answer: Answer) {
        self.heard.answers.borrow_mut().push(answer);
    }

    fn on_wake(&mut self, _: &dyn Worker, message: &[u8]) {
        self.heard.messages.borrow_mut().push(message.to_vec());
    }
}

struct Names;

impl Plugin for Names {
    const ROOT_ID: &'static str = "names";

    fn configure(_: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn metrics(&self) -> Vec<String> {
        ["none", "fast", "slow"].map(str::to_owned).to_vec()
    }
}

fn two() -> (FakeWorker, [Rc<Heard>; 2]) {
    let heard = [Rc::<Heard>::default(), Rc::default()];
    let asker = |name, period, heard: &Rc<Heard>| -> Box<dyn Task> {
        Box::new(Asker { name, period, heard: Rc::clone(heard) })
    };
    let [fast, slow] = [&heard[0], &heard[1]];
    let parts = vec![
        Part::new(3, asker("/fast", 10 * MILLISECOND, fast), 1, 0),
        Part::new(5, asker("/slow", 80 * MILLISECOND, slow), 2, 0),
    ];
    let tasks = Tasks::of(parts).expect("two");
    (FakeWorker::with(FakeProxy::running(&Names), Some(Box::new(tasks))), heard)
}

#[test]
fn parts_without_a_task_make_no_task() {
    assert!(Tasks::of(Vec::new()).is_none());
}

#[test]
fn each_part_ticks_at_least_as_often_as_it_asks_and_counts_under_its_own_names() {
    let (mut worker, [fast, slow]) = two();
    worker.advance(100 * MILLISECOND);
    assert!(fast.ticks.get() >= 11 && slow.ticks.get() >= 2, "{} and {}", fast.ticks.get(), slow.ticks.get());
    let counted = ["none", "fast", "slow"].map(|name| worker.proxy.counter(name));
    assert_eq!(counted, [0, fast.ticks.get(), slow.ticks.get()]);
}

#[test]
fn the_earliest_alarm_of_all_parts_is_the_alarm_of_the_whole() {
    let (mut worker, [fast, _]) = two();
    worker.advance(0);
    worker.advance(5 * MILLISECOND - 1);
    assert_eq!(fast.ticks.get(), 1);
    worker.advance(1);
    assert_eq!(fast.ticks.get(), 2);
}

#[test]
fn a_response_is_delivered_once_to_the_part_that_made_the_call() {
    let (mut worker, [fast, slow]) = two();
    worker.advance(0);
    let calls = worker.take_calls();
    let of = |path| calls.iter().find(|call| call.target == path).expect("made");
    worker.answer(of("/slow"), Answer::Reset);
    assert_eq!((fast.answers.take(), slow.answers.take()), (vec![], vec![Answer::Reset]));
    worker.answer(of("/slow"), Answer::Reset);
    worker.answer(of("/fast"), Answer::TooLong);
    assert_eq!((fast.answers.take(), slow.answers.take()), (vec![Answer::TooLong], vec![]));
}

#[test]
fn a_message_is_delivered_to_the_part_that_sent_it() {
    let (mut worker, [fast, slow]) = two();
    worker.advance(0);
    worker.hear();
    assert_eq!(
        (fast.messages.take(), slow.messages.take()),
        (vec![b"/fast".to_vec()], vec![b"/slow".to_vec()])
    );
}

#[test]
fn a_message_for_a_part_that_is_not_there_is_dropped() {
    let (mut worker, [fast, slow]) = two();
    worker.advance(0);
    let me = worker.proxy.workers().id().expect("a worker");
    for message in [&b""[..], b"\x04x"] {
        assert!(worker.proxy.workers().wake(me, message));
    }
    worker.hear();
    assert_eq!((fast.messages.take().len(), slow.messages.take().len()), (1, 1));
}

#[test]
fn a_part_can_send_one_byte_less_than_the_whole() {
    let (worker, _) = two();
    let me = worker.proxy.workers().id().expect("a worker");
    let part = PartWorkers { whole: &worker.proxy, place: 0 };
    let sent = [MAX_MESSAGE - 1, MAX_MESSAGE].map(|length| part.wake(me, &vec![0; length]));
    assert_eq!(sent, [true, false]);
}
