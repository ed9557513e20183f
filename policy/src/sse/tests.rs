#![allow(clippy::arithmetic_side_effects)]

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn shown(stream: &[u8]) -> Shown {
    Watch::default().feed(stream)
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn first(data: &Value) -> Option<First> {
    shown(event(data).as_bytes()).first
}

#[test]
fn the_first_content_is_what_a_client_can_show() {
    let chat =
        |delta: Value| json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]});
    for content in [
        chat(json!({"content": "Hi"})),
        chat(json!({"role": "assistant", "content": "\n"})),
        chat(json!({"content": "", "reasoning_content": "Hm"})),
        chat(json!({"content": null, "reasoning": "Hm"})),
        chat(json!({"refusal": "No"})),
        chat(json!({"tool_calls": [{"index": 0, "function": {"name": "f"}}]})),
        chat(json!({"function_call": {"name": "f"}})),
        chat(json!({"content": [{"type": "text", "text": "Hi"}]})),
        json!({"choices": [{"delta": {}}, {"delta": {"content": "Hi"}}]}),
        json!({"object": "text_completion", "choices": [{"text": "Hi", "finish_reason": null}]}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
    ] {
        assert_eq!(first(&content), Some(First::Content), "{content}");
    }
    for nothing in [
        chat(json!({"role": "assistant"})),
        chat(json!({"role": "assistant", "content": ""})),
        chat(json!({"content": null, "tool_calls": [], "function_call": {}})),
        json!({"choices": [{"delta": {"other": "Hi"}, "finish_reason": null}]}),
        json!({"choices": [], "usage": {"completion_tokens": 1}}),
        json!({"type": "message_start", "message": {"content": [], "stop_reason": null}}),
        json!({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!("content"),
        json!([{"delta": {"content": "Hi"}}]),
    ] {
        assert_eq!(first(&nothing), None, "{nothing}");
    }
}

#[test]
fn a_name_within_a_text_or_in_another_place_is_not_taken_for_the_member() {
    for nothing in [
        json!({"id": "\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]"}),
        json!({"choices": [{"delta": {"x": {"content": "Hi"}}}]}),
        json!({"choices": [{"logprobs": {"content": [{"token": "Hi"}]}}]}),
        json!({"choices": [[{"delta": {"content": "Hi"}}]]}),
        json!({"choices": {"delta": {"content": "Hi"}}}),
        json!({"x": {"choices": [{"delta": {"content": "Hi"}}]}}),
        json!({"x": {"error": {"message": "Hi"}, "type": "message_stop", "finish_reason": "stop"}}),
        json!({"type": "content_block_delta_of_another_kind"}),
        json!({"error": null}),
    ] {
        assert_eq!(shown(event(&nothing).as_bytes()), Shown::default(), "{nothing}");
    }
    let escaped = br#"data: {"ch\u006fices":[{"delt\u0061":{"content":"\u0048"}}]}"#;
    assert_eq!(shown(&[escaped, "\n\n".as_bytes()].concat()).first, Some(First::Content));
}

#[test]
fn an_error_within_the_stream_is_told_from_content() {
    for error in [
        json!({"error": {"message": "no", "type": "server_error", "code": 500}}),
        json!({"error": "no"}),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        json!({"object": "error", "message": "no"}),
    ] {
        let shown = shown(event(&error).as_bytes());
        assert_eq!((shown.first, shown.error), (Some(First::Error), true), "{error}");
    }
    let late = [event(&json!({"choices": [{"text": "Hi"}]})), event(&json!({"error": {}}))].concat();
    let shown = shown(late.as_bytes());
    assert_eq!((shown.first, shown.error, shown.is_whole()), (Some(First::Content), true, false));
}

#[test]
fn a_stream_is_whole_once_it_said_so() {
    let hello = event(&json!({"choices": [{"delta": {"content": "Hi"}}]}));
    let stop = event(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
    let after = |rest: &str| shown([&hello, rest].concat().as_bytes());
    assert_eq!((after("").finished, after("").done), (false, false));
    assert_eq!((after(&stop).finished, after(&stop).done), (true, false));
    assert!(after(&[&stop, "data: [DONE]\n\n"].concat()).is_whole());
    assert!(!after("data: [DONE]\n").done && !after("data: [DON]\n\n").done);
    let anthropic = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n\
                     event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert!(after(anthropic).finished && after(anthropic).is_whole());
    assert!(!after("data: {\"choices\":[\n\ndata: [DONE]\n\n").is_whole());
    assert_eq!(shown(b"data: [DONE]\n\n").first, Some(First::End));
}

#[test]
fn comments_other_fields_and_blank_lines_are_no_events() {
    let keep_alive =
        b": OPENROUTER PROCESSING\n\n:\r\n\r\n\n\nevent: ping\nid: 7\nretry: 10\n\ndat: {}\n\ndatas: {\n\n";
    assert_eq!(shown(keep_alive), Shown::default());
    assert!(shown(b"data\n\n").malformed && shown(b"data:\n\n").malformed);
}

#[test]
fn an_event_over_several_lines_is_one() {
    let lines = b"data: {\"choices\":\r\ndata: [{\"text\":\rdata:\"Hi\"}]\ndata\n: between\ndata: }\r\n";
    let mut watch = Watch::default();
    assert_eq!(watch.feed(lines), Shown::default());
    assert_eq!(watch.feed(b"\r\n").first, Some(First::Content));
    assert!(shown(b"data: {\"error\":tr\ndata: ue}\n\n").malformed);
}

#[test]
fn of_an_event_without_end_only_the_beginning_is_looked_at() {
    let long = "x".repeat(1 << 20);
    let early = json!({"choices": [{"delta": {"content": "Hi"}}], "x": long});
    let shown_early = shown(event(&early).as_bytes());
    assert_eq!((shown_early.first, shown_early.malformed), (Some(First::Content), false));
    assert_eq!(first(&json!({"a": long, "choices": [{"delta": {"content": "Hi"}}]})), None);
    let mut watch = Watch::default();
    watch.feed(b"data: {\"choices\":[{\"text\":\"");
    for _ in 0..4 {
        assert_eq!(watch.feed(long.as_bytes()), Shown::default());
    }
    assert_eq!(watch.feed(b"\n\n").first, Some(First::Content));
    assert!(watch.feed(b"data: [DONE]\n\n").done);
}

/// The definition: the whole stream at once, cut into lines and events, each parsed.
fn defined(stream: &str) -> Shown {
    let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
    let ended = lines.rsplit_once("\n\n").map_or("", |(ended, _)| ended);
    let mut shown = Shown::default();
    for event in ended.split("\n\n") {
        let value = |line: &str| {
            let value = line.strip_prefix("data:").or((line == "data").then_some(""))?;
            Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        let data: Vec<String> = event.lines().filter_map(value).collect();
        if !data.is_empty() {
            interpret(&data.join("\n"), &mut shown);
        }
    }
    shown
}

fn interpret(data: &str, shown: &mut Shown) {
    let value = serde_json::from_str(data).unwrap_or(Value::Null);
    let (mut error, mut content) = (false, false);
    if data.starts_with("[DONE]") {
        shown.done = true;
    } else if serde_json::from_str::<Value>(data).is_err() {
        shown.malformed = true;
        return;
    } else {
        let known = ["content_block_delta", "message_stop", "error"];
        let kind = |name: &str| value.get(name)?.as_str().filter(|kind| known.contains(kind));
        let kind = kind("type").or(kind("object"));
        error = kind == Some("error")
            || value.get("error").is_some_and(|e| !matches!(e, Value::Null | Value::Bool(false)));
        let none = Vec::new();
        let choices = value.get("choices").and_then(Value::as_array).unwrap_or(&none);
        let deltas =
            choices.iter().chain([&value]).filter_map(|of| of.as_object()?.get("delta")?.as_object());
        let some = |value: &Value, text: bool| match value {
            Value::String(string) => text && !string.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => false,
        };
        let shows = |delta: &Map<String, Value>| {
            let member = |name: &str, text| delta.get(name).is_some_and(|value| some(value, text));
            ["content", "reasoning_content", "reasoning", "refusal"].iter().any(|name| member(name, true))
                || ["tool_calls", "function_call"].iter().any(|name| member(name, false))
        };
        content = kind == Some("content_block_delta")
            || deltas.clone().any(shows)
            || choices
                .iter()
                .any(|choice| choice.get("text").and_then(Value::as_str).is_some_and(|t| !t.is_empty()));
        shown.done |= kind == Some("message_stop");
        let reason = |of: Option<&Value>| of.is_some_and(Value::is_string);
        shown.finished |= choices.iter().any(|choice| reason(choice.get("finish_reason")));
        shown.finished |= deltas.clone().any(|delta| reason(delta.get("stop_reason")));
    }
    shown.error |= error;
    let first = match () {
        () if error => Some(First::Error),
        () if content => Some(First::Content),
        () if shown.finished || shown.done => Some(First::End),
        () => None,
    };
    shown.first = shown.first.or(first);
}

fn anything() -> impl Strategy<Value = Value> {
    let words =
        ["", "Hi", "content_block_delta", "message_stop", "error", "\"content\":\"Hi\"", "é\n\u{1}😀\\"];
    let names =
        ["content", "text", "tool_calls", "error", "type", "object", "delta", "choices", "stop_reason", "x"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, move |inner| {
        let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn data() -> impl Strategy<Value = Value> {
    let choice = prop_oneof![
        (anything(), anything())
            .prop_map(|(content, calls)| json!({"delta": {"content": content, "tool_calls": calls}})),
        (anything(), anything()).prop_map(|(delta, reason)| json!({"delta": delta, "finish_reason": reason})),
        anything().prop_map(|text| json!({"text": text})),
        anything(),
    ];
    prop_oneof![
        3 => prop::collection::vec(choice, 0..3).prop_map(|choices| json!({"choices": choices})),
        1 => (anything(), anything()).prop_map(|(kind, delta)| json!({"type": kind, "delta": delta})),
        1 => anything().prop_map(|error| json!({"error": error})),
        1 => anything(),
    ]
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => data().prop_map(|data| format!("data: {data}")),
        1 => data().prop_map(|data| format!("data:{data:#}").replace('\n', "\ndata: ")),
        1 => data().prop_map(|data| format!("{data}")),
        2 => prop::sample::select(vec![
            "", ":", ": comment", "data", "data:", "data: ", "data: [DONE]", "data:[DONE] ", "data: [DONE", "data: [DONE]x",
            "event: ping", "id: 1", "dataa: {}", " data: {}", "data: {", "data: }", "data: {\"choices\":[{\"text\":\"Hi\"",
        ]).prop_map(str::to_owned),
    ]
}

fn stream() -> impl Strategy<Value = String> {
    let end = prop::sample::select(vec!["\n\n", "\r\n\r\n", "\r\r", "\n", "\r\n", "\n\r\n", "\n\n\n"]);
    prop::collection::vec((line(), end), 0..8).prop_map(|lines| {
        let texts = lines.into_iter().map(|(line, end)| line + end);
        texts.collect()
    })
}

proptest! {
    #[test]
    fn a_stream_shows_what_its_events_say(stream in stream()) {
        prop_assert_eq!(shown(stream.as_bytes()), defined(&stream));
    }

    #[test]
    fn how_a_stream_is_cut_into_chunks_changes_nothing(
        stream in stream(),
        sizes in prop::collection::vec(1_usize..20, 1..20),
    ) {
        let (mut watch, mut rest, mut last) = (Watch::default(), stream.as_bytes(), Shown::default());
        for size in sizes.iter().cycle() {
            let (chunk, others) = rest.split_at(rest.len().min(*size));
            last = watch.feed(chunk);
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(last, shown(stream.as_bytes()));
    }

    #[test]
    fn any_bytes_are_a_stream(chunks: Vec<Vec<u8>>) {
        let mut watch = Watch::default();
        for chunk in chunks {
            watch.feed(b"data: ");
            watch.feed(&chunk);
            watch.feed(b"\n\n");
        }
    }
}
