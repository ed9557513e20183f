#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::answer::blame::Blame;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn shown(stream: &[u8]) -> Shown {
    Watch::new(Form::Events).feed(stream)
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn first(data: &Value) -> Option<First> {
    shown(event(data).as_bytes()).first
}

#[test]
fn everything_not_known_to_be_empty_is_content() {
    let chat =
        |delta: Value| json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]});
    for content in [
        chat(json!({"content": "Hi"})),
        chat(json!({"role": "assistant", "content": "\n"})),
        chat(json!({"content": "", "reasoning_content": "Hm"})),
        chat(json!({"refusal": "No"})),
        chat(json!({"tool_calls": [{"index": 0, "function": {"name": "f"}}]})),
        chat(json!({"content": [{"type": "text", "text": "Hi"}]})),
        chat(json!({"audio": {"data": "UklG"}})),
        chat(json!({"reasoning_details": [{"type": "reasoning.encrypted"}]})),
        chat(json!({"images": [1]})),
        chat(json!({"thinking": "hm"})),
        chat(json!({"of_tomorrow": 7})),
        json!({"choices": [{"delta": {}}, {"delta": {"content": "Hi"}}]}),
        json!({"choices": [{"delta": {}, "of_tomorrow": "Hi"}]}),
        json!({"choices": [{"delta": {"role": "assistant"}}], "prompt_progress": {"processed": 7}}),
        json!({"object": "text_completion", "choices": [{"text": "Hi", "finish_reason": null}]}),
        json!({"type": "content_block_start", "content_block": {"type": "server_tool_use"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        json!({"type": "response.output_text.delta", "delta": "Hi"}),
        json!({"type": "response.output_item.added", "item": {"status": "in_progress"}}),
        json!({"type": "transcript.text.delta", "delta": "Hi"}),
        json!({"text": "Hi", "meta_info": {"finish_reason": null}}),
        json!({"index": 0, "content": "Hi", "stop": false}),
        json!({"token": {"id": 7, "text": "Hi"}, "generated_text": null}),
        json!({"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}),
        json!({}),
        json!("content"),
        json!(7),
        json!([{"delta": {"content": "Hi"}}]),
    ] {
        assert_eq!(first(&content), Some(First::Content), "{content}");
    }
    assert_eq!(shown(b"data: no JSON\n\n").first, Some(First::Content));
    for nothing in [
        chat(json!({"role": "assistant"})),
        chat(json!({"role": "assistant", "content": ""})),
        chat(json!({"content": null, "tool_calls": [], "function_call": {}, "of_tomorrow": false})),
        json!({"id": "c", "created": 1, "model": "m", "system_fingerprint": "f", "service_tier": "t",
               "usage": {"prompt_tokens": 1}, "choices": [{"index": 0, "delta": {}, "logprobs": null}]}),
        json!({"choices": [], "usage": {"completion_tokens": 1}}),
        json!({"type": "message_start", "message": {"content": [], "stop_reason": null}}),
        json!({"type": "response.created", "response": {"status": "in_progress", "error": null}}),
        json!({"type": "response.in_progress", "response": {"output": []}}),
        json!({"type": "ping"}),
        json!({"type": "processing"}),
    ] {
        assert_eq!(first(&nothing), None, "{nothing}");
    }
}

#[test]
fn a_name_in_a_string_or_in_another_place_is_not_the_member() {
    for content in [
        json!({"id": "\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]"}),
        json!({"choices": {"delta": {"content": "Hi"}}}),
        json!({"x": {"error": {"message": "Hi"}, "type": "message_stop", "finish_reason": "stop"}}),
        json!({"x": "\"error\":{}"}),
    ] {
        let expected = Shown { first: Some(First::Content), ..Shown::default() };
        assert_eq!(shown(event(&content).as_bytes()), expected, "{content}");
    }
    let not_a_delta = json!({"choices": [[{"delta": {"content": "Hi"}}]]});
    assert_eq!(shown(event(&not_a_delta).as_bytes()), Shown::default());
    let escaped = br#"data: {"ch\u006fices":[{"delt\u0061":{"content":"\u0048"}}]}"#;
    assert!(shown(&[escaped, "\n\n".as_bytes()].concat()).content);
}

#[test]
fn an_error_in_the_stream_shows_who_is_to_blame() {
    let chunk = |error: Value| json!({ "error": error });
    for (error, blame) in [
        (chunk(json!({"message": "no", "type": "server_error", "code": 500})), Blame::Server),
        (chunk(json!("CUDA out of memory")), Blame::Server),
        (chunk(json!({"message": "too long", "type": "BadRequestError", "code": 400})), Blame::Client),
        (chunk(json!({"code": "400"})), Blame::Client),
        (chunk(json!({"code": "context_length_exceeded", "type": "invalid_request_error"})), Blame::Client),
        (chunk(json!({"status_code": 404})), Blame::Client),
        (chunk(json!({"code": 429, "status": "RESOURCE_EXHAUSTED"})), Blame::Load),
        (chunk(json!({"type": "tokens", "code": "rate_limit_exceeded"})), Blame::Load),
        (chunk(json!("rate_limit_exceeded")), Blame::Load),
        (chunk(json!(503)), Blame::Server),
        (chunk(json!(true)), Blame::Server),
        (chunk(json!(["x"])), Blame::Server),
        (json!({"error": "Model is overloaded", "error_type": "overloaded"}), Blame::Load),
        (
            json!({"error": "`inputs` must have less than 9 tokens", "error_type": "validation"}),
            Blame::Client,
        ),
        (json!({"type": "error", "error": {"type": "overloaded_error"}}), Blame::Load),
        (json!({"type": "error", "error": {"type": "api_error"}}), Blame::Server),
        (json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}), Blame::Load),
        (json!({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}), Blame::Client),
        (json!({"object": "error", "message": "no"}), Blame::Server),
        (
            json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error"}}}),
            Blame::Server,
        ),
        (
            json!({"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}}),
            Blame::Client,
        ),
        (json!({"choices": [], "error": {"code": 502}}), Blame::Server),
    ] {
        let shown = shown(event(&error).as_bytes());
        assert_eq!((shown.first, shown.error), (Some(First::Error(blame)), Some(blame)), "{error}");
    }
    for none in
        [json!(null), json!({}), json!(""), json!(false), json!(0), json!([]), json!({"message": null})]
    {
        let chunk = json!({"error": none, "choices": [{"delta": {"content": "Hi"}}]});
        let shown = shown(event(&chunk).as_bytes());
        assert_eq!((shown.first, shown.error), (Some(First::Content), None), "{chunk}");
    }
    let late = [event(&json!({"choices": [{"text": "Hi"}]})), event(&chunk(json!({"code": 500})))].concat();
    let shown = shown(late.as_bytes());
    assert_eq!((shown.first, shown.error), (Some(First::Content), Some(Blame::Server)));
    assert!(!shown.is_whole());
}

#[test]
fn a_reader_restricted_to_errors_misses_none() {
    let text = event(&json!({"choices": [{"delta": {"content": "Hi"}}]}));
    let error = event(&json!({"error": {"code": 500}}));
    let of = |chunks: &[&str]| {
        let mut watch = Watch::new(Form::Events);
        watch.feed(text.as_bytes());
        watch.only_errors();
        chunks.iter().fold(Shown::default(), |_, chunk| watch.feed(chunk.as_bytes()))
    };
    let whole = of(&[&text, &[&*text, &*error].concat(), &text]);
    assert_eq!(whole.error, Some(Blame::Server));
    for cut in 1..error.len() {
        let (begin, end) = error.split_at(cut);
        assert_eq!(of(&[&text, &[&*text, begin].concat(), end]).error, Some(Blame::Server), "{cut}");
    }
    assert_eq!(of(&[&text, "\r\n", "event: error\r\n\r\n", &text]).error, None);
    let failed = event(&json!({"type": "response.failed", "response": {"status": "failed"}}));
    assert_eq!(of(&[&text, &failed, &text]).error, Some(Blame::Server), "without the word");
}

#[test]
fn a_stream_is_complete_after_its_final_event() {
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
    let response = |end: &str| event(&json!({"type": end, "response": {"status": "x"}}));
    assert!(after(&response("response.completed")).is_whole());
    assert!(
        !after(&response("response.incomplete")).is_whole() && after(&response("response.incomplete")).cut
    );
    for cut in ["length", "max_tokens", "content_filter", "abort", "error"] {
        let end = event(&json!({"choices": [{"delta": {}, "finish_reason": cut}]}));
        assert!(!after(&[&end, "data: [DONE]\n\n"].concat()).is_whole(), "{cut}");
    }
    assert_eq!(shown(b"data: [DONE]\n\n").first, Some(First::End));
    assert!(!shown(b"data: [DONE]\n\n").is_whole(), "it is empty");
}

#[test]
fn comments_other_fields_and_blank_lines_are_no_events() {
    let keep_alive =
        b": OPENROUTER PROCESSING\n\n:\r\n\r\n\n\nevent: ping\nid: 7\nretry: 10\n\ndat: {}\n\ndatas: {\n\n";
    assert_eq!(shown(keep_alive), Shown::default());
    assert_eq!(shown(b"data\n\ndata:\n\ndata: \n\ndata: \ndata\n\n"), Shown::default());
}

#[test]
fn an_event_of_several_lines_is_one_event() {
    let lines = b"data: {\"choices\":\r\ndata: [{\"text\":\rdata:\"Hi\"}]\ndata\n: between\ndata: }\r\n";
    let mut watch = Watch::new(Form::Events);
    assert_eq!(watch.feed(lines), Shown::default());
    assert_eq!(watch.feed(b"\r\n").first, Some(First::Content));
    assert!(shown(b"data: {\"error\":tr\ndata: ue}\n\n").malformed);
    let at_most = Shown { first: Some(First::Content), malformed: true, ..Shown::default() };
    assert_eq!(shown(b"data: {\"choices\"\n\n"), at_most);
}

#[test]
fn only_the_beginning_of_an_endless_event_is_read() {
    let long = "x".repeat(1 << 20);
    let early = json!({"choices": [{"delta": {"content": "Hi"}}], "x": long});
    let shown_early = shown(event(&early).as_bytes());
    assert_eq!((shown_early.first, shown_early.malformed), (Some(First::Content), false));
    assert_eq!(first(&json!({"a": long, "choices": [{"delta": {}}]})), Some(First::Content));
    let mut watch = Watch::new(Form::Events);
    watch.feed(b"data: {\"choices\":[{\"text\":\"");
    for _ in 0..4 {
        assert_eq!(watch.feed(long.as_bytes()), Shown::default());
    }
    assert_eq!(watch.feed(b"\n\n").first, Some(First::Content));
    assert!(watch.feed(b"data: [DONE]\n\n").done);
}

/// Computes the facts by definition: cuts the whole stream into lines and events, and parses each event.
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
    if data.trim().is_empty() {
        return;
    }
    let mut said = Shown::default();
    if data.starts_with("[DONE]") {
        said = Shown { first: Some(First::End), done: true, ..said };
    } else if let Ok(value) = serde_json::from_str::<Value>(data) {
        let some = |value: &Value| match value {
            Value::String(string) => !string.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Number(_) => true,
            Value::Bool(is) => *is,
            Value::Null => false,
        };
        let says = |value: &Value| match value {
            Value::Array(_) | Value::Object(_) => true,
            value => some(value) && *value != 0,
        };
        let fails = |value: &Value| match value {
            Value::Object(members) => members.values().any(says),
            Value::Array(elements) => elements.iter().any(says),
            value => says(value),
        };
        let none = Map::new();
        let members = value.as_object().unwrap_or(&none);
        let kind = |name: &str| members.get(name).and_then(Value::as_str);
        let is_kind = |wanted: &str| kind("type") == Some(wanted) || kind("object") == Some(wanted);
        if is_kind("error") || members.get("error").is_some_and(fails) {
            said.error = Some(Blame::Server);
        }
        said.done = is_kind("message_stop") && !is_kind("error");
        let reason = |of: Option<&Value>| of.is_some_and(Value::is_string);
        let text = |of: &Map<String, Value>, known: &[&str]| {
            of.iter().any(|(name, value)| !known.contains(&name.as_str()) && some(value))
        };
        let mut delta = |of: &Map<String, Value>| match of.get("delta") {
            Some(Value::Object(delta)) => {
                said.finished |= reason(delta.get("stop_reason"));
                said.cut |= delta.get("stop_reason") == Some(&json!("error"));
                said.content |= text(delta, &["role", "type", "stop_sequence", "stop_reason"]);
            }
            Some(value) => said.content |= !value.is_array() && some(value),
            None => {}
        };
        let choices = members.get("choices").and_then(Value::as_array);
        let objects = choices.into_iter().flatten().filter_map(Value::as_object);
        objects.clone().chain([members]).for_each(&mut delta);
        said.finished |= objects.clone().any(|choice| reason(choice.get("finish_reason")));
        said.cut |= objects.clone().any(|choice| choice.get("finish_reason") == Some(&json!("error")));
        let shows = |name: &str| objects.clone().any(|choice| choice.get(name).is_some_and(some));
        said.content |= shows("text") || shows("message");
        let unknown = text(members, &["choices", "type", "object", "error", "delta", "id", "model"])
            || objects.clone().any(|choice| text(choice, &["delta", "text", "finish_reason", "stop_reason"]));
        let content = match choices {
            Some(_) => said.content || unknown,
            None if said.done => false,
            None => !said.finished || said.content,
        };
        said.first = match said.error {
            Some(blame) => Some(First::Error(blame)),
            None if content => Some(First::Content),
            None => (said.finished || said.done).then_some(First::End),
        };
    } else {
        said = Shown { first: Some(First::Content), malformed: true, ..said };
    }
    shown.first = shown.first.or(said.first);
    shown.error = shown.error.or(said.error);
    shown.content |= said.content;
    shown.finished |= said.finished;
    shown.cut |= said.cut;
    shown.done |= said.done;
    shown.malformed |= said.malformed;
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
    fn a_word_is_found_if_and_only_if_it_is_there(text in "[erofaild ]{0,40}", word in "error|failed") {
        let expected = text.contains(&word);
        prop_assert_eq!(holds(text.as_bytes(), word.as_bytes()), expected);
    }

    #[test]
    fn a_word_is_found_at_every_place(before in "[erofaild ]{0,20}", word in "error|failed", after in "[erofaild ]{0,20}") {
        prop_assert!(holds([before, word.clone(), after].concat().as_bytes(), word.as_bytes()));
    }

    #[test]
    fn a_stream_shows_the_facts_of_its_events(stream in stream()) {
        prop_assert_eq!(shown(stream.as_bytes()), defined(&stream));
    }

    #[test]
    fn chunk_boundaries_change_nothing(
        stream in stream(),
        sizes in prop::collection::vec(1_usize..20, 1..20),
    ) {
        let (mut watch, mut rest, mut last) = (Watch::new(Form::Events), stream.as_bytes(), Shown::default());
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
        let mut watch = Watch::new(Form::Events);
        for chunk in chunks {
            watch.feed(b"data: ");
            watch.feed(&chunk);
            watch.feed(b"\n\n");
        }
    }
}

mod documents {
    use super::*;

    fn read(chunks: &[&[u8]]) -> (Option<First>, Shown) {
        let mut watch = Watch::new(Form::Document);
        let shown = chunks.iter().map(|chunk| watch.feed(chunk).first).collect::<Vec<_>>();
        (shown.last().copied().flatten(), watch.end())
    }

    #[test]
    fn leading_white_space_is_no_content_and_any_other_byte_is() {
        assert_eq!(read(&[b"\n", b" \r\n"]).0, None);
        assert_eq!(read(&[b"\n", b"{"]).0, Some(First::Content));
        assert_eq!(read(&[b"[{\"error\":{}}"]).0, Some(First::Content));
        assert_eq!(read(&[b"no JSON"]).0, Some(First::Content));
        assert_eq!(read(&[]), (None, Shown::default()));
        let long = format!("{{\"choices\":[{{\"text\":\"{}\"", "x".repeat(1_000));
        assert_eq!(read(&[long.as_bytes()]).0, Some(First::Content));
    }

    #[test]
    fn an_error_document_is_read_until_it_shows_who_is_to_blame() {
        let error = br#" {"id":1,"error":{"message":"no","code":400}}"#;
        for cut in 1..error.len() {
            let (begin, end) = error.split_at(cut);
            let (before, whole) = (read(&[begin]).0, read(&[begin, end]));
            assert_eq!(whole.1.error, Some(Blame::Client), "{cut}");
            let begun = cut >= b" {\"id\":1,\"error\"".len();
            assert_eq!(before, (cut > 1 && !begun).then_some(First::Content), "{cut}");
        }
        let refused = br#"{"object":"error","message":"no","type":"BadRequestError","code":400}"#;
        assert_eq!(read(&[refused]).0, Some(First::Error(Blame::Client)));
        let good = br#"{"object":"response","error":null,"output":[{"text":"an error"}]}"#;
        assert_eq!(
            read(&[good]),
            (Some(First::Content), Shown { first: Some(First::Content), ..Shown::default() })
        );
    }

    #[test]
    fn only_the_beginning_of_an_endless_document_is_read() {
        let mut watch = Watch::new(Form::Document);
        watch.feed(b"{\"error\":{\"message\":\"");
        let long = "x".repeat(1 << 16);
        assert_eq!(watch.feed(long.as_bytes()).first, Some(First::Content));
        assert!(watch.is_over());
    }
}

mod lines {
    use super::*;

    fn read(lines: &[u8]) -> Shown {
        Watch::new(Form::Lines).feed(lines)
    }

    #[test]
    fn a_line_counts_when_it_has_ended_and_blank_lines_are_no_content() {
        let content = Some(First::Content);
        assert_eq!(read(b"\n\r\n \n").first, None);
        assert_eq!(read(br#"{"model":"m","message":{"content":"Hi"},"done":false}"#).first, None);
        assert_eq!(read(b"{\"model\":\"m\",\"response\":\"Hi\",\"done\":false}\r\n").first, content);
        assert_eq!(read(b"no JSON\n").first, content);
        let mut watch = Watch::new(Form::Lines);
        watch.feed(b"{\"response\":");
        assert_eq!((watch.feed(b"\"Hi\"}").first, watch.end().first), (None, content));
    }

    #[test]
    fn an_error_is_reported_wherever_it_comes() {
        assert_eq!(read(b"{\"error\":\"model not found\"}\n").first, Some(First::Error(Blame::Server)));
        let text = b"{\"response\":\"Hi\"}\n";
        let error = b"{\"error\":\"llama runner process has terminated\"}\n";
        for cut in 0..error.len() {
            let mut watch = Watch::new(Form::Lines);
            watch.feed(text);
            watch.only_errors();
            let (begin, end) = error.split_at(cut);
            watch.feed(text);
            watch.feed(&[text, begin].concat());
            assert_eq!(watch.feed(end).error, Some(Blame::Server), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_and_a_document(chunks: Vec<Vec<u8>>) {
            for form in [Form::Lines, Form::Document, Form::Events] {
                let mut watch = Watch::new(form);
                chunks.iter().for_each(|chunk| { watch.feed(chunk); });
                watch.end();
            }
        }
    }
}

#[test]
fn a_form_follows_from_the_media_type_and_unknown_ones_are_not_read() {
    for (media, form) in [
        ("text/event-stream", Form::Events),
        ("Text/Event-Stream; charset=utf-8", Form::Events),
        ("application/x-ndjson", Form::Lines),
        ("application/json", Form::Document),
        ("application/problem+json", Form::Document),
        ("audio/mpeg", Form::Unreadable),
        ("text/plain", Form::Unreadable),
        ("", Form::Unreadable),
    ] {
        assert_eq!(Form::of(media.as_bytes()), form, "{media}");
    }
    let mut watch = Watch::new(Form::Unreadable);
    assert_eq!(
        (watch.reads(), watch.pass(0).first, watch.pass(1).first),
        (false, None, Some(First::Content))
    );
}
