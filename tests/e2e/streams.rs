//! Streams as real servers send them, through the reference configuration as it is but for its limits: each passes
//! unchanged and as it comes, and none counts against the cluster that is well.

use serde_json::{Value, json};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, Connection, post};
use tidegate_tests::reference::{self, FILES, UNLIMITED};
use tidegate_tests::upstream::{Gate, Step, Upstream};
use tidegate_tests::{PATIENCE, wait_for};

const CHAT: &str = "/v1/chat/completions";
const IN_A_ROW: usize = 30;
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

struct Stream {
    name: String,
    path: String,
    events: Vec<String>,
}

fn streams() -> Vec<Stream> {
    let written: Vec<Value> =
        serde_json::from_str(include_str!("../traffic/streams.json")).expect("a list of streams");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let stream = |stream: &Value| Stream {
        name: text(&stream["name"]),
        path: text(&stream["path"]),
        events: stream["events"].as_array().expect("events").iter().map(text).collect(),
    };
    written.iter().map(stream).collect()
}

impl Stream {
    fn is_good(&self) -> bool {
        !["failed", "error", "overloaded"].iter().any(|word| self.name.contains(word))
    }

    /// The first event that is not known to be empty.
    fn first_content(&self) -> usize {
        let empty = [
            ": keep-alive",
            "\"role\": \"assistant\"",
            "message_start",
            "response.created",
            "response.in_progress",
        ];
        let is_empty = |event: &String| {
            empty.iter().any(|word| event.contains(word)) && !event.contains("prompt_progress")
        };
        self.events.iter().position(|event| !is_empty(event)).expect("content")
    }

    fn steps(&self, gate: Option<&Gate>) -> Vec<Step> {
        let first = self.first_content();
        let mut steps = vec![Step::Send(HEAD.into())];
        for (place, event) in self.events.iter().enumerate() {
            steps.push(Step::Send(format!("{:x}\r\n{event}\r\n", event.len()).into()));
            steps.extend(gate.filter(|_| place == first).map(|gate| Step::Until(gate.clone())));
        }
        steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
        steps
    }
}

fn request(path: &str, key: &str) -> Vec<u8> {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }], "stream": true });
    post(path, &[("authorization", key)], body.to_string().as_bytes())
}

fn start(file: &str, upstream: &Upstream) -> Envoy {
    reference::start_file(file, [upstream; 3], &UNLIMITED)
}

fn ask(connection: &mut Connection, path: &str, key: &str) -> Answer {
    connection.exchange(&request(path, key)).expect("an answer")
}

#[test]
fn every_stream_passes_unchanged_and_as_it_comes_and_is_no_failure() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = start(file, &upstream);
        for stream in streams().iter().filter(|stream| stream.is_good()) {
            let gate = Gate::default();
            let steps = stream.steps(Some(&gate));
            upstream.follow(move |_| steps.clone());
            let mut connection = envoy.connect();
            connection.send(&request(&stream.path, "Bearer sk-1")).expect("sent");
            let first = &stream.events[stream.first_content()];
            connection
                .wait_for(first.as_bytes())
                .unwrap_or_else(|_| panic!("{file}, {}: nothing came", stream.name));
            gate.open();
            let answer = connection.receive().expect("an answer");
            assert_eq!((answer.status, answer.header("x-tidegate-degraded")), (200, None), "{}", stream.name);
            assert_eq!(String::from_utf8_lossy(&answer.body), stream.events.concat(), "{}", stream.name);
        }
        assert_eq!(
            (envoy.counter("degradation.failures"), envoy.counter("degradation.overloads")),
            (0, 0),
            "{file}"
        );
        envoy.assert_no_vm_restarted();
    }
}

#[test]
fn the_sdks_own_helpers_read_them_as_they_do_without_envoy() {
    for file in FILES {
        let upstream = Upstream::scripted(|seen| {
            let all = streams();
            let name =
                if seen.target.starts_with("/v1/responses") { "openai responses" } else { "anthropic" };
            all.iter().find(|stream| stream.name == name).expect("there").steps(None)
        });
        let envoy = start(file, &upstream);
        let read = crate::sdk::streams(&envoy);
        assert_eq!(read["responses"], json!(["w0 w1 w2 w3 w4 w5 ", "completed"]), "{file}");
        assert_eq!(read["messages"], json!(["w0w1w2w3", "end_turn"]), "{file}");
        assert_eq!(envoy.counter("degradation.failures"), 0);
    }
}

#[test]
fn many_of_any_stream_in_a_row_change_nothing_for_another_client() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = start(file, &upstream);
        for stream in streams().iter().filter(|stream| stream.is_good()) {
            let steps = stream.steps(None);
            upstream.follow(move |_| steps.clone());
            let mut connection = envoy.connect();
            for _ in 0..IN_A_ROW {
                let answer = ask(&mut connection, &stream.path, "Bearer sk-1");
                assert_eq!(answer.status, 200, "{file}, {}", stream.name);
            }
            let other = ask(&mut envoy.connect(), CHAT, "Bearer sk-2");
            assert_eq!((other.status, other.header("x-tidegate-degraded")), (200, None), "{}", stream.name);
        }
        assert_eq!(
            (envoy.counter("degradation.failures"), envoy.counter("degradation.breaker_opened")),
            (0, 0),
            "{file}"
        );
    }
}

#[test]
fn a_stream_that_fails_is_one_failure_whether_it_had_begun_or_not() {
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = start(file, &upstream);
        for (round, (name, passes, failed, overloaded)) in [
            ("openai responses failed", false, 1, 0),
            ("first error", false, 1, 0),
            ("midstream error", true, 1, 0),
            ("anthropic overloaded first", true, 0, 1),
        ]
        .into_iter()
        .enumerate()
        {
            let before = (envoy.counter("degradation.failures"), envoy.counter("degradation.overloads"));
            let all = streams();
            let stream = all.iter().find(|stream| stream.name == name).expect("there");
            let steps = stream.steps(None);
            upstream.follow(move |_| steps.clone());
            let answer = ask(&mut envoy.connect(), &stream.path, &format!("Bearer sk-{round}"));
            assert_eq!(answer.status, if passes { 200 } else { 503 }, "{file}, {name}");
            assert!(!passes || answer.body == stream.events.concat().into_bytes(), "{file}, {name}");
            let expected = (before.0 + failed, before.1 + overloaded);
            wait_for("the outcome", PATIENCE, || {
                ((envoy.counter("degradation.failures"), envoy.counter("degradation.overloads")) == expected)
                    .then_some(())
            });
        }
        envoy.assert_no_vm_restarted();
    }
}
