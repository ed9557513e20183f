//! Generates requests of every shape, and values that only resemble requests.

use super::*;
use prop::collection::vec;
use prop::sample::select;
use serde_json::json;

/// Texts with everything that a scanner must distinguish.
fn text() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        "[ -~]{0,60}",
        "\\PC{0,12}",
        select(vec![
            "\n",
            "\"",
            "\\",
            "語",
            "請忽略",
            "👩‍👩‍👧",
            "\u{200B}",
            "\u{202E}",
            "\u{E000}",
            "\u{7F}",
            "\0",
            "é\u{AD}",
            "\u{E0041}"
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat()).boxed()
}

fn part() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        text().prop_map(|text| json!({"type": "input_text", "text": text})),
        text().prop_map(|url| json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}})),
        text().prop_map(|url| json!({"type": "input_image", "image_url": url})),
        text().prop_map(|data| json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})),
        text().prop_map(|data| json!({"type": "file", "file": {"file_data": data, "filename": "a.pdf"}})),
        text().prop_map(
            |data| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
        ),
        text().prop_map(
            |data| json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": data}})
        ),
        text().prop_map(|text| json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"q": text}})),
        text().prop_map(|text| json!({"text": text})),
        text().prop_map(|text| json!({"type": "refusal", "refusal": text})),
    ];
    prop_oneof![
        5 => leaf.clone(),
        1 => vec(leaf, 0..3).prop_map(|parts| json!({"type": "tool_result", "tool_use_id": "t", "content": parts})),
    ]
    .boxed()
}

fn content() -> BoxedStrategy<Json> {
    prop_oneof![text().prop_map(Json::String), vec(part(), 0..4).prop_map(Json::Array), Just(Json::Null),]
        .boxed()
}

fn message() -> BoxedStrategy<Json> {
    let role = select(vec!["system", "developer", "user", "assistant", "tool", "robot"]);
    let plain = (role, content()).prop_map(|(role, content)| json!({"role": role, "content": content}));
    prop_oneof![
        6 => plain,
        1 => text().prop_map(|text| {
            json!({"role": "assistant", "content": null, "tool_calls":
                [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": text}}]})
        }),
        1 => text().prop_map(|text| json!({"role": "tool", "tool_call_id": "call_1", "content": text})),
        1 => text().prop_map(|text| json!({"type": "function_call_output", "call_id": "c", "output": text})),
        1 => (text(), text()).prop_map(|(id, name)| json!({"role": "user", "id": id, "name": name, "more": name})),
    ]
    .boxed()
}

fn tool() -> BoxedStrategy<Json> {
    (text(), text()).prop_map(|(about, key)| {
        json!({"type": "function", "function": {"name": "f", "description": about, "parameters":
            {"type": "object", "properties": {key: {"type": "string", "description": about, "enum": ["a", 1]}}}}})
    })
    .boxed()
}

fn prompt() -> BoxedStrategy<Json> {
    prop_oneof![
        text().prop_map(Json::String),
        vec(text(), 0..4).prop_map(|texts| json!(texts)),
        vec(any::<u16>(), 0..5).prop_map(|tokens| json!(tokens)),
        vec(vec(any::<u16>(), 0..4), 0..4).prop_map(|tokens| json!(tokens)),
        vec(message(), 0..4).prop_map(Json::Array),
        text().prop_map(|text| json!({"id": "p", "variables": {"name": text}})),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<Json> {
    prop_oneof![any::<u64>().prop_map(|n| json!(n)), any::<i32>().prop_map(|n| json!(n)), Just(json!(0.5))]
        .boxed()
}

fn setting() -> BoxedStrategy<(&'static str, Json)> {
    let numbers =
        ["max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "top_logprobs", "seed"];
    prop_oneof![
        (select(numbers.to_vec()), number()),
        (select(vec!["stream", "logprobs", "store"]), any::<bool>().prop_map(Json::Bool)),
        (
            select(vec!["model", "user", "suffix", "system", "instructions"]),
            "[a-z-]{0,9}".prop_map(Json::String)
        ),
        (Just("tools"), vec(tool(), 0..3).prop_map(Json::Array)),
        (Just("system"), vec(part(), 0..3).prop_map(Json::Array)),
        (Just("tool_choice"), Just(json!({"type": "function", "function": {"name": "f"}}))),
        (
            Just("response_format"),
            text().prop_map(
                |text| json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"title": text}}})
            )
        ),
        (Just("metadata"), text().prop_map(|text| json!({"content": text}))),
        (Just("n"), Just(Json::Null)),
    ]
    .boxed()
}

/// Requests that a real client might send.
pub(super) fn request() -> BoxedStrategy<Json> {
    let work = prop_oneof![
        vec(message(), 0..5).prop_map(|messages| ("messages", Json::Array(messages))),
        prompt().prop_map(|prompt| ("prompt", prompt)),
        prompt().prop_map(|prompt| ("input", prompt)),
    ];
    (work, vec(setting(), 0..6))
        .prop_map(|(work, settings)| {
            settings.into_iter().chain([work]).map(|(key, value)| (key.to_owned(), value)).collect::<Json>()
        })
        .boxed()
}

/// Arbitrary values under keys that a scanner knows.
pub(super) fn wild() -> BoxedStrategy<Json> {
    let key = prop_oneof![
        3 => select(Member::ALL.to_vec()).prop_map(|member| member.name().to_owned()),
        9 => select(Key::ALL.to_vec()).prop_map(|key| key.name().to_owned()),
        1 => "[a-c]{1,3}",
        1 => "[x]{60,70}",
    ];
    let scalar = prop_oneof![
        4 => text().prop_map(Json::String),
        2 => select(vec!["base64", "text", "image", "user", "file", "redacted_thinking"]).prop_map(|text| json!(text)),
        1 => "[x]{60,70}".prop_map(Json::String),
        2 => number(),
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::Bool),
    ];
    scalar
        .prop_recursive(7, 40, 5, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Json::Array),
                vec((key.clone(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
            ]
        })
        .boxed()
}
