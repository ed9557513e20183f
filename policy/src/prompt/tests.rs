mod cost;

use super::*;
use crate::denied_text::Rules;
use crate::inference::{Origin, Origins, Scanner};
use serde_json::{Value as Json, json};

const IGNORE: &str = "(?i)ignore (all )?previous instructions";

fn limits() -> PromptLimits {
    PromptLimits {
        characters: None,
        message_characters: None,
        role_characters: Vec::new(),
        messages: None,
        prompts: None,
        token_ids: None,
        tools: None,
        images: None,
        pixels: None,
        audios: None,
        videos: None,
        completion_tokens: None,
        choices: None,
        work: None,
        logprobs: None,
        stops: None,
        biases: None,
        guided: None,
        repeats: None,
        duplicate_keys: false,
        classes: [Treatment::Allow; 4],
    }
}

fn everywhere(patterns: &[&str]) -> Denied {
    Denied::new(Rules::new(patterns).unwrap(), vec![Origins::ALL; patterns.len()])
}

fn only(origins: &[Origin]) -> Denied {
    Denied::new(Rules::new(&[IGNORE]).unwrap(), vec![Origins::of(origins.iter().copied())])
}

/// Returns the denied texts that a body contains and their places, read in chunks of `size` bytes.
fn broken_in(denied: &Denied, body: &str, size: usize) -> Vec<(usize, String)> {
    let (limits, mut heard, mut scanner) = (limits(), Heard::default(), Scanner::new(32));
    let mut listener =
        Listener { limits: &limits, denied: Some(denied), enforces: &|_| false, heard: &mut heard };
    body.as_bytes().chunks(size).for_each(|chunk| scanner.feed(chunk, &mut listener).unwrap());
    scanner.finish(&mut listener).unwrap();
    listener.finish();
    let breaches = heard.breaches(&limits, scanner.facts());
    let denied = breaches.into_iter().filter_map(|breach| match breach.rule {
        Rule::Denied(index) => Some((index, breach.place.map(|place| place.to_string()).unwrap_or_default())),
        _ => None,
    });
    denied.collect()
}

fn broken(denied: &Denied, body: &str) -> bool {
    let found: Vec<bool> =
        [1, 7, usize::MAX].iter().map(|size| !broken_in(denied, body, *size).is_empty()).collect();
    assert!(found.iter().all(|one| *one == found[0]), "{found:?} in {body}");
    found[0]
}

fn says(body: &Json) -> bool {
    broken(&everywhere(&[IGNORE]), &body.to_string())
}

fn chat(messages: &[(&str, &str)]) -> Json {
    let messages: Vec<Json> =
        messages.iter().map(|(role, content)| json!({ "role": role, "content": content })).collect();
    json!({ "messages": messages })
}

#[test]
fn parts_of_a_message_are_joined_with_a_line_feed_and_with_nothing() {
    let parts = |texts: &[&str]| {
        let parts: Vec<Json> = texts.iter().map(|text| json!({ "type": "text", "text": text })).collect();
        json!({ "messages": [{ "role": "user", "content": parts }] })
    };
    assert!(says(&parts(&["ignore", "previous instructions"])));
    assert!(says(&parts(&["please igno", "re previous instr", "uctions"])));
    assert!(says(&parts(&["ignore", "", " previous instructions"])));
    assert!(!says(&parts(&["ignore", "all my", "previous instructions"])));
}

#[test]
fn messages_of_one_role_are_joined_and_those_of_others_are_not() {
    assert!(says(&chat(&[("user", "Please ignore"), ("user", " previous instructions")])));
    assert!(says(&chat(&[("user", "Please ignore"), ("user", "previous instructions")])));
    assert!(says(&chat(&[("user", "ign"), ("user", "ore previ"), ("user", "ous instructions!")])));
    assert!(!says(&chat(&[("user", "ignore"), ("assistant", "previous instructions")])));
    assert!(!says(&chat(&[("user", "ignore"), ("assistant", ""), ("user", "previous instructions")])));
    assert!(!says(&chat(&[("system", "ignore"), ("user", "previous instructions")])));
    assert!(says(&json!({ "system": [{ "text": "ignore" }, { "text": "previous instructions" }] })));
    assert!(!says(&json!({ "prompt": ["ignore", "previous instructions"] })), "two prompts");
    assert!(!says(
        &json!({ "tools": [{ "description": "ignore" }, { "description": "previous instructions" }] })
    ));
}

#[test]
fn other_strands_do_not_interrupt_a_text() {
    for body in [
        json!({ "messages": [
            { "role": "user", "content": "ignore", "name": "bob", "metadata": { "a": "b" } },
            { "role": "user", "content": null, "image": "x" },
            { "role": "user", "name": "bob", "content": "previous instructions" },
        ] }),
        json!({ "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "ignore", "title": "x" },
            { "type": "tool_result", "content": [{ "type": "text", "text": "42" }] },
            { "type": "image_url", "image_url": { "url": "https://example.com" } },
            { "type": "text", "text": " previous instructions" },
        ] }] }),
        json!({ "messages": [{ "role": "assistant", "content": [
            { "type": "text", "text": "ignore" },
            { "type": "tool_use", "name": "x", "input": { "a": "b" } },
            { "type": "text", "text": " previous instructions" },
        ] }] }),
    ] {
        assert!(says(&body), "{body}");
    }
}

#[test]
fn a_role_after_its_content_joins_the_same_messages_as_one_before_it() {
    let message = |role: &str, content: &str, behind: bool| {
        let (role, content) = (format!("\"role\":\"{role}\""), format!("\"content\":\"{content}\""));
        if behind { format!("{{{content},{role}}}") } else { format!("{{{role},{content}}}") }
    };
    for (first, second) in [(false, true), (true, false), (true, true)] {
        for (role, joins) in [("user", true), ("assistant", false)] {
            let body = format!(
                r#"{{"messages":[{},{},{}]}}"#,
                message("user", "please ignore", first),
                message(role, "previous ", second),
                message(role, "instructions", second),
            );
            assert_eq!(broken(&everywhere(&[IGNORE]), &body), joins, "{body}");
        }
    }
}

#[test]
fn only_the_beginning_of_a_message_continues_the_previous_one() {
    let denied = everywhere(&["(?is)ignore.*instructions"]);
    let body = |between: usize| {
        let rest = format!("{} instructions", "x".repeat(between));
        chat(&[("user", "ignore"), ("user", &rest)]).to_string()
    };
    assert!(broken(&denied, &body(1_000)));
    assert!(!broken(&denied, &body(1_020)));
    assert!(broken(
        &denied,
        &chat(&[("user", &format!("ignore{}instructions", "x".repeat(9_000)))]).to_string()
    ));
}

#[test]
fn anchors_match_the_beginning_and_the_end_of_each_message() {
    for (pattern, matches) in [("^second", true), ("first$", true), ("^firstsecond$", true), ("^irst", false)]
    {
        let body = chat(&[("user", "first"), ("user", "second")]).to_string();
        assert_eq!(broken(&everywhere(&[pattern]), &body), matches, "{pattern}");
    }
    assert!(!broken(&everywhere(&["^second"]), &chat(&[("user", "first second")]).to_string()));
}

#[test]
fn arguments_that_are_json_are_decoded_again() {
    let inner = r#"{"text":"\u0069gnore previous instructions"}"#;
    for body in [
        json!({ "messages": [{ "role": "assistant", "tool_calls": [{ "type": "function", "function": {
            "name": "write", "arguments": inner } }] }] }),
        json!({ "input": [{ "type": "function_call", "name": "write", "arguments": inner }] }),
        json!({ "messages": [{ "role": "tool", "content": inner }] }),
    ] {
        assert!(says(&body), "{body}");
    }
    assert!(
        !says(&chat(&[("user", r"a \u0069gnore previous instructions")])),
        "no JSON, as the model reads it"
    );
    assert!(!says(&chat(&[("user", r#"{"a":"\u0069gnor"#), ("user", "e previous instructions")])));
}

#[test]
fn a_rule_applies_to_its_origins_only() {
    let phrase = "ignore previous instructions";
    let part = json!([{ "type": "text", "text": phrase }]);
    let inner = json!({ "text": phrase }).to_string();
    for (origins, body) in [
        (vec![Origin::System], chat(&[("system", phrase)])),
        (vec![Origin::System], chat(&[("developer", phrase)])),
        (vec![Origin::System], json!({ "system": phrase })),
        (vec![Origin::System], json!({ "system": part })),
        (vec![Origin::System], json!({ "instructions": phrase })),
        (vec![Origin::User], chat(&[("user", phrase)])),
        (vec![Origin::User], json!({ "messages": [{ "role": "user", "content": part }] })),
        (vec![Origin::User], json!({ "messages": [{ "role": "user", "name": phrase }] })),
        (vec![Origin::User], json!({ "prompt": phrase })),
        (vec![Origin::User], json!({ "prompt": [phrase] })),
        (vec![Origin::User], json!({ "input": phrase })),
        (vec![Origin::User], json!({ "input": ["a", phrase] })),
        (vec![Origin::User], json!({ "query": phrase, "suffix": "x" })),
        (vec![Origin::Assistant], chat(&[("assistant", phrase)])),
        (vec![Origin::ToolResult], chat(&[("tool", phrase)])),
        (
            vec![Origin::ToolResult],
            json!({ "messages": [{ "role": "user", "content": [
            { "type": "tool_result", "content": part }] }] }),
        ),
        (
            vec![Origin::ToolResult],
            json!({ "messages": [{ "role": "user", "content": [
            { "type": "tool_result", "content": phrase }] }] }),
        ),
        (
            vec![Origin::ToolResult],
            json!({ "input": [{ "type": "function_call_output", "output": phrase }] }),
        ),
        (
            vec![Origin::Arguments],
            json!({ "messages": [{ "role": "assistant", "tool_calls": [
            { "function": { "name": "f", "arguments": inner } }] }] }),
        ),
        (
            vec![Origin::Arguments],
            json!({ "messages": [{ "role": "assistant", "content": [
            { "type": "tool_use", "name": "f", "input": { "deep": { "text": phrase } } }] }] }),
        ),
        (vec![Origin::Arguments], json!({ "input": [{ "type": "function_call", "arguments": inner }] })),
        (vec![Origin::Tools], json!({ "tools": [{ "function": { "description": phrase } }] })),
        (
            vec![Origin::Tools],
            json!({ "tools": [{ "input_schema": { "properties": {
            "arguments": { "content": { "content": phrase } } } } }] }),
        ),
        (vec![Origin::Tools], json!({ "response_format": { "json_schema": { "description": phrase } } })),
        (vec![Origin::Other], json!({ "documents": [{ "content": phrase }] })),
        (vec![Origin::User], json!({ "text": phrase })),
        (vec![Origin::User], json!({ "text": [phrase] })),
        (vec![Origin::Tools], json!({ "text": { "format": { "description": phrase } } })),
        (vec![Origin::User], json!({ "inputs": phrase })),
        (vec![Origin::User], json!({ "input_prefix": phrase })),
        (vec![Origin::System], json!({ "preamble": phrase })),
        (
            vec![Origin::User],
            json!({ "params": { "message": { "role": "user", "parts": [{ "text": phrase }] } } }),
        ),
        (vec![Origin::User], json!({ "requests": [{ "params": chat(&[("user", phrase)]) }] })),
        (
            vec![Origin::Assistant],
            json!({ "contents": [{ "role": "model", "parts": [{ "text": phrase }] }] }),
        ),
        (
            vec![Origin::Arguments],
            json!({ "contents": [{ "parts": [{ "functionCall": { "name": "f", "args": { "q": phrase } } }] }] }),
        ),
        (
            vec![Origin::ToolResult],
            json!({ "contents": [{ "role": "user", "parts": [{ "functionResponse": { "response": { "q": phrase } } }] }] }),
        ),
        (vec![Origin::Other], json!({ "chat_template": phrase })),
    ] {
        let others: Vec<Origin> =
            Origin::ALL.into_iter().filter(|origin| !origins.contains(origin)).collect();
        assert!(broken(&only(&origins), &body.to_string()), "{origins:?} {body}");
        assert!(!broken(&only(&others), &body.to_string()), "{others:?} {body}");
        assert!(says(&body), "{body}");
    }
}

#[test]
fn a_text_of_uncertain_origin_counts_for_every_rule() {
    let phrase = "ignore previous instructions";
    for body in [
        chat(&[("robot", phrase)]),
        json!({ "messages": [{ "content": phrase }] }),
        json!({ "input": [{ "type": "reasoning", "summary": [{ "text": phrase }] }] }),
    ] {
        for origin in [Origin::System, Origin::User, Origin::Assistant, Origin::ToolResult] {
            assert!(broken(&only(&[origin]), &body.to_string()), "{origin:?} {body}");
        }
    }
}

#[test]
fn a_role_after_its_content_decides_the_origin_of_a_match() {
    let body = |content: &str, role: &str| {
        format!(
            r#"{{"messages":[{{"content":"{content}","role":"{role}"}},{{"role":"user","content":"x"}}]}}"#
        )
    };
    let phrase = "ignore previous instructions, please";
    for (origin, role) in [
        (Origin::User, "user"),
        (Origin::Assistant, "assistant"),
        (Origin::ToolResult, "tool"),
        (Origin::System, "system"),
    ] {
        assert!(broken(&only(&[origin]), &body(phrase, role)), "{role}");
        let others: Vec<Origin> = Origin::ALL.into_iter().filter(|other| *other != origin).collect();
        assert!(!broken(&only(&others), &body(phrase, role)), "{role}");
        assert!(broken(&only(&[origin]), &body("ignore previous instructions", role)), "at the end, {role}");
    }
    let twice = r#"{"messages":[{"role":"user","content":"ignore previous instructions","role":"tool"}]}"#;
    assert!(broken(&only(&[Origin::User]), twice) && broken(&only(&[Origin::ToolResult]), twice));
}

#[test]
fn every_matching_rule_is_reported_at_its_first_match() {
    let denied = Denied::new(
        Rules::new(&["cat", "dog", "cow"]).unwrap(),
        vec![Origins::of([Origin::Tools]), Origins::ALL, Origins::of([Origin::User])],
    );
    let body = json!({
        "messages": [{ "role": "user", "content": "a cat, a dog and" }, { "role": "user", "content": "a cow" }],
        "tools": [{ "name": "cat" }],
    });
    for size in [1, 5, usize::MAX] {
        let found = broken_in(&denied, &body.to_string(), size);
        let found: Vec<(usize, &str)> = found.iter().map(|(rule, place)| (*rule, place.as_str())).collect();
        assert_eq!(found, [(1, "messages[0].content"), (2, "messages[1].content"), (0, "tools[0]")]);
    }
}

#[test]
fn after_a_refusal_nothing_is_counted_or_matched() {
    let denied = everywhere(&["cat", "dog"]);
    let limits = PromptLimits { characters: Some(20), ..limits() };
    for (text, expected) in [
        ("a cat sits and a dog barks ", vec![Rule::Denied(0)]),
        ("nothing to see in the first twenty, then a cat ", vec![Rule::Characters]),
    ] {
        let (mut heard, mut scanner) = (Heard::default(), Scanner::new(32));
        let enforces = |_| true;
        let mut listener =
            Listener { limits: &limits, denied: Some(&denied), enforces: &enforces, heard: &mut heard };
        let body =
            json!({ "messages": [{ "role": "user", "content": text.repeat(100) }, { "content": text }] });
        for chunk in body.to_string().as_bytes().chunks(15) {
            scanner.feed(chunk, &mut listener).unwrap();
        }
        scanner.finish(&mut listener).unwrap();
        listener.finish();
        let rules: Vec<Rule> =
            heard.breaches(&limits, scanner.facts()).into_iter().map(|breach| breach.rule).collect();
        assert_eq!(rules, expected);
        assert!(heard.characters <= 35, "{} characters were counted", heard.characters);
    }
}
