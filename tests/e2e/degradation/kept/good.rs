//! What is given again was a good answer.

use super::*;

fn chat(message: Value, reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": reason }] })
}

fn said_as(content: &str) -> Value {
    json!({ "role": "assistant", "content": content })
}

fn ended(reason: &str) -> Step {
    event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }).to_string())
}

/// What servers send with status 200 that is no good answer.
fn no_answers() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "object": "error", "message": "busy" }),
        json!({ "code": 50_001, "msg": "system busy" }),
        json!({ "choices": [] }),
        json!({ "error": { "type": "server_error" }, "choices": [{ "message": said_as("Paris") }] }),
        chat(said_as(""), "stop"),
        chat(said_as(""), "abort"),
        chat(said_as("Par"), "abort"),
        chat(said_as("Par"), "length"),
        chat(said_as("Par"), "content_filter"),
        chat(json!({ "content": null, "tool_calls": [] }), "stop"),
    ]
}

#[test]
fn an_answer_that_is_empty_cut_or_an_error_is_not_kept() {
    let cache = Kept::new(json!({}));
    for (number, document) in no_answers().into_iter().enumerate() {
        let steps = json_answer("", &document);
        assert!(!cache.holds(&format!("question {number}"), steps, false), "{document}");
    }
    assert_eq!(cache.envoy.counter("degradation.kept"), 0);
    let call = json!([{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let called = chat(json!({ "content": null, "tool_calls": call }), "tool_calls");
    assert!(cache.holds("a tool", json_answer("", &called), false));
    let noted = json!({ "error": null, "choices": [{ "message": said_as("Paris") }] });
    assert!(cache.holds("no error", json_answer("", &noted), false));
}

#[test]
fn an_answer_that_is_not_good_never_takes_the_place_of_one_that_is() {
    let cache = Kept::new(json!({}));
    assert!(cache.holds("x", said("Paris"), false));
    for document in no_answers() {
        assert!(cache.holds("x", json_answer("", &document), false), "{document}");
    }
    let kept = ask(&cache.envoy, "x");
    assert_eq!((kept.status, text(&kept)), (200, json!("Paris")));
}

#[test]
fn a_stream_that_is_empty_or_cut_is_not_kept() {
    let cache = Kept::new(json!({}));
    let stream = |steps: &[Step]| [&[streaming(), role()], steps, &[done(), end()]].concat();
    assert!(cache.holds("a stream", stream(&[content("Paris"), stop()]), true));
    for (what, steps) in [
        ("empty", stream(&[stop()])),
        ("cut by length", stream(&[content("Par"), ended("length")])),
        ("filtered", stream(&[content("Par"), ended("content_filter")])),
        ("given up", stream(&[content("Par"), ended("abort")])),
    ] {
        assert!(!cache.holds(what, steps.clone(), true), "{what}");
        assert!(cache.holds("a stream", steps, true), "{what}, after a good one");
    }
}
