//! A task on every worker of a real Envoy: whom it calls, who leads, and how workers wake each other's requests.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use tidegate_task_contract::TERM;
use tidegate_task_contract::contract::{ANSWERS, HANGS, LARGE, REFUSES, STATEMENTS};
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, Connection, get};
use tidegate_tests::upstream::{Gate, Seen, Step, Upstream};
use tidegate_tests::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);

/// The servers of the contract.
struct Servers {
    answers: Upstream,
    large: Upstream,
    hangs: Upstream,
    gate: Gate,
    /// Speaks gRPC with Envoy, and HTTP/1.1 with `answers`.
    bridge: Envoy,
    nobody: u16,
}

impl Servers {
    fn start() -> Self {
        let ok = |kind: &str, body: &[u8]| {
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
            [head.as_bytes(), body].concat()
        };
        let answers = Upstream::answering(move |seen: &Seen| {
            ok(seen.header("content-type").unwrap_or("text/plain"), b"pong")
        });
        let gate = Gate::default();
        let closed = gate.clone();
        let late = ok("text/plain", b"late");
        Self {
            bridge: Envoy::with(Listener::new([bridge()]).to(answers.port())).workers(1).start(),
            answers,
            large: Upstream::answering(move |_| ok("text/plain", &vec![b'.'; (1 << 20) + 1])),
            hangs: Upstream::scripted(move |_| vec![Step::Until(closed.clone()), Step::Send(late.clone())]),
            gate,
            nobody: TcpListener::bind(("127.0.0.1", 0))
                .and_then(|port| port.local_addr())
                .expect("a free port")
                .port(),
        }
    }

    /// A listener whose filter knows them; other documents make other configurations.
    fn listener(&self, document: &Value) -> Listener {
        let contract = module("tests/task-contract.wasm", "task-contract", &document.to_string());
        let http = [
            (ANSWERS, self.answers.port()),
            (LARGE, self.large.port()),
            (HANGS, self.hangs.port()),
            (REFUSES, self.nobody),
        ];
        let grpc =
            [(ANSWERS, self.bridge.front().port()), (HANGS, self.hangs.port()), (REFUSES, self.nobody)];
        let listener = http
            .into_iter()
            .fold(Listener::new([contract]), |listener, (name, port)| listener.beside(name, port, false));
        grpc.into_iter()
            .fold(listener, |listener, (name, port)| listener.beside(&format!("grpc|{name}"), port, true))
    }

    fn envoy(&self, workers: usize) -> Envoy {
        Envoy::with(self.listener(&json!({}))).workers(workers).start()
    }
}

fn bridge() -> Value {
    json!({
        "name": "envoy.filters.http.grpc_http1_reverse_bridge",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig",
            "content_type": "application/grpc+proto",
            "withhold_grpc_frames": true,
        },
    })
}

fn ask(connection: &mut Connection, path: &str, headers: &[(&str, &str)]) -> Answer {
    connection.exchange(&get(path, headers)).expect("an answer")
}

fn text(answer: &Answer) -> &str {
    core::str::from_utf8(&answer.body).expect("text")
}

fn worker(answer: &Answer) -> &str {
    answer.header("x-worker").expect("a worker")
}

/// A connection to each of so many workers, by their names.
fn connections(envoy: &Envoy, workers: usize) -> BTreeMap<String, Connection> {
    let mut found = BTreeMap::new();
    wait_for("a connection to every worker", PATIENCE, || {
        let mut connection = envoy.connect();
        let name = worker(&ask(&mut connection, "/who", &[])).to_owned();
        found.entry(name).or_insert(connection);
        (found.len() == workers).then_some(())
    });
    found
}

fn counter(envoy: &Envoy, what: &str) -> u64 {
    envoy.stat(&format!("wasmcustom.tidegate.task_contract.{what}"))
}

fn restarts(envoy: &Envoy) -> u64 {
    let stats = envoy.admin("GET", "/stats?filter=vm_reload_success");
    stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
}

/// Has the VM of the worker behind `connection` trap, and waits until a new one serves.
fn trap(envoy: &Envoy, connection: &mut Connection) {
    let before = restarts(envoy);
    if let Ok(answer) = connection.exchange(&get("/trap", &[])) {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    wait_for("a new VM", PATIENCE, || {
        let answer = connection.exchange(&get("/who", &[]));
        if answer.as_ref().map_or(true, Answer::closes) {
            *connection = envoy.connect();
        }
        (restarts(envoy) > before).then_some(())
    });
}

#[test]
fn calls_of_a_task_end_in_envoy_as_they_do_in_the_fake() {
    let servers = Servers::start();
    let envoy = servers.envoy(2);
    for (_, mut connection) in connections(&envoy, 2) {
        for statement in STATEMENTS {
            let told = ask(&mut connection, "/call", statement.headers);
            assert!(statement.holds(text(&told)), "{}: {}", statement.says, text(&told));
        }
    }
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_call_says_what_it_was_told_to_say_under_the_authority_that_it_was_given() {
    let servers = Servers::start();
    let envoy = servers.envoy(1);
    let mut connection = envoy.connect();
    for kind in ["http", "grpc"] {
        servers.answers.forget();
        let cluster = if kind == "grpc" { "grpc|answers" } else { ANSWERS };
        let headers = [("x-kind", kind), ("x-cluster", cluster), ("x-path", "/ask?a=b"), ("x-body", "ping")];
        let told = ask(&mut connection, "/call", &headers);
        assert!(text(&told).ends_with("pong"), "{}", text(&told));
        let [seen] = servers.answers.seen().try_into().expect("one request");
        let target = if kind == "grpc" { "/test.Service/Ask" } else { "/ask?a=b" };
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", target));
        assert_eq!((seen.header("host"), seen.body.as_slice()), (Some("task-contract"), &b"ping"[..]));
    }
}

#[test]
fn a_task_starts_on_every_worker_and_on_the_main_thread_and_nowhere_else() {
    let servers = Servers::start();
    let envoy = servers.envoy(3);
    wait_for("all to start", PATIENCE, || (counter(&envoy, "started") >= 4).then_some(()));
    connections(&envoy, 3);
    assert_eq!(counter(&envoy, "started"), 4);
}

#[test]
fn an_answer_comes_to_the_task_when_the_request_that_asked_for_it_is_gone() {
    let servers = Servers::start();
    let envoy = servers.envoy(2);
    let mut connection = envoy.connect();
    let headers = [("x-cluster", HANGS), ("x-path", "/ask"), ("x-times", "3")];
    connection.send(&get("/call", &headers)).expect("sent");
    wait_for("the calls", PATIENCE, || (servers.hangs.seen().len() == 3).then_some(()));
    drop(connection);
    wait_for("the request to be gone", PATIENCE, || {
        (envoy.stat("http.front.downstream_rq_active") == 0).then_some(())
    });
    assert_eq!(counter(&envoy, "answered"), 0);
    servers.gate.open();
    wait_for("the answers", PATIENCE, || (counter(&envoy, "answered") == 3).then_some(()));
    envoy.assert_no_vm_restarted();
}

#[test]
fn thousands_of_calls_to_an_upstream_that_hangs_trap_nothing() {
    let servers = Servers::start();
    let envoy = servers.envoy(4);
    let clients = (0..8).map(|client| {
        let front = envoy.front();
        thread::spawn(move || {
            let cluster = if client % 2 == 0 { HANGS } else { "grpc|hangs" };
            let kind = if client % 2 == 0 { "http" } else { "grpc" };
            let mut connection = Connection::open(front);
            for _ in 0..5 {
                let asked = [
                    ("x-kind", kind),
                    ("x-cluster", cluster),
                    ("x-path", "/"),
                    ("x-deadline-ms", "200"),
                    ("x-times", "5000"),
                ];
                let told = ask(&mut connection, "/call", &asked);
                let refused = text(&told).lines().filter(|outcome| *outcome == "Full").count();
                assert_eq!(text(&told).lines().count(), 5_000);
                assert!(refused >= 5_000 - 16, "{refused}");
            }
        })
    });
    clients.collect::<Vec<_>>().into_iter().for_each(|client| client.join().expect("no panic"));
    assert!(!servers.hangs.seen().is_empty());
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_late_answer_to_a_vm_that_has_trapped_is_dropped() {
    let servers = Servers::start();
    let envoy = servers.envoy(2);
    let mut connection = envoy.connect();
    let headers = [("x-cluster", HANGS), ("x-path", "/ask"), ("x-times", "16"), ("x-deadline-ms", "30000")];
    assert_eq!(text(&ask(&mut connection, "/fire", &headers)), "fired");
    wait_for("the calls", PATIENCE, || (servers.hangs.seen().len() == 16).then_some(()));
    trap(&envoy, &mut connection);
    servers.gate.open();
    let asked = [("x-cluster", ANSWERS), ("x-path", "/ask"), ("x-times", "16")];
    for _ in 0..5 {
        let told = ask(&mut connection, "/call", &asked);
        assert_eq!(text(&told), ["http 200 pong"; 16].join("\n"));
    }
    assert_eq!(restarts(&envoy), 1, "{}", envoy.log());
}

#[test]
fn a_late_answer_to_a_configuration_that_is_gone_is_dropped() {
    let servers = Servers::start();
    let envoy = servers.envoy(2);
    let mut connection = envoy.connect();
    let headers = [("x-cluster", HANGS), ("x-path", "/ask"), ("x-times", "16"), ("x-deadline-ms", "30000")];
    let old = worker(&ask(&mut connection, "/fire", &headers)).to_owned();
    wait_for("the calls", PATIENCE, || (servers.hangs.seen().len() == 16).then_some(()));
    drop(connection);
    envoy.reload(&servers.listener(&json!({ "another": "configuration" })));
    wait_for("the old configuration to be gone", PATIENCE, || {
        let is_replaced = envoy.stat("listener_manager.listener_in_place_updated") == 1;
        (is_replaced && envoy.stat("listener_manager.total_filter_chains_draining") == 0).then_some(())
    });
    servers.gate.open();
    for (name, mut connection) in connections(&envoy, 2) {
        assert_ne!(name, old);
        let asked = [("x-cluster", ANSWERS), ("x-path", "/ask"), ("x-times", "16")];
        assert_eq!(text(&ask(&mut connection, "/call", &asked)), ["http 200 pong"; 16].join("\n"));
    }
    envoy.assert_no_vm_restarted();
}

/// The workers that say that they lead, each asked once.
fn leaders(connections: &mut BTreeMap<String, Connection>) -> Vec<String> {
    let ask = |(name, connection): (&String, &mut Connection)| {
        (text(&ask(connection, "/leader", &[])) == "leads").then(|| name.clone())
    };
    connections.iter_mut().filter_map(ask).collect()
}

#[test]
fn one_worker_of_many_leads_and_when_it_traps_another_one_does() {
    let servers = Servers::start();
    let envoy = servers.envoy(4);
    let mut workers = connections(&envoy, 4);
    let [first] = leaders(&mut workers).try_into().expect("one leader");
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_nanos(2 * TERM) {
        assert_eq!(leaders(&mut workers), std::slice::from_ref(&first));
    }
    let mut trapped = workers.remove(&first).expect("a connection to the leader");
    trap(&envoy, &mut trapped);
    let [second] = wait_for("another leader", PATIENCE, || {
        let now = leaders(&mut workers);
        assert!(now.len() <= 1, "{now:?}");
        now.try_into().ok()
    });
    let newcomer = ask(&mut trapped, "/leader", &[]);
    assert_eq!(text(&newcomer), "follows");
    workers.insert(worker(&newcomer).to_owned(), trapped);
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_nanos(2 * TERM) {
        assert_eq!(leaders(&mut workers), std::slice::from_ref(&second));
    }
    assert_eq!(restarts(&envoy), 1);
}

#[test]
fn a_leader_whose_configuration_is_replaced_is_followed_by_one_of_the_new_one() {
    let servers = Servers::start();
    let envoy = servers.envoy(2);
    let mut workers = connections(&envoy, 2);
    assert_eq!(leaders(&mut workers).len(), 1);
    let old: BTreeSet<String> = workers.into_keys().collect();
    envoy.reload(&servers.listener(&json!({ "another": "configuration" })));
    let mut new = wait_for("the new configuration", PATIENCE, || {
        let new = connections(&envoy, 2);
        new.keys().all(|name| !old.contains(name)).then_some(new)
    });
    wait_for("a new leader", PATIENCE, || (leaders(&mut new).len() == 1).then_some(()));
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_request_that_one_worker_holds_is_let_go_by_any_other() {
    let servers = Servers::start();
    let envoy = servers.envoy(4);
    let mut workers = connections(&envoy, 4);
    let names: Vec<String> = workers.keys().cloned().collect();
    for holder in &names {
        for releaser in &names {
            let name = format!("{holder}-{releaser}");
            let mut held = workers.remove(holder).expect("a connection");
            held.send(&get(&format!("/hold/{name}"), &[])).expect("sent");
            let mut other =
                if holder == releaser { envoy.connect() } else { workers.remove(releaser).expect("another") };
            wait_for("the request to be held", PATIENCE, || {
                let answer = ask(&mut other, &format!("/release/{name}"), &[]);
                (text(&answer) == "sent").then_some(())
            });
            let answer = held.receive().expect("an answer");
            assert_eq!((text(&answer), worker(&answer)), ("woken", holder.as_str()));
            workers.insert(holder.clone(), held);
            if holder != releaser {
                workers.insert(releaser.clone(), other);
            }
        }
    }
    envoy.assert_no_vm_restarted();
}

#[test]
fn hundreds_of_held_requests_are_let_go_at_once() {
    let servers = Servers::start();
    let envoy = servers.envoy(4);
    let mut held: Vec<Connection> = (0..300).map(|_| envoy.connect()).collect();
    for (n, connection) in held.iter_mut().enumerate() {
        connection.send(&get(&format!("/hold/{n}"), &[])).expect("sent");
    }
    let mut other = envoy.connect();
    for n in 0..300 {
        wait_for("the request to be held", PATIENCE, || {
            (text(&ask(&mut other, &format!("/release/{n}"), &[])) == "sent").then_some(())
        });
    }
    for mut connection in held {
        assert_eq!(text(&connection.receive().expect("an answer")), "woken");
    }
    envoy.assert_no_vm_restarted();
}

#[test]
fn a_wake_for_a_vm_that_has_trapped_wakes_no_request_of_its_successor() {
    let servers = Servers::start();
    let envoy = servers.envoy(2);
    let hold = |connection: &mut Connection, name: &str| {
        connection.send(&get(&format!("/hold/{name}"), &[])).expect("sent");
    };
    let mut other = envoy.connect();
    let mut release = |name: &str| {
        wait_for("the request to be held", PATIENCE, || {
            (text(&ask(&mut other, &format!("/release/{name}"), &[])) == "sent").then_some(())
        });
    };
    // The streams of a VM are numbered as they come, so those held after the trap have the numbers of those before.
    let mut by_worker: BTreeMap<String, Vec<(usize, Connection)>> = BTreeMap::new();
    for n in 0..30 {
        let mut connection = envoy.connect();
        hold(&mut connection, &format!("before-{n}"));
        release(&format!("before-{n}"));
        let answer = connection.receive().expect("an answer");
        assert_eq!(text(&answer), "woken");
        by_worker.entry(worker(&answer).to_owned()).or_default().push((n, connection));
    }
    let mut most = by_worker.into_values().max_by_key(Vec::len).expect("a worker");
    assert!(most.len() >= 15);
    let (_, mut trapped) = most.pop().expect("a connection");
    trap(&envoy, &mut trapped);
    for (n, connection) in &mut most {
        hold(connection, &format!("after-{n}"));
    }
    for (n, _) in &most {
        release(&format!("before-{n}"));
    }
    let held = u64::try_from(most.len()).expect("a number");
    for (woken, (n, connection)) in (1..).zip(&mut most) {
        release(&format!("after-{n}"));
        assert_eq!(text(&connection.receive().expect("an answer")), "woken");
        wait_for("only that one to be let go", PATIENCE, || {
            (envoy.stat("http.front.downstream_rq_active") == held - woken).then_some(())
        });
    }
    assert_eq!(restarts(&envoy), 1, "{}", envoy.log());
}
