//! Kept are answers of inference, and nothing that creates something.

use super::*;

fn chat() -> Value {
    json!({ "choices": [{ "message": { "content": "Paris" }, "finish_reason": "stop" }] })
}

fn response(status: &str) -> Value {
    let content = json!([{ "type": "output_text", "text": "Paris", "annotations": [] }]);
    json!({ "object": "response", "status": status, "error": null, "output": [{ "type": "message", "content": content }] })
}

#[test]
fn answers_of_every_api_of_inference_are_kept() {
    let cache = Kept::new(json!({}));
    for (path, document) in [
        (CHAT, chat()),
        ("/openai/deployments/x/chat/completions?api-version=1", chat()),
        ("/v1/completions", json!({ "choices": [{ "text": "Paris", "finish_reason": "stop" }] })),
        (
            "/v1/messages",
            json!({ "content": [{ "type": "text", "text": "Paris" }], "stop_reason": "end_turn" }),
        ),
        ("/v1/responses", response("completed")),
        ("/v1/embeddings", json!({ "data": [{ "index": 0, "embedding": [0.5] }] })),
        ("/api/embed", json!({ "embeddings": [[0.5]] })),
        ("/embed", json!([[0.5]])),
        ("/v2/rerank", json!({ "results": [{ "index": 0, "relevance_score": 0.5 }] })),
    ] {
        assert!(cache.gives_again(&post(path, &KEY, b"{\"x\":1}"), json_answer("", &document)), "{path}");
    }
    cache.envoy.assert_no_vm_restarted();
}

#[test]
fn what_creates_something_is_done_again_and_never_answered_from_what_is_kept() {
    let upstream = Upstream::scripted(|_| json_answer("", &chat()));
    let envoy = start(keeping(json!({ "fresh": "10m" })), &upstream);
    let paths = [
        "/v1/batches",
        "/v1/files",
        "/v1/vector_stores",
        "/v1/threads",
        "/v1/threads/t_1/messages",
        "/v1/messages/batches",
        "/v1/realtime/client_secrets",
        "/mcp",
        "/v1/load_lora_adapter",
        "/v1/fine_tuning/jobs",
        "/v1/images/generations",
        "/generate",
    ];
    for path in paths {
        for _ in 0..2 {
            let answer = ask_as(&envoy, "Bearer sk-1", path, b"{\"x\":1}");
            assert_eq!((answer.status, degraded(&answer)), (200, None), "{path}");
        }
    }
    assert_eq!((upstream.seen().len(), envoy.counter("degradation.kept")), (2 * paths.len(), 0));
    upstream.follow(|_| failing());
    for path in paths {
        assert_eq!(ask_as(&envoy, "Bearer sk-1", path, b"{\"x\":1}").status, 503, "{path}");
    }
}

#[test]
fn a_response_that_is_made_later_or_added_to_a_conversation_is_not_kept() {
    let cache = Kept::new(json!({}));
    for (request, status, expected) in [
        (json!({ "input": "a" }), "completed", true),
        (json!({ "input": "b", "background": false, "conversation": null }), "completed", true),
        (json!({ "input": "c", "background": true }), "completed", false),
        (json!({ "input": "d", "background": "true" }), "completed", false),
        (json!({ "input": "e", "conversation": "conv_1" }), "completed", false),
        (json!({ "input": "f" }), "queued", false),
        (json!({ "input": "g" }), "in_progress", false),
        (json!({ "input": "h" }), "incomplete", false),
        (json!({ "input": "i" }), "failed", false),
        (json!({ "input": "j" }), "cancelled", false),
    ] {
        let asked = post("/v1/responses", &KEY, request.to_string().as_bytes());
        assert_eq!(
            cache.gives_again(&asked, json_answer("", &response(status))),
            expected,
            "{request} {status}"
        );
    }
}
