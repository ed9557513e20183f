//! What a response reports of its cost, as the adapter reads it in a real Envoy: of streams and documents, however they are
//! cut, and of those that their client left.

use serde_json::{Value, json};
use std::time::Duration;
use tidegate_tests::bootstrap::{Listener, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::get;
use tidegate_tests::upstream::{Gate, Step, Upstream};
use tidegate_tests::wait_for;

const NAMES: [&str; 6] = ["prompt", "completion", "cached", "events", "characters", "unreadable"];
const PATIENCE: Duration = Duration::from_secs(20);

fn start(upstream: &Upstream) -> Envoy {
    let filter = module("tests/store-contract.wasm", "store-contract", "{}");
    Envoy::with(Listener::new([filter]).to(upstream.port())).workers(2).start()
}

fn counted(envoy: &Envoy) -> [u64; 6] {
    NAMES.map(|name| envoy.stat(&format!("wasmcustom.tidegate.store_contract.{name}")))
}

fn head(headers: &str) -> Step {
    Step::Send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n").into_bytes())
}

/// `text` in chunks of so many bytes.
fn chunks(text: &str, size: usize) -> Vec<Step> {
    let chunk = |chunk: &[u8]| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
    let all: Vec<u8> = text.as_bytes().chunks(size).flat_map(chunk).collect();
    vec![Step::Send(all), Step::Send(b"0\r\n\r\n".to_vec())]
}

fn recorded(name: &str) -> String {
    let all: Vec<Value> = serde_json::from_str(include_str!("../traffic/streams.json")).expect("streams");
    let stream = all.iter().find(|stream| stream["name"] == name).expect("it is there");
    stream["events"].as_array().expect("events").iter().filter_map(Value::as_str).collect()
}

#[test]
fn what_responses_report_is_read_however_they_are_cut() {
    let document = json!({ "choices": [{ "message": { "content": "Hello" } }], "usage": {
        "prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": { "cached_tokens": 64 } } });
    let long = json!({ "data": [{ "embedding": vec![0.25; 40_000] }], "usage": { "prompt_tokens": 7 } });
    let events = "content-type: text/event-stream\r\n";
    let json = "content-type: application/json\r\n";
    let coded = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let lines =
        "{\"response\":\"Hi\",\"done\":false}\n{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}\n";
    for (headers, text, expected) in [
        (events, recorded("vllm chat"), [1, 5, 0, 5, 15, 0]),
        (events, recorded("anthropic"), [1, 4, 0, 6, 8, 0]),
        (events, recorded("openai responses"), [1, 6, 0, 9, 18, 0]),
        (json, document.to_string(), [100, 20, 64, 1, 5, 0]),
        (json, long.to_string(), [7, 0, 0, 1, 0, 0]),
        ("content-type: application/x-ndjson\r\n", lines.to_owned(), [26, 298, 0, 2, 2, 0]),
        (coded, document.to_string(), [0, 0, 0, 0, 0, 1]),
        ("", document.to_string(), [0, 0, 0, 0, 0, 1]),
    ] {
        for size in [7, 1 << 20] {
            let body = text.clone();
            let steps = [vec![head(headers)], chunks(&body, size)].concat();
            let upstream = Upstream::scripted(move |_| steps.clone());
            let envoy = start(&upstream);
            let answer = envoy.connect().exchange(&get("/read/", &[])).expect("an answer");
            assert_eq!(answer.body, text.as_bytes(), "it passes as it is");
            let count = || Some(counted(&envoy)).filter(|counted| *counted == expected);
            wait_for(&format!("{expected:?} of {headers:?} in parts of {size}"), PATIENCE, count);
            envoy.assert_no_vm_restarted();
        }
    }
}

#[test]
fn of_a_stream_that_its_client_left_what_had_come_is_known() {
    let gate = Gate::default();
    let waits = gate.clone();
    let upstream = Upstream::scripted(move |_| {
        let event = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n".repeat(3);
        let mut steps = vec![head("content-type: text/event-stream\r\n")];
        steps.push(Step::Send(format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()));
        steps.push(Step::Until(waits.clone()));
        steps
    });
    let envoy = start(&upstream);
    let mut connection = envoy.connect();
    connection.send(&get("/read/", &[])).expect("it is sent");
    connection.wait_for(b"Hi").expect("it begins");
    drop(connection);
    let expected = [0, 0, 0, 3, 6, 0];
    wait_for("what had come", PATIENCE, || Some(counted(&envoy)).filter(|counted| *counted == expected));
    gate.open();
    envoy.assert_no_vm_restarted();
}
