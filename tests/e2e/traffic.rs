//! Requests of real clients: which of them pass which preset, untouched to the byte. The table is kept beside them, in
//! `tests/traffic/requests.md`; `WRITE_TABLE=1` writes it anew.

use serde_json::{Value, json};
use std::env;
use std::fmt::Write;
use std::fs;
use std::thread::sleep;
use std::time::Duration;
use tidegate_tests::bootstrap::{Listener, checkout, module};
use tidegate_tests::envoy::Envoy;
use tidegate_tests::http::{Answer, post};
use tidegate_tests::reference::{self, FILES};
use tidegate_tests::upstream::Upstream;

const TABLE: &str = "tests/traffic/requests.md";

struct Case {
    id: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    right: String,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../traffic/requests.json")).expect("a list of requests");
    let text = |case: &Value, key: &str| case[key].as_str().expect("a text").to_owned();
    let case = |case: Value| {
        let written = case["headers"].as_object().expect("an object");
        let mut headers: Vec<(String, String)> = written
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        if !written.contains_key("content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let body = text(&case, "body");
        let latin1 = case["latin1"] == json!(true);
        let body = if latin1 { body.chars().map(|c| c as u8).collect() } else { expanded(&body) };
        Case { id: text(&case, "id"), path: text(&case, "path"), headers, body, right: text(&case, "right") }
    };
    cases.into_iter().map(case).collect()
}

/// What is long is made here: `<<repeat 3>>x<<end>>` is `x,x,x`, `<<text 9>>` so many characters of text.
pub fn expanded(template: &str) -> Vec<u8> {
    let mut rest = template;
    let mut repeated = String::new();
    while let Some((before, after)) = rest.split_once("<<repeat ") {
        let (times, after) = after.split_once(">>").expect("a number");
        let (unit, after) = after.split_once("<<end>>").expect("an end");
        repeated.push_str(before);
        repeated.push_str(&vec![unit; times.parse().expect("a number")].join(","));
        rest = after;
    }
    repeated.push_str(rest);
    let (mut rest, mut body) = (repeated.as_str(), Vec::new());
    while let Some((before, after)) = rest.split_once("<<") {
        let (marker, after) = after.split_once(">>").expect("an end");
        let (kind, length) = marker.split_once(' ').expect("a length");
        let length: usize = length.parse().expect("a number");
        body.extend_from_slice(before.as_bytes());
        match kind {
            "text" => body.extend("the quick model reads a long context ".bytes().cycle().take(length)),
            "base64" => body.extend("iVBORw0KGgo/AAA+".bytes().cycle().take(length)),
            "bytes" => body.extend((0..=255_u8).cycle().take(length)),
            "khmer" => body
                .extend("ភាសា\u{200b}ខ្មែរ\u{200b}ជា\u{200b}ភាសា\u{200b}ផ្លូវការ\u{200b}".repeat(length).bytes()),
            "hyphens" => body.extend("Infor\u{ad}mation ".repeat(length).bytes()),
            _ => panic!("{marker}"),
        }
        rest = after;
    }
    body.extend_from_slice(rest.as_bytes());
    body
}

/// What a request gets. One that is refused before it is complete may meet a closed connection, and is sent again.
pub fn answered(envoy: &Envoy, request: &[u8]) -> Answer {
    let send = || {
        let mut connection = envoy.connect();
        let _ = connection.send(request);
        connection.receive()
    };
    (0..9).find_map(|_| send().ok()).expect("an answer")
}

/// What becomes of each request.
fn outcomes(envoy: &Envoy, upstream: &Upstream, cases: &[Case]) -> Vec<String> {
    let outcome = |(place, case): (usize, &Case)| {
        let before = upstream.seen().len();
        let key = format!("Bearer sk-{place}");
        let mut headers: Vec<(&str, &str)> =
            case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("authorization", &key));
        let answer = answered(envoy, &post(&case.path, &headers, &case.body));
        let seen = upstream.seen().split_off(before);
        match seen.as_slice() {
            [seen] if seen.body == case.body => "passes".to_owned(),
            [_] => format!("changed: {}", answer.header("x-tidegate-changed").expect("it says so")),
            _ => match answer.body.is_empty() {
                true => answer.status.to_string(),
                false => {
                    let error = answer.json()["error"].clone();
                    // Anthropic's errors have no code but their type.
                    let code = error["code"].as_str().or(error["type"].as_str()).unwrap_or("").to_owned();
                    format!("{} {code}", answer.status)
                }
            },
        }
    };
    cases.iter().enumerate().map(outcome).collect()
}

fn alone(configuration: &Value, upstream: &Upstream) -> Envoy {
    let mut filter = module("input-limit.wasm", "input-limit", &configuration.to_string());
    filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
    Envoy::with(Listener::new([filter]).to(upstream.port()).holding(80 << 20)).workers(2).start()
}

#[test]
fn which_requests_of_real_clients_pass_which_preset_is_what_the_table_says() {
    let cases = cases();
    let upstream = Upstream::start();
    let columns = [
        ("`{}`", json!({ "hold_headers": true })),
        ("`question`", json!({ "preset": "question", "hold_headers": true })),
        ("`chat`", json!({ "preset": "chat", "hold_headers": true })),
        ("`agent`", json!({ "preset": "agent", "hold_headers": true })),
    ];
    let results: Vec<Vec<String>> = columns
        .iter()
        .map(|(_, configuration)| {
            let envoy = alone(configuration, &upstream);
            let outcomes = outcomes(&envoy, &upstream, &cases);
            envoy.assert_no_vm_restarted();
            outcomes
        })
        .collect();
    let mut table = "# Which requests of real clients pass which preset of input-limit\n\nMade by `tests/e2e/traffic.rs`; the requests are \
         in requests.json.\n\n| request"
        .to_owned();
    columns.iter().for_each(|(name, _)| write!(table, " | {name}").expect("room"));
    table.push_str(" |\n|---|---|---|---|---|\n");
    for (place, case) in cases.iter().enumerate() {
        write!(table, "| {}", case.id).expect("room");
        results.iter().for_each(|results| write!(table, " | {}", results[place]).expect("room"));
        table.push_str(" |\n");
    }
    let file = checkout().join(TABLE);
    if env::var_os("WRITE_TABLE").is_some() {
        fs::write(&file, &table).expect("written");
    }
    assert_table(&fs::read_to_string(&file).expect("a table"), &table);
    served_as_they_should_be(cases.iter().zip(&results[0]));
}

#[test]
fn the_reference_files_serve_every_request_of_a_real_client_byte_for_byte() {
    let cases = cases();
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let outcomes = outcomes(&envoy, &upstream, &cases);
        // Parts of models for a server's disk: no route leads there.
        let is_open = |(case, _): &(&Case, &String)| !case.path.starts_with("/api/blobs/");
        let (open, closed): (Vec<_>, Vec<_>) = cases.iter().zip(&outcomes).partition(is_open);
        served_as_they_should_be(open);
        assert!(closed.iter().all(|(_, outcome)| *outcome == "404 unknown_url"), "{file}");
        envoy.assert_no_vm_restarted();
    }
}

/// Each turn is sent as the agent sends it, with all turns before it: a call, and what the tool printed, in colours, with a
/// progress bar, a bell, a link and a byte of a binary file.
#[test]
fn an_agent_of_400_turns_with_coloured_output_goes_on_to_its_end() {
    const PRINTED: &str = "\u{1b}[32m✓\u{1b}[0m 12 passed \u{1b}[1;31m1 failed\u{1b}[0m\r 40%\u{8}\u{8}\u{8}100%\u{7} \
        \u{1b}]8;;file:///a.rs\u{1b}\\a.rs\u{1b}]8;;\u{1b}\\ \u{0} \u{90} \u{e0a0} main";
    for file in FILES {
        let upstream = Upstream::start();
        let envoy = reference::start_file(file, [&upstream; 3], &[]);
        let mut messages = vec![json!({ "role": "user", "content": "Mend the tests." })];
        for turn in 0..400 {
            let id = format!("call_{turn}");
            let call = json!({ "name": "run", "arguments": "{\"command\":\"cargo test\\u001b[0m\"}" });
            messages.push(json!({
                "role": "assistant", "content": null, "tool_calls": [{ "id": id, "type": "function", "function": call }]
            }));
            messages
                .push(json!({ "role": "tool", "tool_call_id": id, "content": format!("{turn}: {PRINTED}") }));
            let body = json!({ "model": "m", "max_tokens": 4_096, "messages": messages }).to_string();
            let headers = [("authorization", "Bearer sk-agent"), ("content-type", "application/json")];
            let request = post("/v1/chat/completions", &headers, body.as_bytes());
            // It is far faster than a model lets it be, and comes back like an SDK where it is told to wait.
            let ask = |_| {
                let answer = answered(&envoy, &request);
                let waits = answer.status == 429;
                waits.then(|| sleep(Duration::from_millis(50)));
                (!waits).then_some(answer)
            };
            let answer = (0..600).find_map(ask).expect("half a minute is enough");
            assert_eq!(
                (answer.status, answer.header("x-tidegate-changed")),
                (200, None),
                "{file}, turn {turn}"
            );
            assert!(
                upstream.seen().last().is_some_and(|seen| seen.body == body.as_bytes()),
                "{file}, turn {turn}"
            );
        }
        envoy.assert_no_vm_restarted();
    }
}

/// That a table is as it was kept; else the lines that differ.
pub fn assert_table(kept: &str, made: &str) {
    let differing = |(kept, made): &(&str, &str)| kept != made;
    let lines: Vec<_> = kept.lines().zip(made.lines()).filter(differing).collect();
    assert!(lines.is_empty() && kept.len() == made.len(), "kept and made: {lines:#?}");
}

fn served_as_they_should_be<'a>(served: impl IntoIterator<Item = (&'a Case, &'a String)>) {
    let wrong: Vec<String> = served
        .into_iter()
        .filter(|(case, outcome)| match case.right.as_str() {
            "pass" | "pass or a clear refusal" => *outcome != "passes",
            "change" => !outcome.starts_with("changed"),
            _ => !outcome.starts_with('4'),
        })
        .map(|(case, outcome)| format!("{}: {outcome}", case.id))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
