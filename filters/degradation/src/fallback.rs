//! A default answer in the shape of what was asked, so that the client's SDK takes it for an ordinary one: it has a
//! text, a reason why it ended, and, where the answer was to stream, events and their end. Its `id` begins with
//! `tidegate`, its usage is zero.

use crate::asked::{Api, Asked};
use serde_json::{Value, json};

/// The body of an answer of status 200 that says `message`; `None` if what was asked has no such shape.
pub fn body(asked: &Asked, message: &str, random: u64) -> Option<Vec<u8>> {
    let model = asked.model.as_deref().unwrap_or_default();
    let id = format!("tidegate-{random:016x}");
    match (asked.api, asked.stream) {
        (Api::Chat, false) => Some(chat(&id, model, message).to_string().into_bytes()),
        (Api::Chat, true) => Some(unnamed(chat_events(&id, model, message))),
        (Api::Completion, false) => Some(completion(&id, model, message).to_string().into_bytes()),
        (Api::Completion, true) => Some(unnamed(completion_events(&id, model, message))),
        (Api::Message, false) => Some(said(&id, model, message).to_string().into_bytes()),
        (Api::Message, true) => Some(named(&message_events(&id, model, message))),
        (Api::Response | Api::Other, _) => None,
    }
}

fn usage() -> Value {
    json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 })
}

fn chat(id: &str, model: &str, text: &str) -> Value {
    let message = json!({ "role": "assistant", "content": text, "refusal": null });
    json!({
        "id": id, "object": "chat.completion", "created": 0, "model": model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" }],
        "usage": usage(),
    })
}

fn chat_events(id: &str, model: &str, text: &str) -> [Value; 3] {
    let chunk = |delta: Value, reason: Value| {
        json!({
            "id": id, "object": "chat.completion.chunk", "created": 0, "model": model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }],
        })
    };
    [
        chunk(json!({ "role": "assistant", "content": "" }), Value::Null),
        chunk(json!({ "content": text }), Value::Null),
        chunk(json!({}), json!("stop")),
    ]
}

fn completion(id: &str, model: &str, text: &str) -> Value {
    json!({
        "id": id, "object": "text_completion", "created": 0, "model": model,
        "choices": [{ "index": 0, "text": text, "logprobs": null, "finish_reason": "stop" }],
        "usage": usage(),
    })
}

fn completion_events(id: &str, model: &str, text: &str) -> [Value; 2] {
    let chunk = |text: &str, reason: Value| {
        json!({
            "id": id, "object": "text_completion", "created": 0, "model": model,
            "choices": [{ "index": 0, "text": text, "logprobs": null, "finish_reason": reason }],
        })
    };
    [chunk(text, Value::Null), chunk("", json!("stop"))]
}

fn said(id: &str, model: &str, text: &str) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model,
        "content": [{ "type": "text", "text": text }],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 0, "output_tokens": 0 },
    })
}

fn message_events(id: &str, model: &str, text: &str) -> [Value; 6] {
    let begun = json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 0, "output_tokens": 0 },
    });
    [
        json!({ "type": "message_start", "message": begun }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({
            "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "output_tokens": 0 },
        }),
        json!({ "type": "message_stop" }),
    ]
}

fn unnamed(events: impl IntoIterator<Item = Value>) -> Vec<u8> {
    let data: String = events.into_iter().map(|event| format!("data: {event}\n\n")).collect();
    (data + "data: [DONE]\n\n").into_bytes()
}

fn named(events: &[Value]) -> Vec<u8> {
    let event = |event: &Value| {
        let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n")
    };
    events.iter().map(event).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_policy::sse::{First, Watch};

    fn asked(api: Api, stream: bool) -> Asked {
        Asked { api, stream, model: Some("a \"model\"\n".to_owned()), ..Asked::default() }
    }

    #[test]
    fn every_shape_that_there_is_says_the_message() {
        for (api, pointer) in [
            (Api::Chat, "/choices/0/message/content"),
            (Api::Completion, "/choices/0/text"),
            (Api::Message, "/content/0/text"),
        ] {
            let body = body(&asked(api, false), "busy\n\n\"now\"", 7).unwrap();
            let document: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document.pointer(pointer).unwrap(), "busy\n\n\"now\"");
            assert_eq!(document["model"], "a \"model\"\n");
        }
    }

    #[test]
    fn what_streams_has_content_a_reason_and_an_end() {
        for api in [Api::Chat, Api::Completion, Api::Message] {
            let shown = Watch::default().feed(&body(&asked(api, true), "busy\n\ndata: x", 7).unwrap());
            assert_eq!(shown.first, Some(First::Content));
            assert!(shown.finished && shown.is_whole());
        }
    }

    #[test]
    fn what_has_no_shape_has_no_answer() {
        assert_eq!(body(&asked(Api::Other, false), "busy", 7), None);
        assert_eq!(body(&asked(Api::Response, true), "busy", 7), None);
    }
}
