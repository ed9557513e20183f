use super::*;
use contract::{ANSWERS, HANGS, LARGE, REFUSES, STATEMENTS, Statement};
use tidegate_host::call::{Answer, HttpResponse};
use tidegate_host::fake::{FakeExchange, FakeWorker, Made};
use tidegate_policy::timestamp::MILLISECOND;
use tidegate_policy::timestamp::Timestamp;

fn plugin() -> TaskContract {
    TaskContract::configure(b"{}").expect("it needs no configuration")
}

/// The body of an answer.
fn text(flow: Flow) -> String {
    let Flow::Reply(reply) = flow else { panic!("{flow:?}") };
    String::from_utf8(reply.body).expect("text")
}

/// As the servers of the contract answer.
fn answer(call: &Made) -> Answer {
    let is_grpc = call.target == "test.Service/Ask";
    let is_at =
        |cluster: &str| call.upstream == cluster || call.upstream.contains(&format!("grpc|{cluster}"));
    let response = |status, body: &[u8]| {
        Answer::Http(HttpResponse { status, body: body.to_vec(), ..HttpResponse::default() })
    };
    if is_at(ANSWERS) {
        return if is_grpc { Answer::Grpc(b"pong".to_vec()) } else { response(200, b"pong") };
    }
    if is_at(LARGE) {
        return Answer::TooLong;
    }
    match (is_grpc, is_at(HANGS), is_at(REFUSES)) {
        (true, ..) => Answer::GrpcStatus(14),
        (false, true, _) => response(504, b""),
        (false, _, true) => response(503, b""),
        _ => panic!("{call:?}"),
    }
}

fn told(statement: &Statement) -> String {
    let plugin = plugin();
    let mut worker = FakeWorker::running(&plugin);
    worker.advance(0);
    let is_unknown = statement.headers.iter().any(|(_, value)| value.ends_with("unknown"));
    worker.unreachable.set(is_unknown);
    let mut stream = plugin.stream();
    let headers = [&[(":path", "/call")], statement.headers].concat();
    worker.proxy.stream.set(Some(StreamId(3)));
    assert!(matches!(stream.on_request_headers(&worker.proxy.exchange(&headers)), Flow::HoldUntil(_)));
    worker.advance(MILLISECOND);
    for call in worker.take_calls() {
        worker.answer(&call, answer(&call));
    }
    assert_eq!(worker.take_rung(), [StreamId(3)]);
    text(stream.on_ring(&worker.proxy.exchange(&headers)))
}

#[test]
fn the_fake_keeps_the_contract() {
    for statement in STATEMENTS {
        let told = told(statement);
        assert!(statement.holds(&told), "{}: {told}", statement.says);
    }
}

fn ask(worker: &FakeWorker, plugin: &TaskContract, path: &str) -> String {
    let exchange: FakeExchange<'_> = worker.proxy.exchange(&[(":path", path)]);
    text(plugin.stream().on_request_headers(&exchange))
}

#[test]
fn one_worker_leads_and_another_one_once_it_has_died() {
    let plugins = [plugin(), plugin()];
    let first = FakeWorker::running(&plugins[0]);
    let second = first.beside(&plugins[1]);
    second.proxy.random.set(1);
    let mut workers = [first, second];
    let ask_all = |workers: &[FakeWorker; 2]| [0, 1].map(|n| ask(&workers[n], &plugins[n], "/leader"));
    assert_eq!(ask_all(&workers), ["leads", "follows"]);
    workers.iter_mut().for_each(|worker| worker.advance(10 * TERM));
    assert_eq!(ask_all(&workers), ["leads", "follows"]);
    workers[0].die();
    workers.iter_mut().for_each(|worker| worker.advance(2 * TERM));
    assert_eq!(ask_all(&workers), ["follows", "leads"]);
}

#[test]
fn a_request_that_one_worker_holds_is_let_go_by_another() {
    let plugins = [plugin(), plugin()];
    let first = FakeWorker::running(&plugins[0]);
    let mut second = first.beside(&plugins[1]);
    second.proxy.stream.set(Some(StreamId(8)));
    let mut held = plugins[1].stream();
    let exchange = second.proxy.exchange(&[(":path", "/hold/a")]);
    assert!(matches!(held.on_request_headers(&exchange), Flow::HoldUntil(_)));
    assert_eq!(
        ["/release/b", "/release/a"].map(|path| ask(&first, &plugins[0], path)),
        ["nobody is held", "sent"]
    );
    second.hear();
    assert_eq!(second.take_rung(), [StreamId(8)]);
    assert_eq!(text(held.on_ring(&second.proxy.exchange(&[]))), "woken");
}

#[test]
fn a_request_whose_wake_is_lost_is_let_go_by_its_alarm() {
    let plugins = [plugin(), plugin()];
    let first = FakeWorker::running(&plugins[0]);
    let mut second = first.beside(&plugins[1]);
    second.proxy.stream.set(Some(StreamId(8)));
    let mut held = plugins[1].stream();
    let flow = held.on_request_headers(&second.proxy.exchange(&[(":path", "/hold/a")]));
    assert_eq!(flow, Flow::HoldUntil(Timestamp::from_nanos(PATIENCE)));
    first.proxy.post.lose(1);
    assert_eq!(ask(&first, &plugins[0], "/release/a"), "sent");
    second.hear();
    assert_eq!(second.take_rung(), []);
    assert_eq!(text(held.on_alarm(&second.proxy.exchange(&[]))), "waited in vain");
}

#[test]
fn a_task_starts_once_and_not_while_it_is_configured() {
    let plugin = plugin();
    let mut worker = FakeWorker::running(&plugin);
    let started = |worker: &FakeWorker| worker.proxy.counter("tidegate.task_contract.started");
    assert_eq!(started(&worker), 0);
    worker.advance(10 * TERM);
    assert_eq!(started(&worker), 1);
}
