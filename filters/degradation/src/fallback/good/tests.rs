use super::*;
use serde_json::json;

fn good(api: Api, document: &Value) -> bool {
    is_good(api, document.to_string().as_bytes())
}

fn chat(message: Value, reason: Value) -> Value {
    json!({ "id": "1", "object": "chat.completion", "choices": [{ "index": 0, "message": message, "finish_reason": reason }] })
}

#[test]
fn a_good_chat_response_has_content_in_every_choice_and_ended_normally() {
    let said = json!({ "role": "assistant", "content": "Paris" });
    for reason in [json!("stop"), json!("STOP"), json!("tool_calls"), json!("end_turn"), Value::Null] {
        assert!(good(Api::Chat, &chat(said.clone(), reason.clone())), "{reason}");
    }
    for reason in ["length", "max_tokens", "content_filter", "abort", "error", "cancelled", "new"] {
        assert!(!good(Api::Chat, &chat(said.clone(), json!(reason))), "{reason}");
    }
    for message in [
        json!({ "content": null, "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] }),
        json!({ "content": null, "refusal": "No." }),
        json!({ "content": "", "reasoning_content": "Hm" }),
        json!({ "audio": { "id": "a", "data": "UklGRg==" } }),
        json!({ "content": [{ "type": "text", "text": "Paris" }] }),
    ] {
        assert!(good(Api::Chat, &chat(message.clone(), json!("stop"))), "{message}");
    }
    for message in [
        json!({}),
        json!(null),
        json!({ "role": "assistant", "content": "" }),
        json!({ "content": " \n" }),
        json!({ "content": null, "tool_calls": [], "refusal": null, "annotations": [{ "x": 1 }] }),
        json!({ "content": [] }),
        json!({ "content": [{ "type": "text", "text": "" }] }),
    ] {
        assert!(!good(Api::Chat, &chat(message.clone(), json!("stop"))), "{message}");
    }
    let two = json!({ "choices": [{ "message": said }, { "message": { "content": "" } }] });
    assert!(!good(Api::Chat, &two) && !good(Api::Chat, &json!({ "choices": [] })));
    assert!(!good(Api::Completion, &chat(said, json!("stop"))));
}

#[test]
fn an_error_or_overload_document_is_not_a_good_response() {
    let said = chat(json!({ "content": "Paris" }), json!("stop"));
    for (member, value, expected) in [
        ("error", json!(null), true),
        ("error", json!(false), true),
        ("error", json!({}), true),
        ("error", json!(""), true),
        ("error", json!({ "type": "server_error" }), false),
        ("error", json!("busy"), false),
        ("error", json!(true), false),
        ("error", json!(503), false),
        ("object", json!("error"), false),
        ("status", json!("completed"), true),
        ("status", json!(200), true),
        ("status", json!("in_progress"), false),
        ("usage", json!({ "completion_tokens": 1 }), true),
    ] {
        let mut document = said.clone();
        document[member] = value.clone();
        assert_eq!(good(Api::Chat, &document), expected, "{member}: {value}");
    }
    for api in [Api::Chat, Api::Completion, Api::Message, Api::Response, Api::Embedding, Api::Rerank] {
        for document in
            [json!({ "code": 50_001, "msg": "system busy" }), json!({}), json!([]), json!(null), json!("x")]
        {
            assert!(!good(api, &document), "{api:?} {document}");
        }
        assert!(!is_good(api, b"{") && !is_good(api, b"") && !is_good(api, b"{} {}"));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(!is_good(api, deep.as_bytes()) && !is_good(api, format!("{{\"x\":{deep}}}").as_bytes()));
    }
}

#[test]
fn each_api_has_its_own_good_response() {
    let output = json!([{ "type": "message", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": "Paris", "annotations": [] }] }]);
    let empty = json!([{ "type": "message", "id": "m", "status": "completed",
        "content": [{ "type": "output_text", "text": "", "annotations": [], "logprobs": [] }] }]);
    for (api, document, expected) in [
        (Api::Completion, json!({ "choices": [{ "text": "Paris", "finish_reason": "stop" }] }), true),
        (Api::Completion, json!({ "choices": [{ "text": "", "finish_reason": "stop" }] }), false),
        (Api::Completion, json!({ "choices": [{ "text": "Pa", "finish_reason": "length" }] }), false),
        (
            Api::Message,
            json!({ "content": [{ "type": "text", "text": "Paris" }], "stop_reason": "end_turn" }),
            true,
        ),
        (
            Api::Message,
            json!({ "content": [{ "type": "tool_use", "id": "t", "name": "f", "input": {} }], "stop_reason": "tool_use" }),
            true,
        ),
        (
            Api::Message,
            json!({ "content": [{ "type": "text", "text": "" }], "stop_reason": "end_turn" }),
            false,
        ),
        (
            Api::Message,
            json!({ "content": [{ "type": "text", "text": "Pa" }], "stop_reason": "max_tokens" }),
            false,
        ),
        (Api::Message, json!({ "content": [{ "type": "text", "text": "Pa" }], "stop_reason": null }), false),
        (Api::Message, json!({ "content": [], "stop_reason": "end_turn" }), false),
        (Api::Response, json!({ "status": "completed", "error": null, "output": output }), true),
        (Api::Response, json!({ "status": "completed", "output": empty }), false),
        (Api::Response, json!({ "status": "completed", "output": [] }), false),
        (Api::Response, json!({ "output": output }), false),
        (Api::Response, json!({ "status": "incomplete", "output": output }), false),
        (Api::Response, json!({ "status": "queued", "output": [] }), false),
        (
            Api::Embedding,
            json!({ "data": [{ "index": 0, "object": "embedding", "embedding": [0, 0.5] }] }),
            true,
        ),
        (Api::Embedding, json!({ "data": [{ "index": 0, "embedding": "AAAA" }] }), true),
        (Api::Embedding, json!({ "data": [{ "index": 0, "embedding": [null, null] }] }), false),
        (Api::Embedding, json!({ "data": [] }), false),
        (Api::Embedding, json!({ "embeddings": [[0.5]] }), true),
        (Api::Embedding, json!({ "embeddings": { "float": [[0.5]] } }), true),
        (Api::Embedding, json!([[0.5], [0.1]]), true),
        (Api::Embedding, json!([[0.5], []]), false),
        (Api::Rerank, json!({ "results": [{ "index": 0, "relevance_score": 0.0 }] }), true),
        (Api::Rerank, json!({ "results": [] }), false),
        (Api::Rerank, json!([{ "index": 0, "score": 0.9 }]), true),
        (Api::Management, json!({ "data": [{ "id": 1 }] }), false),
        (Api::Other, json!({ "choices": [{ "text": "Paris" }] }), false),
    ] {
        assert_eq!(good(api, &document), expected, "{api:?} {document}");
    }
}
