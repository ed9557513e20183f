#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::super::{Finish, Form, Metering, Shown, Watch};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read<'a>(form: Form, parts: impl IntoIterator<Item = &'a [u8]>) -> (Shown, Metering) {
    let mut watch = Watch::metered(form);
    for part in parts {
        watch.feed(part);
    }
    let shown = watch.end();
    (shown, watch.metering())
}

fn document(value: &Value) -> Metering {
    read(Form::Document, [value.to_string().as_bytes()]).1
}

fn stream(events: &[Value]) -> Metering {
    let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    read(Form::Events, [text.as_bytes()]).1
}

/// Returns the counts of the prompt, the completion, the total, cached tokens and reasoning.
fn tokens(metering: &Metering) -> [Option<u64>; 5] {
    let usage = &metering.usage;
    [usage.prompt(), usage.completion(), usage.total(), usage.cached(), usage.reasoning()]
}

#[test]
fn each_api_reports_its_tokens_under_its_own_names() {
    for (api, body, expected) in [
        (
            "chat",
            json!({"object": "chat.completion", "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 9}}}),
            [Some(10), Some(7), Some(17), Some(4), Some(3)],
        ),
        (
            "responses",
            json!({"object": "response", "usage": {"input_tokens": 10, "output_tokens": 7, "total_tokens": 17,
                "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 3}}}),
            [Some(10), Some(7), Some(17), Some(4), Some(3)],
        ),
        (
            "messages",
            json!({"type": "message", "usage": {"input_tokens": 10, "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 100, "output_tokens": 7}}),
            [Some(115), Some(7), Some(122), Some(100), None],
        ),
        (
            "embeddings",
            json!({"data": [{"embedding": [0.5, 1]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
            [Some(8), None, Some(8), None, None],
        ),
        (
            "deepseek",
            json!({"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 6}}),
            [Some(9), Some(1), Some(10), Some(6), None],
        ),
        (
            "both names",
            json!({"usage": {"prompt_tokens": 9, "input_tokens": 2, "cache_read_input_tokens": 7, "completion_tokens": 1}}),
            [Some(9), Some(1), Some(10), Some(7), None],
        ),
        (
            "ollama",
            json!({"model": "m", "done": true, "prompt_eval_count": 26, "eval_count": 298}),
            [Some(26), Some(298), Some(324), None, None],
        ),
        (
            "gemini",
            json!({"candidates": [], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3,
                "thoughtsTokenCount": 5, "totalTokenCount": 17, "cachedContentTokenCount": 2}}),
            [Some(9), Some(8), Some(17), Some(2), Some(5)],
        ),
        (
            "llama.cpp",
            json!({"choices": [], "timings": {"cache_n": 30, "prompt_n": 4, "predicted_n": 12, "prompt_ms": 1.5}}),
            [Some(34), Some(12), Some(46), Some(30), None],
        ),
        (
            "llama.cpp, its own API",
            json!({"content": "", "stop": true, "tokens_predicted": 5, "tokens_evaluated": 6, "timings": {"predicted_n": 5}}),
            [Some(6), Some(5), Some(11), None, None],
        ),
        (
            "sglang, its own API",
            json!({"text": "Hi", "meta_info": {"prompt_tokens": 4, "completion_tokens": 2, "cached_tokens": 1,
                "finish_reason": {"type": "length", "length": 2}}}),
            [Some(4), Some(2), Some(6), Some(1), None],
        ),
        (
            "TGI, its own API",
            json!({"generated_text": "Hi", "details": {"finish_reason": "length", "generated_tokens": 20}}),
            [None, Some(20), None, None, None],
        ),
    ] {
        assert_eq!(tokens(&document(&body)), expected, "{api}");
        assert_eq!(tokens(&stream(&[body])), expected, "{api}, in an event");
    }
    let gemini =
        json!([{"usageMetadata": {"promptTokenCount": 9}}, {"usageMetadata": {"candidatesTokenCount": 3}}]);
    assert_eq!(tokens(&document(&gemini)), [Some(9), Some(3), Some(12), None, None]);
}

#[test]
fn repeated_counts_are_cumulative() {
    let chunk = |completion: u64| {
        json!({"choices": [{"delta": {"content": "Hi"}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": completion, "total_tokens": 9 + completion}})
    };
    let continuous = stream(&[chunk(1), chunk(2), chunk(3)]);
    assert_eq!(tokens(&continuous), [Some(9), Some(3), Some(12), None, None]);
    let anthropic = stream(&[
        json!({"type": "message_start", "message": {"role": "assistant", "content": [],
            "usage": {"input_tokens": 25, "cache_read_input_tokens": 5, "output_tokens": 1}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(tokens(&anthropic), [Some(30), Some(15), Some(45), Some(5), None]);
    assert_eq!(anthropic.finish, Some(Finish::Length));
    let responses = stream(&[
        json!({"type": "response.created", "response": {"usage": null}}),
        json!({"type": "response.output_text.delta", "delta": "Hi"}),
        json!({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"},
            "output": [{"content": [{"text": "Hi"}]}], "usage": {"input_tokens": 3, "output_tokens": 2}}}),
    ]);
    assert_eq!(tokens(&responses), [Some(3), Some(2), Some(5), None, None]);
    assert_eq!((responses.finish, responses.characters), (Some(Finish::Length), 2));
}

#[test]
fn a_usage_in_another_place_does_not_count() {
    let usage =
        json!({"prompt_tokens": 666, "completion_tokens": 666, "input_tokens": 666, "eval_count": 666});
    for body in [
        json!({"choices": [{"usage": usage, "delta": {"usage": usage, "content": usage}}]}),
        json!({"x": {"usage": usage}, "metadata": {"usage": usage}, "error": {"usage": usage}}),
        json!({"output": [{"usage": usage, "content": [{"type": "output_text", "text": usage.to_string()}]}]}),
        json!({"response": {"output": [{"usage": usage}], "metadata": {"usage": usage}}}),
        json!({"message": {"content": [{"usage": usage}], "tool_calls": [{"usage": usage}]}}),
        json!({"usage": {"usage": usage, "prompt_tokens_details": {"prompt_tokens": 666}, "x": usage}}),
        json!({"usage": [usage], "timings": [{"predicted_n": 666}], "usageMetadata": "totalTokenCount"}),
        json!({"usage": {"prompt_tokens": {"x": 666}, "completion_tokens": [666], "total_tokens": "666"}}),
        json!([usage, {"usage": usage}]),
        json!({"usage": {"prompt_tokens": -5, "completion_tokens": null, "total_tokens": true}}),
    ] {
        assert!(!document(&body).usage.is_reported(), "{body}");
        assert!(!stream(std::slice::from_ref(&body)).usage.is_reported(), "{body}");
    }
}

#[test]
fn numbers_of_any_size_saturate() {
    let of = |number: &str| {
        let text = format!("{{\"usage\":{{\"completion_tokens\":{number}}}}}");
        read(Form::Document, [text.as_bytes()]).1.usage.completion()
    };
    assert_eq!(of("18446744073709551615"), Some(u64::MAX));
    assert_eq!(of("18446744073709551616"), Some(u64::MAX));
    assert_eq!(of(&"9".repeat(5_000)), Some(u64::MAX));
    assert_eq!((of("0"), of("7.0"), of("7.9")), (Some(0), Some(7), Some(7)));
    assert_eq!((of("-0"), of("1e3"), of("1E999")), (None, None, None));
    let most = json!({"usage": {"input_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX, "output_tokens": u64::MAX}});
    assert_eq!(tokens(&document(&most))[..3], [Some(u64::MAX); 3]);
}

#[test]
fn only_characters_that_the_model_wrote_count() {
    for (expected, body) in [
        (2, json!({"choices": [{"delta": {"role": "assistant", "content": "Hi"}}]})),
        (4, json!({"choices": [{"delta": {"content": "日本"}}, {"delta": {"reasoning_content": "é\n"}}]})),
        (
            7,
            json!({"choices": [{"message": {"tool_calls": [{"id": "call_1", "type": "function",
            "function": {"name": "f", "arguments": "{\"a\"}\""}}]}}]}),
        ),
        (2, json!({"choices": [{"text": "Hi", "logprobs": {"tokens": ["H", "i"]}}]})),
        (2, json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}})),
        (2, json!({"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Hi"})),
        (0, json!({"type": "response.output_text.done", "text": "Hi there"})),
        (0, json!({"type": "response.completed", "response": {"output": [{"content": [{"text": "Hi"}]}]}})),
        (
            2,
            json!({"object": "response", "output": [{"id": "m", "content": [{"type": "output_text", "text": "Hi", "annotations": [{"url": "x"}]}]}]}),
        ),
        (2, json!({"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": false})),
        (2, json!({"model": "m", "response": "Hi", "context": [1, 2]})),
        (
            2,
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi", "thoughtSignature": "xyz"}]}}]}),
        ),
        (2, json!({"index": 0, "content": "Hi", "stop": false})),
        (2, json!({"token": {"id": 7, "text": "Hi"}, "generated_text": "So far: Hi"})),
        (2, json!({"generated_text": "Hi"})),
        (2, json!({"text": "Hi"})),
        (0, json!({"choices": [{"delta": {"audio": {"id": "a", "data": "UklGRg=="}}}]})),
        (0, json!({"object": "error", "message": "no"})),
        (0, json!({"choices": [{"delta": {"content": null}, "finish_reason": "stop"}]})),
    ] {
        assert_eq!(stream(std::slice::from_ref(&body)).characters, expected, "{body}");
    }
    let hello = json!({"choices": [{"delta": {"content": "Hi"}}]});
    let role = json!({"choices": [{"delta": {"role": "assistant", "content": ""}}]});
    let counted = stream(&[role, hello.clone(), hello]);
    assert_eq!((counted.content_events, counted.characters), (2, 4));
}

#[test]
fn a_report_at_the_end_of_a_long_text_is_read() {
    let long = "x".repeat(1 << 18);
    let usage = json!({"input_tokens": 3, "output_tokens": 70_000});
    let completed = json!({"type": "response.completed", "response": {"output": [long], "usage": usage}});
    assert_eq!(tokens(&stream(&[completed]))[..2], [Some(3), Some(70_000)]);
    let message =
        json!({"content": [{"type": "text", "text": long}], "stop_reason": "end_turn", "usage": usage});
    let (shown, metering) = read(Form::Document, [message.to_string().as_bytes()]);
    assert_eq!(
        (tokens(&metering)[1], metering.characters, metering.finish),
        (Some(70_000), 1 << 18, Some(Finish::Complete))
    );
    let text = message.to_string();
    let plain = text.as_bytes().chunks(1_000).fold(Watch::new(Form::Document), |mut watch, chunk| {
        watch.feed(chunk);
        watch
    });
    assert_eq!(shown, plain.clone().end(), "whoever asks besides");
    assert_eq!(plain.metering(), Metering::default(), "nobody asked");
}

#[test]
fn invalid_or_truncated_json_reports_nothing() {
    for text in [
        &b"{\"usage\":{\"completion_tokens\":7}"[..],
        b"{\"usage\":{\"completion_tokens\":7}}}",
        b"{\"usage\":{\"completion_tokens\":7},}",
        b"",
        b"  ",
    ] {
        assert!(!read(Form::Document, [text]).1.usage.is_reported(), "{text:?}");
        let event = [b"data: ", text, b"\n\n"].concat();
        assert!(!read(Form::Events, [event.as_slice()]).1.usage.is_reported(), "{text:?}");
    }
    let before = b"{\"usage\":{\"completion_tokens\":7}}\n{\"usage\":{\"completion_tokens\":9}";
    assert_eq!(read(Form::Lines, [before.as_slice()]).1.usage.completion(), Some(7));
}

/// The name of a real server's stream, the tokens and the reason that it reports, and its events and characters of
/// content.
type Reported = (&'static str, [Option<u64>; 2], Option<Finish>, u64, u64);

const STREAMS: [Reported; 16] = [
    ("vllm chat", [Some(1), Some(5)], Some(Finish::Complete), 5, 15),
    ("deepseek reasoning + keep-alive", [None, None], Some(Finish::Complete), 2, 4),
    ("llama.cpp chat", [Some(1), None], Some(Finish::Complete), 1, 2),
    ("no DONE", [None, None], Some(Finish::Complete), 1, 2),
    ("tool call", [None, None], Some(Finish::Complete), 2, 3),
    ("completions", [None, None], Some(Finish::Complete), 1, 1),
    ("anthropic", [Some(1), Some(4)], Some(Finish::Complete), 6, 8),
    ("anthropic overloaded first", [None, None], None, 0, 0),
    ("anthropic thinking", [Some(1), Some(4)], Some(Finish::Complete), 4, 2),
    ("openai responses", [Some(1), Some(6)], None, 9, 18),
    ("openai responses failed", [None, None], None, 0, 0),
    ("sglang native /generate", [None, Some(5)], None, 5, 15),
    ("llama.cpp native /completion", [None, Some(5)], Some(Finish::Complete), 6, 10),
    ("midstream error", [None, None], None, 1, 2),
    ("first error", [None, None], None, 0, 0),
    ("gemini alt=sse", [None, None], None, 3, 6),
];

#[test]
fn the_streams_of_real_servers_report_their_cost() {
    let all: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/traffic/streams.json")).unwrap();
    for (name, usage, finish, events, characters) in STREAMS {
        let recorded = all.iter().find(|stream| stream["name"] == name).unwrap();
        let text: String = recorded["events"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let metering = read(Form::Events, [text.as_bytes()]).1;
        let found = ([metering.usage.prompt(), metering.usage.completion()], metering.finish);
        assert_eq!(found, (usage, finish), "{name}");
        assert_eq!((metering.content_events, metering.characters), (events, characters), "{name}");
    }
}

/// The API, its counts of prompt, completion and cached tokens, and the reason why the response ended.
type Recorded = (&'static str, [Option<u64>; 3], Option<Finish>);

/// The reports of llama.cpp's own server on at most eight tokens, with one request per API.
const LLAMA_CPP: [Recorded; 10] = [
    ("chat stream with usage", [Some(38), Some(8), Some(0)], Some(Finish::Length)),
    ("chat stream", [Some(38), Some(5), Some(37)], Some(Finish::Complete)),
    ("responses stream", [Some(38), Some(8), Some(37)], None),
    ("messages stream", [Some(38), Some(8), Some(37)], Some(Finish::Length)),
    ("completion stream", [Some(4), Some(8), Some(0)], Some(Finish::Length)),
    ("completions stream", [Some(4), Some(8), Some(3)], Some(Finish::Length)),
    ("chat document", [Some(38), Some(8), Some(37)], Some(Finish::Length)),
    ("messages document", [Some(38), Some(8), Some(37)], Some(Finish::Length)),
    ("responses document", [Some(38), Some(4), Some(37)], None),
    ("completion document", [Some(4), Some(8), Some(3)], Some(Finish::Length)),
];

#[test]
fn the_report_of_a_real_server_is_read_in_every_api() {
    let all: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/traffic/llama_cpp.json")).unwrap();
    for (name, tokens, finish) in LLAMA_CPP {
        let recorded = all.iter().find(|response| response["name"] == name).unwrap();
        let [media, body] = ["content_type", "body"].map(|key| recorded[key].as_str().unwrap().as_bytes());
        for size in [1, 5, 1 << 20] {
            let metering = read(Form::of(media), body.chunks(size)).1;
            let usage = &metering.usage;
            assert_eq!([usage.prompt(), usage.completion(), usage.cached()], tokens, "{name}");
            assert_eq!(metering.finish, finish, "{name}");
            let events = metering.content_events;
            assert!(metering.characters > 0 && (events == 1 || events >= 4), "{name}: {metering:?}");
        }
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let names = [
        "usage",
        "prompt_tokens",
        "input_tokens",
        "output_tokens",
        "completion_tokens",
        "cache_read_input_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "choices",
        "delta",
        "message",
        "response",
        "content",
        "type",
        "usageMetadata",
        "totalTokenCount",
        "timings",
        "predicted_n",
        "eval_count",
        "finish_reason",
        "error",
        "text",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<u64>().prop_map(Value::from),
        (-9_i64..9).prop_map(Value::from),
        prop::sample::select(vec!["", "Hi", "length", "é\n\u{1}😀\\\"", "error"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn chunk_boundaries_change_no_report(
        texts in prop::collection::vec(anything(), 1..5),
        sizes in prop::collection::vec(1_usize..20, 1..20),
    ) {
        let events: String = texts.iter().map(|text| format!("data: {text}\n\n")).collect();
        let lines: String = texts.iter().map(|text| format!("{text}\n")).collect();
        let one = texts[0].to_string();
        for (form, text) in [(Form::Events, &events), (Form::Lines, &lines), (Form::Document, &one)] {
            let (mut parts, mut rest) = (Vec::new(), text.as_bytes());
            for size in sizes.iter().cycle() {
                let (part, others) = rest.split_at(rest.len().min(*size));
                parts.push(part);
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read(form, parts).1, read(form, [text.as_bytes()]).1, "{:?}", form);
        }
    }

    #[test]
    fn metering_changes_no_fact(
        texts in prop::collection::vec(anything(), 0..5), noise: Vec<u8>,
    ) {
        let events: String = texts.iter().map(|text| format!("data: {text}\n\n")).collect();
        let bytes = [events.as_bytes(), &noise].concat();
        for form in [Form::Events, Form::Lines, Form::Document, Form::Unreadable] {
            let mut plain = Watch::new(form);
            let mut metered = Watch::metered(form);
            prop_assert_eq!(plain.feed(&bytes), metered.feed(&bytes));
            prop_assert_eq!(plain.end(), metered.end());
        }
    }
}
